"""Our side of benchmarks.fine_tune_speed: `pretrain.evaluate.tuner.Tuner`, an epoch a round."""

from dataclasses import replace

from benchmarks.fine_tune_speed.race import Race
from benchmarks.train_step.rounds import Turns
from pretrain.evaluate.forms import encode_split, head_of
from pretrain.evaluate.hardware import Hardware
from pretrain.evaluate.tuner import TRAIN, Tuner
from pretrain.subject import load_subject


def train_in_float32(turns: Turns, race: Race) -> None:
    """As evaluate trains on a CPU by default."""
    _train(turns, race, Hardware())


def train_in_bfloat16(turns: Turns, race: Race) -> None:
    """With the flag --hardware.compute-dtype bfloat16."""
    _train(turns, race, Hardware(compute_dtype="bfloat16"))


def _train(turns: Turns, race: Race, hardware: Hardware) -> None:
    subject, settings = load_subject(race.start), replace(race.settings, epochs=race.epochs)
    head = head_of(race.task, settings)
    rows = encode_split(subject, race.task, race.examples(), settings).rows
    tuner = Tuner(subject, head, {TRAIN: rows}, settings, hardware)
    turns.tell({"lengths": [int(rows.lengths.mean()), int(rows.lengths.max())]})
    epochs, found = tuner.epochs(settings.seed), []
    for _ in turns:
        found.append(next(epochs))
    turns.tell(
        {
            "compile": [epoch.compile_seconds for epoch in found],
            "train": [epoch.seconds for epoch in found],
            "loss": [epoch.loss for epoch in found],
        }
    )
