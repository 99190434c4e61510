"""The fine-tunings of a task, one for each seed: what they give is kept in a file each, so that a killed evaluation resumes at the next."""

import hashlib
import io
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from data_pipeline.contract.errors import machine_errors_at
from data_pipeline.contract.storage import write_atomically
from pretrain.devices.broadcast import told
from pretrain.evaluate.encoding import LabelledRows
from pretrain.evaluate.leaderboard.outcomes_file import DAMAGE
from pretrain.evaluate.selection import ScoredEpoch, Scorer, in_words
from pretrain.evaluate.tuner import Epoch, Tuner
from pretrain.subject import Subject

log = logging.getLogger("pretrain")

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
        try:
            return self._read()
        except (*DAMAGE, TypeError) as error:
            log.warning("%s: damaged (%s); the seed is trained again", self.path, error)
            return None

    def _read(self) -> list[Epoch] | None:
        with np.load(self.path, allow_pickle=False) as stored:
            facts = json.loads(str(stored[FACTS]))
            if facts["fingerprint"] != self.fingerprint:
                return None
            splits = [name.removesuffix("/names") for name in stored.files if name.endswith("/names")]
            return [
                Epoch(
                    **known, predictions={split: _rows(stored, name) for split, name in names if name in stored.files}
                )
                for known in facts["epochs"]
                for names in [[(split, f"{known['number']}/{split}") for split in splits]]
            ]


def _rows(stored: Mapping[str, np.ndarray], name: str) -> list[np.ndarray]:
    return np.split(stored[name], np.cumsum(stored[f"{name}/lengths"])[:-1])


def fingerprint_of(subject: Subject, splits: Mapping[str, LabelledRows], decisions: Mapping[str, Any]) -> str:
    """SHA-256 of all that decides predictions: the model's tensors, the encoded rows, and what else the caller has decided.

    - `decisions`: dataclasses, or what JSON holds.
    """
    digest = hashlib.sha256(subject.digest.encode())
    for split, rows in sorted(splits.items()):
        for part in (rows.tokens, rows.token_types, rows.labels):
            digest.update(f"{split} {[array.shape for array in part]}".encode())
            digest.update(np.concatenate([array.reshape(-1) for array in part]).data)
    decided = {
        name: asdict(value) if hasattr(value, "__dataclass_fields__") else value for name, value in decisions.items()
    }
    digest.update(json.dumps(decided, sort_keys=True).encode())
    return digest.hexdigest()


Export = Callable[[Subject, int, ScoredEpoch], None]
"""(the fine-tuned model, its seed, its last epoch) writes the model."""


@dataclass(frozen=True)
class FineTunings:
    """Fine-tunes with one seed after another.

    - `noised`: splits that are predicted after the last epoch, by name.
    - `folder`: keeps a file for each seed, and one with its predictions of `noised`.
    - `fingerprints`: of all that decides the one and the other (`pretrain.evaluate.seeds.fingerprint_of`).
    - `every_epoch`: whether every epoch is scored; else the last one is.
    """

    tuner: Tuner
    scorer: Scorer
    noised: Mapping[str, LabelledRows]
    folder: Path
    fingerprints: tuple[str, str]
    every_epoch: bool

    def of(self, seed: int, export: Export | None = None, *, exported: bool = True) -> list[ScoredEpoch]:
        """The epochs of a seed; the scores of the last one have those of the noised splits, too.

        - `export`: of this seed; None exports nothing. - `exported`: whether that very model is there; else the seed is trained again.
        """
        kept, kept_noise = (
            SeedFile(self.folder / f"seed-{seed}{ending}.npz", fingerprint)
            for ending, fingerprint in zip(("", "-noise"), self.fingerprints, strict=True)
        )
        epochs, noise = kept.read(), kept_noise.read() if self.noised else []
        # The first process has the files, and all must do the same.
        if told(epochs is not None and noise is not None and exported):
            log.info("seed %d: is in %s", seed, kept.path)
            scored = [self.scorer.scored(seed, epoch) for epoch in epochs or []]
        else:
            epochs, scored, noise = self._trained(seed)
            if export is not None:
                # All processes gather the parameters.
                tuned = self.tuner.tuned()
            if jax.process_index() == 0:
                with machine_errors_at(kept.path):
                    kept.write(epochs, self.tuner.splits)
                    if noise:
                        kept_noise.write(noise, self.noised)
                if export is not None:
                    export(tuned, seed, scored[-1])
        for each in noise or []:
            self._add_noise(seed, scored[-1], each)
        return scored

    def _trained(self, seed: int) -> tuple[list[Epoch], list[ScoredEpoch], list[Epoch]]:
        """The epochs, the same scored, and the last one with the predictions of the noised splits."""
        epochs, scored = [], []
        for epoch in self.tuner.epochs(seed, predict_each=self.every_epoch):
            epochs.append(epoch)
            scored.append(self.scorer.scored(seed, epoch))
        if not self.noised:
            return epochs, scored, []
        predictions = {split: self.tuner.predict(self.tuner.params, rows) for split, rows in self.noised.items()}
        return epochs, scored, [replace(epochs[-1], predictions=predictions)]

    def _add_noise(self, seed: int, last: ScoredEpoch, noise: Epoch) -> None:
        for split in noise.predictions:
            found, _ = self.scorer.score(noise, split)
            log.info("seed %d, %s: %s", seed, split, in_words(found))
            last.point["scores"][split] = found
