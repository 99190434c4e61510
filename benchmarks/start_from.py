"""A model that goes into another vocabulary: new entries as the mean of their pieces, at random, and all of it from scratch.

    python -m benchmarks.start_from

Rerun after any interruption: what is done is not done again.
"""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import jax
import tyro

from benchmarks.results_page import table, write_page
from data_pipeline.contract.errors import InputError, WorkError, run_command
from data_pipeline.contract.records import read_header
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.tokenizer import TOKENIZER_FILES, Tokenizer
from pretrain.checkpoints.facts import recipe_of
from pretrain.hugging_face.folder import CONFIG, write_folder
from pretrain.hugging_face.weights import tensor_names, to_hugging_face
from pretrain.job import objective_of
from pretrain.monitoring.metrics import METRICS_FILE, read_metrics
from pretrain.start.parameters import starting_parameters
from pretrain.start.vocabulary import row_origins
from pretrain.subject import load_subject

RECIPE = "mini/bert"
SMALL = ("num-hidden-layers 2", "hidden-size 128", "num-attention-heads 2", "intermediate-size 512")
OTHER = ("scheme plain", "lowercase", "size 6000")
"""The other vocabulary: of eojeols and not of morphemes, lower-cased."""


@dataclass(frozen=True)
class StartFrom:
    """Trains a small model with one vocabulary, then continues it with another."""

    data: Path = Path("../shared/data")
    """Folder with corpus/petitions_*.jsonl.gz."""
    base_steps: int = 400
    """Steps of the model that is continued."""
    steps: int = 200
    """Steps with the other vocabulary."""
    learning_rate: float = 3e-4
    """Of these: its peak, after a tenth of them as warmup."""
    kept: Path = Path("runs/benchmark-start-from")
    """Folder of the runs."""


def main() -> None:
    """The command."""
    run_command(lambda: measure(tyro.cli(StartFrom)))


def measure(options: StartFrom) -> None:
    """Runs everything and writes the page."""
    if not options.data.is_dir():
        raise InputError(f"--data {options.data}: no such folder")
    base, months = options.kept / "base", options.data / "corpus" / "petitions_2019-0[56]*"
    model = [word for each in SMALL for word in f"--training.model.{each}".split()]
    prepare(base, months)
    train(base, options.base_steps, *model)
    export = base / "export"
    command("pretrain", "export", base)

    continued = options.data / "corpus" / "petitions_2017-08*"
    rate = ("--training.optimizer.learning-rate", options.learning_rate)
    runs = {name: options.kept / name for name in ("mean", "random", "scratch")}
    records = options.kept / "records"
    prepare(records, continued, *(word for each in OTHER for word in f"--data.vocabulary.{each}".split()))
    for name, run in runs.items():
        if not run.exists():
            shutil.copytree(records, run)
        start = {"mean": export, "random": options.kept / "random-rows"}.get(name)
        if name == "random" and start and not (start / CONFIG).exists():
            write_random_rows(RunFolder(runs["mean"]), export, start)
        places = ("--training.start-from", start) if start else ()
        train(run, options.steps, *model, *rate, *places)
    write_page(
        "start_from",
        "Into another vocabulary: new entries as the mean of their pieces, or at random",
        ("jax", "flax", "optax"),
        page(options, base, runs),
    )


def prepare(run: Path, source: Path, *flags: object) -> None:
    command("data_pipeline", "prepare", RECIPE, "--run-dir", run, "--source", f"petitions:{source}", *flags)


def train(run: Path, steps: int, *flags: object) -> None:
    """Trains with eight evaluations on the way."""
    command(
        *("pretrain", "train", RECIPE, "--run-dir", run, "--training.max-steps", steps),
        *("--training.optimizer.warmup-steps", steps // 10, "--training.evaluation.every-steps", max(1, steps // 8)),
        *("--training.log-every-steps", max(1, steps // 8), *flags),
    )


def command(*words: object) -> None:
    """A public command that must succeed."""
    if code := subprocess.run([sys.executable, "-m", *map(str, words)], stdout=sys.stderr).returncode:
        raise WorkError(f"{' '.join(map(str, words))}: exit code {code}")


def write_random_rows(run: RunFolder, base: Path, to: Path) -> None:
    """Writes the base in the other vocabulary, with the rows of entries that it does not have as they are drawn.

    - `run`: one that started from the base with the means, of the same seed.
    """
    objective, tokenizer = objective_of(recipe_of(run), read_header(run.examples)), Tokenizer(run.vocabulary)
    ((part, model),) = objective.parts.models.items()
    fresh = jax.device_get(jax.jit(objective.init)())
    rules = objective.rules()
    started = starting_parameters((str(base),), objective, tokenizer).params
    means, drawn = (to_hugging_face(params, rules, model.vocab_size) for params in (started, fresh))
    new = ~row_origins(load_subject(base).tokenizer, tokenizer).known
    for name, rule in tensor_names(fresh, rules, copies=False).items():
        if rule.rows == "vocabulary":
            means[name][new] = drawn[name][new]
    subject = load_subject(run.path, part=part)
    to.mkdir(parents=True, exist_ok=True)
    for name in TOKENIZER_FILES:
        if (run.vocabulary / name).exists():
            (to / name).write_bytes((run.vocabulary / name).read_bytes())
    configuration = subject.family.config_to_json(subject.config, model.vocab_size, tokenizer.special, model.heads)
    write_folder(to, means, configuration)


def page(options: StartFrom, base: Path, runs: dict[str, Path]) -> str:
    """The page's body."""
    losses = {name: held_out(run) for name, run in runs.items()}
    origins = row_origins(Tokenizer(base / "export"), Tokenizer(RunFolder(runs["mean"]).vocabulary))
    rows = [
        (
            step,
            *(f"{of_run[step]:.3f}" for of_run in losses.values()),
            f"{losses['random'][step] - losses['mean'][step]:.3f}",
        )
        for step in losses["mean"]
    ]
    of_base = held_out(base)
    return f"""
The base: {RECIPE} with {", ".join(SMALL)}, {options.base_steps:,} steps on the petitions of May and June 2019 in a vocabulary of 8,000 entries
of morphemes (held-out loss {of_base[max(of_base)]:.3f}). Continued for {options.steps} steps (peak learning rate
{options.learning_rate:g}) on those of August 2017 in one of {len(origins.known):,} ({", ".join(OTHER)}): {origins.in_words()}.
All three see the same rows with the same masks; one seed, and a base so small knows little more than frequencies. Held-out loss in nats:

{table(("step", "start_from: the mean of their pieces", "start_from: new rows at random", "from scratch", "random - mean"), rows)}
"""


def held_out(run: Path) -> dict[int, float]:
    """The held-out loss of a run by step."""
    lines = read_metrics(RunFolder(run).metrics / METRICS_FILE)
    return {line["step"]: line["evaluation_loss"] for line in lines if "evaluation_loss" in line}


if __name__ == "__main__":
    main()
