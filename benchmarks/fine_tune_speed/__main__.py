"""Sequences a second of fine-tuning, ours against the loop of transformers' run_glue: same model, rows and settings.

    python -m benchmarks.fine_tune_speed                  NSMC, batches of 32
    python -m benchmarks.fine_tune_speed --batch-size 8   run_glue's default

Two to four minutes on two cores. The peers need torch, transformers and accelerate.
"""

import contextlib
import logging
import os
import statistics
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tyro

from benchmarks.fine_tune_speed.race import Race
from benchmarks.results_page import table, write_page
from benchmarks.train_step.rounds import Contender, cpu_seconds, take_turns
from data_pipeline.contract.errors import InputError, run_command
from pretrain.evaluate.tasks.registry import task_named

THREADS = 2
OURS, OURS_BFLOAT16 = "ours", "ours, bfloat16"
PADDED, DYNAMIC = "run_glue", "run_glue, dynamic padding"
ROWS = {
    OURS: "benchmarks.fine_tune_speed.ours:train_in_float32",
    OURS_BFLOAT16: "benchmarks.fine_tune_speed.ours:train_in_bfloat16",
    PADDED: "benchmarks.fine_tune_speed.trainer:train_padded",
    DYNAMIC: "benchmarks.fine_tune_speed.trainer:train_dynamic",
}
TARGETS = {PADDED: 1.5, DYNAMIC: 0.95}
PACKAGES = ("jax", "jaxlib", "flax", "torch", "transformers", "accelerate")
WHOLE = 20_000
"""Rows of the fine-tuning for which rates with compilation are given."""


@dataclass(frozen=True)
class Command:
    """Sequences a second of fine-tuning a BERT-mini, ours against run_glue's."""

    data: Path = Path("../shared/data")
    """Folder with the task's files and vocabularies/klue-bert-base.vocab.txt."""
    task: str = "nsmc"
    """A task of classes."""
    rows: int = 1600
    """Sequences a round; a multiple of the batch."""
    rounds: int = 5
    """Rounds of each row, after one of warm-up."""
    batch_size: int = 32
    """Rows a step, of all contenders."""


def main() -> None:
    """The command."""
    run_command(lambda: measure(tyro.cli(Command)))


def measure(command: Command) -> None:
    """Trains in turns and writes the page."""
    task = task_named(command.task)
    if task.kind != "classes":
        raise InputError(f"--task {command.task}: must be a task of classes, as run_glue's are")
    if command.rows % command.batch_size:
        raise InputError(f"--rows {command.rows}: must be a multiple of --batch-size {command.batch_size}")
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(THREADS)))
    settings = replace(task.settings, batch_size=command.batch_size)
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as stack:
        start = Path(place)
        write_start(start, command.data / "vocabularies" / "klue-bert-base.vocab.txt")
        race = Race(start, command.data, command.task, command.rows, command.rounds + 1, settings)
        # A program compiled before would hide what compilation costs.
        os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"
        contenders = [stack.enter_context(Contender(row, train, race)) for row, train in ROWS.items()]
        take_turns(contenders, 1, 1)
        began = cpu_seconds(each.process_id for each in contenders)
        seconds = take_turns(contenders, command.rounds, 1)
        ended = cpu_seconds(each.process_id for each in contenders)
        told = {each.row: {**each.ready, **each.finish()} for each in contenders}
    others = (ended[0] - began[0] - (ended[1] - began[1])) / (THREADS * sum(map(sum, seconds.values())))
    title = f"Fine-tuning on two CPU cores against transformers' run_glue: BERT-mini, {task.title}"
    write_page("fine_tune_speed", title, PACKAGES, page(command, seconds, told, others))


def write_start(folder: Path, vocabulary: Path) -> None:
    """A Hugging Face folder of a BERT-mini with random parameters."""
    import torch
    import transformers

    torch.manual_seed(0)
    tokenizer = transformers.BertTokenizerFast(  # type: ignore[attr-defined]  # made when it is asked for
        vocab_file=str(vocabulary), do_lower_case=False, strip_accents=False
    )
    config = transformers.BertConfig(
        vocab_size=len(tokenizer), hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024
    )
    transformers.BertForMaskedLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def page(
    command: Command, seconds: Mapping[str, list[float]], told: Mapping[str, Mapping[str, Any]], others: float
) -> str:
    """The page's body.

    - `seconds`: of each round, by row; `told`: what each row said of itself; `others`: share of the cores that other processes took.
    """
    rates = {row: command.rows / statistics.median(times) for row, times in seconds.items()}
    compiled = {row: sum(facts.get("compile", ())) for row, facts in told.items()}
    whole = {row: WHOLE / (WHOLE / rate + compiled[row]) for row, rate in rates.items()}
    lines = [
        (row, f"{rates[row]:.0f}", f"{compiled[row]:.1f}", f"{whole[row]:.0f}", f"{told[row]['loss'][-1]:.4f}")
        for row in seconds
    ]
    ratios = []
    for one in (OURS, OURS_BFLOAT16):
        for peer, target in TARGETS.items():
            each = [theirs / own for own, theirs in zip(seconds[one], seconds[peer], strict=True)]
            ratio = statistics.median(each)
            ratios.append(
                (
                    f"{one} / {peer}",
                    f"{ratio:.2f} ({min(each):.2f} to {max(each):.2f})",
                    f"{whole[one] / whole[peer]:.2f}",
                    f">= {target}: {'met' if ratio >= target else 'missed'}",
                )
            )
    mean, longest = told[OURS]["lengths"]
    return f"""
{table(("row", "sequences/s", "compilation, s", f"sequences/s of {WHOLE:,} rows with it", "loss of the last epoch"), lines)}

{table(("ratio", "median (min to max) of the rounds", f"of {WHOLE:,} rows with compilation", "target"), ratios)}

Rounds of {command.rows:,} sequences, an epoch of each row in turn, {command.rounds} of them after one of warm-up in which ours compiles a program for each
length; other processes took {others:.1%} of the cores during the rounds. Medians.

All rows: 4 layers, hidden 256, 4 heads, feed-forward 1024, the vocabulary of klue/bert-base, dropout 0.1 on hidden states and attention
probabilities; batches of {command.batch_size} of the same {command.rows:,} sequences ({mean} tokens on average, {longest} at most); AdamW, linear decay from
{task_named(command.task).settings.learning_rate:g}, gradients clipped at 1; {THREADS} threads each. Ours: `pretrain evaluate`'s loop with lengths in buckets, the state's
first placement and the batches' making included. run_glue: transformers.Trainer as the example sets it up (rows tokenised before, `default_data_collator`;
with dynamic padding `DataCollatorWithPadding`), no saving.
"""


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main()
