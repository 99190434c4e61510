"""What the seeds of an evaluation have given, a file each, so that a killed evaluation resumes at the next seed."""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from data_pipeline.contract.storage import write_atomically
from pretrain.evaluate.encoding import LabelledRows
from pretrain.evaluate.tuner import Epoch
from pretrain.subject import Subject

FACTS = "facts"


@dataclass(frozen=True)
class SeedFile:
    """`seed-N.npz`: for each epoch N and split, `N/SPLIT`, the predictions of all rows one behind the other, and `N/SPLIT/lengths`,
    the length of each; `SPLIT/names`, of the examples; and `facts`, JSON.

    - `fingerprint`: of all that decides the predictions; a file with another is not read.
    """

    path: Path
    fingerprint: str

    def write(self, epochs: Sequence[Epoch], splits: Mapping[str, LabelledRows]) -> None:
        """Keeps all epochs of a seed, or nothing."""
        numbers = [field.name for field in fields(Epoch) if field.name != "predictions"]
        facts = [{name: getattr(epoch, name) for name in numbers} for epoch in epochs]
        arrays: dict[str, Any] = {
            FACTS: np.array(json.dumps({"fingerprint": self.fingerprint, "epochs": facts})),
            **{f"{split}/names": np.array(splits[split].names) for split in epochs[-1].predictions},
        }
        for epoch in epochs:
            for split, rows in epoch.predictions.items():
                arrays[f"{epoch.number}/{split}"] = np.concatenate(rows)
                arrays[f"{epoch.number}/{split}/lengths"] = np.array([len(row) for row in rows])
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path, buffer.getvalue())

    def read(self) -> list[Epoch] | None:
        """The epochs of the seed; None where they were not kept, or of something else."""
        if not self.path.is_file():
            return None
        with np.load(self.path, allow_pickle=False) as stored:
            facts = json.loads(str(stored[FACTS]))
            if facts["fingerprint"] != self.fingerprint:
                return None
            splits = [name.removesuffix("/names") for name in stored.files if name.endswith("/names")]
            return [
                Epoch(**told, predictions={split: _rows(stored, name) for split, name in names if name in stored.files})
                for told in facts["epochs"]
                for names in [[(split, f"{told['number']}/{split}") for split in splits]]
            ]


def _rows(stored: Mapping[str, np.ndarray], name: str) -> list[np.ndarray]:
    return np.split(stored[name], np.cumsum(stored[f"{name}/lengths"])[:-1])


def fingerprint_of(subject: Subject, splits: Mapping[str, LabelledRows], decisions: Mapping[str, Any]) -> str:
    """SHA-256 of all that decides predictions: the model's tensors, the encoded rows, and what else the caller has decided.

    - `decisions`: dataclasses, or what JSON holds.
    """
    digest = hashlib.sha256()
    for name in sorted(subject.tensors):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(subject.tensors[name]).data)
    for split, rows in sorted(splits.items()):
        for part in (rows.tokens, rows.token_types, rows.labels):
            digest.update(f"{split} {[array.shape for array in part]}".encode())
            digest.update(np.concatenate([array.reshape(-1) for array in part]).data)
    told = {
        name: asdict(value) if hasattr(value, "__dataclass_fields__") else value for name, value in decisions.items()
    }
    digest.update(json.dumps(told, sort_keys=True).encode())
    return digest.hexdigest()
