"""Training steps of BERT-base in bfloat16 on one GPU: ours beside a compiled torch loop, at 512 and at 128 tokens a row.

    python -m benchmarks.train_step.gpu                    writes benchmarks/results/train_step.gpu.md
    python -m benchmarks.train_step.gpu --profile DIR      a trace of five of our steps at 512 tokens, and its longest lines

Needs JAX with CUDA, torch with CUDA and transformers. The records are made the first time, on the CPU.
"""

import dataclasses
import importlib.util
import logging
import os
import statistics
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import tyro

from benchmarks.results_page import table, write_page
from benchmarks.train_step.__main__ import make_records
from benchmarks.train_step.floor import flops_per_row, max_predictions
from benchmarks.train_step.page import refuse_other_work
from benchmarks.train_step.rounds import Contender, Facts, Setting, take_turns
from configs.mini import bert as mini_bert
from data_pipeline.contract.errors import InputError, run_command
from data_pipeline.contract.records import read_header
from data_pipeline.contract.run_folder import RunFolder
from pretrain.models.bert.config import BertConfig
from pretrain.objectives.masked_lm.recipe import MaskedLM
from pretrain.recipe import TrainingRecipe

TITLE = "Training steps on one GPU: BERT-base in bfloat16, 65,536 tokens a step, vocabulary 32,000"
PACKAGES = ("jax", "jaxlib", "flax", "optax", "torch", "transformers")
OURS_FUSED, OURS_PLAIN, TORCH = "ours, cudnn", "ours, xla", "torch"
TOKENS_A_STEP = 65_536
TOLERANCE = 0.25
"""Largest difference of a logit between the rows at step 0: both compute in bfloat16."""


@dataclass(frozen=True)
class Command:
    """Training steps a second on one GPU."""

    profile: Path | None = None
    """Instead: write a trace of five of our steps to this folder and print its longest lines."""
    lengths: tuple[int, ...] = (512, 128)
    """Tokens a row."""
    corpus: Path = Path("../shared/data/corpus")
    """Folder of petitions_*.jsonl.gz, from which the records are made."""
    run_dir: Path = Path(tempfile.gettempdir()) / "korean-pretrain-train-step-gpu"
    """Folder where the records are kept for the next time."""
    rounds: int = 5
    """Rounds of each row, after one of warm-up."""
    steps: int = 20
    """Steps a round."""


def training_recipe(length: int) -> TrainingRecipe:
    """BERT-base with the dropout and the masking that BERT is trained with, no dropout on attention probabilities."""
    return dataclasses.replace(
        mini_bert.training,
        model=BertConfig(max_position_embeddings=length, hidden_dropout_prob=0.1),
        objective=MaskedLM(),
        global_batch_size=TOKENS_A_STEP // length,
        compute_dtype="bfloat16",
        dropout_rng="rbg",
        attention="xla",
    )


def contenders(setting: Setting) -> dict[str, tuple[str, Setting]]:
    """Rows -> the function that trains, and what."""
    ours = "benchmarks.train_step.ours:train_ours_on_gpu"
    fused = setting._replace(recipe=dataclasses.replace(setting.recipe, attention="cudnn"))
    return {
        OURS_FUSED: (ours, fused),
        OURS_PLAIN: (ours, setting),
        TORCH: ("benchmarks.train_step.peers:train_gathered_on_gpu", setting),
    }


def measure(rows: Mapping[str, tuple[str, Setting]], rounds: int) -> tuple[dict[str, list[float]], dict[str, Facts]]:
    """Runs rows in turn, after a round of warm-up: seconds a step in each round, and what each told, by row (`before`: its held-out
    loss at step 0). Raises WorkError where they did not do the same work."""
    with ExitStack() as running:
        contenders = [running.enter_context(Contender(row, *what)) for row, what in rows.items()]
        for contender in contenders:
            contender.round()
        [steps] = {setting.steps for _, setting in rows.values()}
        seconds = take_turns(contenders, rounds, steps)
        ready = {contender.row: contender.ready for contender in contenders}
        told = {contender.row: contender.finish() for contender in contenders}
    refuse_other_work(ready, told, TOLERANCE)
    return seconds, {row: {**ready[row], **told[row], "before": ready[row]["loss"]} for row in rows}


def section(setting: Setting, seconds: Mapping[str, list[float]], facts: Mapping[str, Facts]) -> str:
    """What was measured at one length, Markdown."""
    from pretrain.devices.peaks import model_flops_utilisation, peak_tflops  # here, because it imports jax

    recipe, header = setting.recipe, read_header(RunFolder(setting.folder).examples)
    real = header.tokens["train"] / (header.rows["train"] * header.length)
    tokens = recipe.global_batch_size * header.length * real
    flops = flops_per_row(recipe, header.vocabulary_size, header.length) / header.length
    first = next(iter(seconds))
    device = facts[first]["device"]
    lines = []
    for row, times in seconds.items():
        step = statistics.median(times)
        used = model_flops_utilisation(flops * tokens / step, peak_tflops(device), 1)
        ratios = [theirs / ours for theirs, ours in zip(times, seconds[first], strict=True)]
        spread = "" if row == first else f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        memory = facts[row]["memory"]
        lines.append(
            (
                row,
                f"{step * 1e3:,.1f}",
                f"{tokens / step:,.0f}",
                "n/a" if used is None else f"{used:.1%}",
                spread,
                "n/a" if memory is None else f"{memory / 2**30:.1f}",
                f"{facts[row]['before']:.4f}",
                f"{facts[row]['loss']:.4f}",
            )
        )
    columns = (
        "row",
        "ms a step",
        "real tokens/s",
        "MFU",
        f"{first} is faster by (min to max)",
        "peak GiB",
        "held-out loss before",
        "after",
    )
    tried = ", ".join(f"{way} {took * 1e3:,.1f}" for way, took in facts[TORCH]["tried"].items())
    return f"""## {header.length} tokens a row, {recipe.global_batch_size} rows a step

{table(columns, lines)}

{device}; {real:.1%} of all tokens are real, and only these count; MFU counts attention as if each row were one segment. torch was tried in ms of the shortest step: {tried}; the rounds ran \
the fastest. It takes part with the same weights, the same rows and the same head at \
{max_predictions(recipe, header.length)} positions; its logits differ from ours by {facts[TORCH]["logits"]:.2g} at most."""


def run(command: Command) -> None:
    """What the command line asks for."""
    if command.rounds < 1 or command.steps < 1 or not command.lengths:
        raise InputError("give --rounds and --steps of at least 1, and one of --lengths")
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f"{', '.join(missing)} missing; install with `pip install {' '.join(missing)}`")
    if not list(Path("/dev").glob("nvidia[0-9]*")):
        raise InputError("this machine has no NVIDIA GPU (no /dev/nvidia0); run it where there is one")
    # Three processes share the GPU: none may take all of its memory when it starts.
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    os.environ["JAX_PLATFORMS"] = "cuda"
    settings = []
    for length in command.lengths:
        folder = RunFolder(command.run_dir / str(length))
        make_records(command.corpus, folder, length)
        settings.append(Setting(folder.path, training_recipe(length), command.steps, "cuda"))
    if command.profile:
        from benchmarks.train_step.profile import profile  # here, because it imports jax, which torch must not meet

        profile(contenders(settings[0])[OURS_FUSED][1], command.profile)
    else:
        sections = [section(setting, *measure(contenders(setting), command.rounds)) for setting in settings]
        write_page("train_step.gpu", TITLE, PACKAGES, "\n\n".join(sections))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("absl").setLevel(logging.WARNING)
    run_command(lambda: run(tyro.cli(Command, prog="python -m benchmarks.train_step.gpu")))
