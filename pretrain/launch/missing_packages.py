"""missing_packages.py EXTRA...: prints the packages that this project and these extras need and this Python does not have.

Run by the Python of .venv/; imports nothing that could be missing itself.
"""

import re
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from pip._vendor.packaging.requirements import Requirement

PROJECT = "korean-pretrain"
UNLISTED = {"data": ("kss",)}
"""Needed by an extra, but not in setup.cfg: pip could not build it (docs/decisions.md)."""


def missing_packages(extras: Sequence[str]) -> list[str]:
    """Names of the packages that are not installed, or whose modules are gone although pip still lists them."""
    waiting: list[tuple[str, tuple[str, ...]]] = [(PROJECT, tuple(extras))]
    waiting += [(name, ()) for extra in extras for name in UNLISTED.get(extra, ())]
    seen: set[tuple[str, tuple[str, ...]]] = set()
    missing = set()
    while waiting:
        name, with_extras = each = waiting.pop()
        if each in seen:
            continue
        seen.add(each)
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            missing.add(name)
            continue
        # The first file of each top-level package; all files would take seconds.
        modules = re.findall(r"^([^/,]+/__init__\.py),", package.read_text("RECORD") or "", re.MULTILINE)
        if not all(Path(str(package.locate_file(module))).exists() for module in modules):
            missing.add(name)
        for line in package.requires or ():
            if "extra ==" in line and not any(extra in line for extra in with_extras):
                continue  # before it is parsed: most lines are of other extras
            requirement = Requirement(line)
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *with_extras)):
                waiting.append((requirement.name.lower(), tuple(sorted(requirement.extras))))
    return sorted(missing)


if __name__ == "__main__":
    print(*missing_packages(sys.argv[1:]))
