"""Optimised programs that tests read: as XLA for TPUs left them, without metadata and settings."""

import lzma
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "pretrain" / "planning" / "programs"


def stored(name: str) -> str:
    """The text of planning/programs/NAME.hlo.xz."""
    return lzma.decompress((FOLDER / f"{name}.hlo.xz").read_bytes()).decode()
