"""configs/mini/bert.py trained on real petitions: what it learns beyond what can be known without context, and that
kill -9 changes nothing of it.

    python -m benchmarks.learning_curve
"""

import json
import os
import random
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import tyro

from benchmarks.context_free import ContextFree, context_free
from benchmarks.results_page import RESULTS, table, write_page
from data_pipeline.contract.errors import InputError, WorkError, run_command
from data_pipeline.contract.run_folder import RunFolder
from pretrain.monitoring.metrics import METRICS_FILE, OF_THIS_MACHINE, read_metrics

RECIPE = "configs/mini/bert.py"
KILLS = 3
Line = dict[str, Any]


@dataclass(frozen=True)
class LearningCurve:
    """Trains once unbroken and once killed three times, and draws both."""

    data: Path = Path("../shared/data")
    """Folder with corpus/petitions_*.jsonl.gz and the benchmark files in tasks/."""
    killed_steps: int = 500
    """Steps of the second run, a multiple of the evaluation's; its kills fall into them."""
    seed: int = 0
    """Of the moments at which the second run is killed."""


@dataclass(frozen=True)
class Times:
    """Of the unbroken run: by the clock, and of the processor in all threads."""

    seconds: float
    cpu_seconds: float


def main() -> None:
    """The command."""
    run_command(lambda: measure(tyro.cli(LearningCurve)))


def measure(options: LearningCurve) -> None:
    """Runs everything in a temporary folder and writes the page and the plot."""
    if not options.data.is_dir():
        raise InputError(f"--data {options.data}: no such folder")
    with tempfile.TemporaryDirectory() as place:
        whole, killed = Path(place) / "whole", Path(place) / "killed"
        source = f"petitions:{options.data}/corpus/petitions_*.jsonl.gz"
        benchmark = str(options.data / "tasks")
        run("data_pipeline", "prepare", RECIPE, "--run-dir", whole, "--source", source, "--benchmark", benchmark)
        shutil.copytree(whole, killed)

        began, cpu_began = time.monotonic(), cpu_seconds()
        run("pretrain", "train", RECIPE, "--run-dir", whole)
        times = Times(time.monotonic() - began, cpu_seconds() - cpu_began)
        unbroken = read_metrics(RunFolder(whole).metrics / METRICS_FILE)

        last = options.killed_steps
        moments = sorted(random.Random(options.seed).sample(range(last // 10, last), KILLS))
        steps_killed = [train_until(killed, moment) for moment in moments]
        run("pretrain", "train", RECIPE, "--run-dir", killed, "--training.stop-at-step", str(last))
        resumed = read_metrics(RunFolder(killed).metrics / METRICS_FILE)
        if computed(resumed) != computed([line for line in unbroken if line["step"] <= last]):
            raise WorkError("the killed run differs from the unbroken one")
        known = context_free(RunFolder(whole))
        draw(unbroken, known, steps_killed)
        write_page(
            "learning_curve",
            "What mini/bert learns, and that kill -9 changes nothing",
            ("jax", "flax", "optax", "orbax-checkpoint"),
            page(unbroken, known, times, steps_killed, last),
        )


def cpu_seconds() -> float:
    """Processor time of all processes that this one has started and seen end."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def command_line(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", *map(str, arguments)]


def run(*arguments: str | Path) -> None:
    """A public command that must succeed."""
    if code := subprocess.run(command_line(*arguments)).returncode:
        raise WorkError(f"{' '.join(map(str, arguments))}: exit code {code}")


def train_until(folder: Path, moment: int) -> int:
    """Trains until the log says that step `moment` is done, kills all of it with -9, and returns the last step logged."""
    log = RunFolder(folder).metrics / METRICS_FILE
    process = subprocess.Popen(command_line("pretrain", "train", RECIPE, "--run-dir", folder), start_new_session=True)
    while process.poll() is None and steps_of(log) < moment:
        time.sleep(0.2)
    if process.poll() is not None:
        raise WorkError(f"training ended by itself with code {process.returncode} before step {moment}")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return steps_of(log)


def steps_of(log: Path) -> int:
    """The last step that stands in a log that another process writes."""
    lines = log.read_bytes().split(b"\n")[:-1] if log.exists() else []
    return int(json.loads(lines[-1])["step"]) if lines else 0


def computed(lines: list[Line]) -> list[Line]:
    """The lines without what depends on the speed of the machine."""
    return [{name: value for name, value in line.items() if name not in OF_THIS_MACHINE} for line in lines]


def held_out(lines: list[Line]) -> list[Line]:
    return [line for line in lines if "evaluation_loss" in line]


def page(lines: list[Line], known: ContextFree, times: Times, steps_killed: list[int], compared: int) -> str:
    """The page's body."""
    evaluations = held_out(lines)
    speeds = [line["tokens_per_second"] for line in lines if "tokens_per_second" in line]
    rows = [
        ("always the most frequent token: unigram", f"{known.unigram_loss:.4f}", f"{known.unigram_accuracy:.4f}"),
        ("best without context", f"{known.loss:.4f}", f"{known.accuracy:.4f}"),
        *(
            (f"step {line['step']}", f"{line['evaluation_loss']:.4f}", f"{line['evaluation_masked_accuracy']:.4f}")
            for line in evaluations
        ),
    ]
    return f"""
{evaluations[-1]["step"]} steps in {times.seconds / 60:.1f} minutes by the clock and {times.cpu_seconds / 60:.1f} of processor time
(compilation, evaluation and checkpoints included; median {statistics.median(speeds):,.0f} tokens/s). Held-out documents, masks that
never change, {known.predictions:,} predictions:

{table(("held out", "loss (nats)", "masked accuracy"), rows)}

The best that can be known without context, of what stands at a masked position: a [MASK] is any token by its frequency;
any other token is itself or a random replacement (10 % each). What is above it, the model has from the context.

Killed with -9 after steps {", ".join(map(str, steps_killed))} and started again: every loss, accuracy, gradient norm and
held-out figure in the log of the first {compared} steps is equal, bit for bit, to the unbroken run's.

![curves](learning_curve.png)
"""


def draw(lines: list[Line], known: ContextFree, steps_killed: list[int]) -> None:
    """The plot `learning_curve.png`."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    training = [line for line in lines if "loss" in line]
    evaluations = held_out(lines)
    for axis, name, title, unigram, best in (
        (axes[0], "loss", "loss (nats a prediction)", known.unigram_loss, known.loss),
        (axes[1], "masked_accuracy", "masked accuracy", known.unigram_accuracy, known.accuracy),
    ):
        axis.plot([line["step"] for line in training], [line[name] for line in training], lw=0.8, label="training")
        axis.plot(
            [line["step"] for line in evaluations],
            [line[f"evaluation_{name}"] for line in evaluations],
            "o-",
            label="held out",
        )
        axis.axhline(unigram, color="gray", ls="--", label="unigram")
        axis.axhline(best, color="gray", ls=":", label="best without context")
        for index, step in enumerate(steps_killed):
            axis.axvline(step, color="red", lw=0.5, label=None if index else "kill -9")
        axis.set(xlabel="step", title=title)
        axis.legend()
    axes[0].set_ylim(top=unigram_top(known, training))
    figure.savefig(RESULTS / "learning_curve.png", dpi=100)


def unigram_top(known: ContextFree, training: list[Line]) -> float:
    """The upper end of the loss axis: a little above the baseline, for the first steps would flatten the rest."""
    return float(min(max(line["loss"] for line in training), known.unigram_loss + 0.5))


if __name__ == "__main__":
    main()
