"""What each item says of a metric, kept so that models are compared long after, without their predictions' task or data."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from data_pipeline.contract.storage import write_atomically
from pretrain.evaluate.leaderboard.outcomes import Values
from pretrain.evaluate.tasks.examples import Example

FILE = "outcomes.npz"


def digest(examples: Sequence[Example]) -> str:
    """SHA-256 of examples in their order: names, texts and gold answers. Models are compared where it is the same."""
    found = hashlib.sha256()
    for example in examples:
        found.update(f"{example!r}\n".encode(errors="surrogatepass"))
    return found.hexdigest()


def write_outcomes(folder: Path, by_seed: Mapping[int, Values]) -> None:
    """Writes `outcomes.npz`: what each item says, `SEED` -> float64[items, ...]."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{str(seed): values for seed, values in by_seed.items()})  # type: ignore[arg-type]
    write_atomically(folder / FILE, buffer.getvalue())


def read_outcomes(folder: Path) -> list[Values]:
    """What each item says, of each seed; empty where nothing was kept."""
    if not (folder / FILE).is_file():
        return []
    with np.load(folder / FILE, allow_pickle=False) as stored:
        return [stored[seed] for seed in stored.files]
