"""The fine-tunings of a task, one for each seed: from files where they are kept, else trained, scored and kept."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import jax

from data_pipeline.contract.errors import machine_errors_at
from pretrain.devices.broadcast import told
from pretrain.evaluate.encoding import LabelledRows
from pretrain.evaluate.seeds import SeedFile
from pretrain.evaluate.selection import ScoredEpoch, Scorer, in_words
from pretrain.evaluate.tuner import Epoch, Tuner
from pretrain.subject import Subject

log = logging.getLogger(__name__)

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

        - `export`: of this seed; None exports nothing. - `exported`: whether it is there; else the seed is trained again.
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
