"""What each item says of a metric, kept so that models are compared long after, without their predictions' task or data."""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.storage import sha256_of_file, write_atomically
from pretrain.evaluate.leaderboard.outcomes import Values
from pretrain.evaluate.tasks.examples import Example

FILE = "outcomes.npz"
DAMAGE = (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
"""What numpy raises for an .npz file that is not whole, or not what was written."""


def digest(examples: Sequence[Example]) -> str:
    """SHA-256 of examples in their order: names, texts and gold answers. Models are compared where it is the same."""
    found = hashlib.sha256()
    for example in examples:
        found.update(f"{example!r}\n".encode(errors="surrogatepass"))
    return found.hexdigest()


def write_outcomes(folder: Path, by_seed: Mapping[int, Values]) -> str:
    """Writes `outcomes.npz`: what each item says, `SEED` -> float64[items, ...]; returns its SHA-256, for TASK.json."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{str(seed): values for seed, values in by_seed.items()})  # type: ignore[arg-type]
    write_atomically(folder / FILE, buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def read_outcomes(folder: Path, sha256: str | None = None) -> list[Values]:
    """What each item says, of each seed; empty where nothing was kept.

    - `sha256`: of the file, as TASK.json says; None where older code did not.

    Raises InputError for a damaged file, and for that of another evaluation, which was killed before it wrote TASK.json.
    """
    path = folder / FILE
    if not path.is_file():
        return []
    if sha256 not in (None, sha256_of_file(path)):
        raise InputError(
            f"{path}: is not what {folder.name}.json is of; run the same `python -m pretrain evaluate` again"
        )
    try:
        with np.load(path, allow_pickle=False) as stored:
            return [stored[seed] for seed in stored.files]
    except DAMAGE as error:
        raise InputError(f"{path}: damaged ({error}); run the same `python -m pretrain evaluate` again") from None
