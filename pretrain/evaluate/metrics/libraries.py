"""scikit-learn, scipy and seqeval: of the extra [evaluate], and imported when a metric is computed."""

from importlib import import_module
from typing import Any

from data_pipeline.contract.packages import needed

PACKAGES = ("scipy", "seqeval", "sklearn")


def library(module: str) -> Any:
    """A module of PACKAGES; an InputError says how to install its package where it is missing."""
    needed(module.partition(".")[0], "evaluation", extra="evaluate")
    return import_module(module)


def check_libraries() -> None:
    """An InputError where a package is missing: for before a fine-tuning whose score could not be computed."""
    for package in PACKAGES:
        library(package)
