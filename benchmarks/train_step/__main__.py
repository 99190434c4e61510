"""Training steps a second, ours against transformers' Trainer and a plain torch loop: same model, same rows, same machine.

    python -m benchmarks.train_step --peer torch       writes benchmarks/results/train_step.md
    python -m benchmarks.train_step --peer flax        with transformers' Flax BERT, too
    python -m benchmarks.train_step --peer keras       with the Flax BERT and keras-hub's BertMaskedLM
    python -m benchmarks.train_step --profile DIR      a trace of five of our steps and its longest lines

About eight minutes on two cores with all peers, and one and a half more the first time, when the records are made. The peers need torch,
transformers, accelerate (the Trainer) and g++ (torch.compile); the Flax peer also the transformers 4 that run_tests.sh installs, and
keras-hub what benchmarks/README.md installs beside the project's dependencies.
"""

import contextlib
import dataclasses
import importlib.util
import logging
import os
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from benchmarks.results_page import write_page
from benchmarks.train_step.page import FLAX, KERAS, LOOP, OURS, TRAINER, Measured, page
from benchmarks.train_step.rounds import KERAS_HUB, TRANSFORMERS_4, Contender, Setting, cpu_seconds, take_turns
from configs.mini import bert as mini_bert
from data_pipeline.contract.errors import InputError, run_command
from data_pipeline.contract.records import read_header
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.prepare.run import prepare
from data_pipeline.recipe import Packed, Source
from pretrain.models.bert.config import BertConfig
from pretrain.objectives.masked_lm.recipe import MaskedLM
from pretrain.recipe import TrainingRecipe

log = logging.getLogger("benchmarks")
THREADS = 2
VOCABULARY = 32_000
LENGTH = 128
TITLE = "Training steps on two CPU cores against transformers: BERT-mini, 32 rows of 128 tokens, vocabulary 32,000"
PACKAGES = ("jax", "jaxlib", "flax", "optax", "torch", "transformers", "accelerate")
KERAS_PACKAGES = ("keras==3.15.1", "keras-hub==0.32.0")
"""Installed alone, with what is here already: their requirements would bring TensorFlow Text, which only their tokenizers use."""
Peer = Literal["torch", "flax", "keras"]
ROWS = {
    OURS: "benchmarks.train_step.ours:train_ours",
    TRAINER: "benchmarks.train_step.peers:train_with_trainer",
    FLAX: "benchmarks.train_step.flax_peer:train_with_flax",
    KERAS: "benchmarks.train_step.keras_peer:train_with_keras",
    LOOP: "benchmarks.train_step.peers:train_gathered",
}
"""Rows of the page and the functions that train, in the order in which they take turns."""


@dataclass(frozen=True)
class Command:
    """Training steps a second, ours against transformers' on the same model and machine."""

    peer: Peer | None = None
    """Peers to measure against: the Trainer and a plain loop in torch; or these and transformers' Flax BERT; or these and keras-hub's
    BertMaskedLM. The rows belong together: each says what the others leave open."""
    profile: Path | None = None
    """Instead: write a trace of five of our steps to this folder and print its longest lines."""
    corpus: Path = Path("../shared/data/corpus")
    """Folder of petitions_*.jsonl.gz, from which the records are made."""
    run_dir: Path = Path(tempfile.gettempdir()) / "korean-pretrain-train-step"
    """Folder where the records are kept for the next time."""
    rounds: int = 5
    """Rounds of each row, after one of warm-up."""
    steps: int = 4
    """Steps a round."""


def training_recipe() -> TrainingRecipe:
    """BERT-mini with the dropout, the masking and the batch that BERT is trained with; the rest as in configs/mini/bert.py."""
    model = BertConfig(
        num_hidden_layers=4,
        hidden_size=256,
        num_attention_heads=4,
        intermediate_size=1024,
        max_position_embeddings=LENGTH,
        hidden_dropout_prob=0.1,
    )
    return dataclasses.replace(mini_bert.training, model=model, objective=MaskedLM(), global_batch_size=32)


def make_records(corpus: Path, folder: RunFolder, length: int = LENGTH) -> None:
    """Rows of the petitions with a vocabulary of 32,000; does nothing where they stand already."""
    if not list(corpus.glob("petitions_*.jsonl.gz")):
        raise InputError(f"--corpus {corpus}: holds no petitions_*.jsonl.gz; give the folder that does")
    data = dataclasses.replace(
        mini_bert.data,
        sources=(Source("petitions", str(corpus / "petitions_*.jsonl.gz")),),
        vocabulary=dataclasses.replace(mini_bert.data.vocabulary, size=VOCABULARY),
        examples=Packed(length=length),
    )
    prepare(folder, "mini/bert", data, THREADS)


def measure(setting: Setting, rounds: int, rows: Iterable[str]) -> Measured:
    """Runs rows round by round, ours first. They start one after another, and each waits while another works."""
    with contextlib.ExitStack() as running:
        contenders = [running.enter_context(Contender(row, ROWS[row], setting)) for row in rows]
        ready = {contender.row: contender.ready for contender in contenders}
        for contender in contenders:
            contender.round()
        process_ids = [contender.process_id for contender in contenders]
        began, (busy, own) = time.perf_counter(), cpu_seconds(process_ids)
        seconds = take_turns(contenders, rounds, setting.steps)
        busy_after, own_after = cpu_seconds(process_ids)
        others = (busy_after - busy - own_after + own) / (THREADS * (time.perf_counter() - began))
        told = {contender.row: contender.finish() for contender in contenders}
    return Measured(setting, read_header(RunFolder(setting.folder).examples), seconds, others, ready, told)


def refuse_missing(peer: Peer) -> None:
    """Raises InputError where the rows of a peer lack a package."""
    needed = (*PACKAGES, "grain") if peer == "keras" else PACKAGES
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f"--peer needs {', '.join(missing)}; install with `pip install {' '.join(missing)}`")
    if peer != "torch" and not TRANSFORMERS_4.is_dir():
        raise InputError(f"--peer {peer} needs transformers 4 in {TRANSFORMERS_4}; ./run_tests.sh installs it")
    if peer == "keras" and not KERAS_HUB.is_dir():
        raise InputError(
            f"--peer keras needs Keras and keras-hub in {KERAS_HUB}; "
            f"install with `pip install --no-deps --target {KERAS_HUB} {' '.join(KERAS_PACKAGES)}`"
        )


def run(command: Command) -> None:
    """What the command line asks for."""
    if (command.peer is None) == (command.profile is None):
        raise InputError("give either --peer or --profile DIR")
    if command.rounds < 1 or command.steps < 1:
        raise InputError(f"--rounds {command.rounds} --steps {command.steps}: must be at least 1")
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < THREADS:
        raise InputError(f"this process may use {len(cores)} core; the benchmark is of {THREADS}")
    os.sched_setaffinity(0, cores[:THREADS])  # jax and torch take as many threads as they may use cores
    os.environ["JAX_PLATFORMS"] = "cpu"
    setting = Setting(command.run_dir, training_recipe(), command.steps)
    if command.peer:
        refuse_missing(command.peer)
    make_records(command.corpus, RunFolder(command.run_dir))
    if command.profile:
        from benchmarks.train_step.profile import profile  # here, because it imports jax, which the peers must not meet

        profile(setting, command.profile)
    else:
        left_out = {"torch": (FLAX, KERAS), "flax": (KERAS,)}.get(command.peer or "", ())
        rows = [row for row in ROWS if row not in left_out]
        write_page("train_step", TITLE, PACKAGES, page(measure(setting, command.rounds, rows)))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("absl").setLevel(logging.WARNING)
    run_command(lambda: run(tyro.cli(Command, prog="python -m benchmarks.train_step")))
