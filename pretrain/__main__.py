"""python -m pretrain COMMAND: a table of the commands, each a file in pretrain/commands/."""

import logging
import sys
from collections.abc import Callable

from data_pipeline.contract.errors import (
    WorkError,
    end_for_missing_package,
    end_quietly_while_importing,
    run_command,
)

try:
    if __name__ == "__main__":
        end_quietly_while_importing()
    from pretrain.commands import bench_input, compare, evaluate, export, inspect, leaderboard, plan, reference, train
    from pretrain.commands.asking import embed, fill, playground, predict
except ModuleNotFoundError as error:
    end_for_missing_package(error)

COMMANDS: dict[str, tuple[Callable[[list[str]], None], str, str]] = {
    "train": (train.run, "RECIPE", "records to checkpoints; starts or resumes"),
    "plan": (plan.run, "RECIPE", "memory, traffic, days and chip-hours on a machine that is not there"),
    "inspect": (inspect.run, "RUN_DIR", "the batch of a step, what the model should say of it, and what it says"),
    "export": (export.run, "RUN_DIR", "a checkpoint as a Hugging Face folder, proven"),
    "fill": (fill.run, "RUN_DIR", "what an export answers: words for [MASK], replaced tokens, continuations"),
    "playground": (playground.run, "RUN_DIR ...", "a page in the browser: models side by side"),
    "evaluate": (evaluate.run, "MODEL ...", "the scores of a task or a suite, after fine-tuning with several seeds"),
    "leaderboard": (leaderboard.run, "FOLDER ...", "evaluations side by side: who is ahead, published scores, curves"),
    "predict": (predict.run, "MODEL", "what a fine-tuned model says of the texts of a file"),
    "embed": (embed.run, "MODEL", "vectors of the texts of a file, and which are alike; for sentence-transformers"),
    "compare": (compare.run, "RUN_DIR ...", "the curves of several runs in one PNG or HTML file"),
    "reference": (reference.run, "RUN_DIR ...", "the reference curve of a recipe, from runs of several seeds"),
    "bench-input": (
        bench_input.run,
        "RUN_DIR",
        "rows that this machine makes ready in a second, without any accelerator",
    ),
}
"""Name -> what runs it, what it takes, what it is for."""
RESUMING = ("train", "evaluate", "export")
"""Commands that continue where they were when run again after Ctrl-C."""


def usage() -> str:
    """What --help prints: a line for each command."""
    lines = (f"  {f'{name} {takes}':<22}  {summary}" for name, (_, takes, summary) in COMMANDS.items())
    return "\n".join(
        ["usage: python -m pretrain COMMAND ...\n", *lines, "\npython -m pretrain COMMAND --help lists every field."]
    )


def within_memory(command: Callable[[list[str]], None], arguments: list[str]) -> None:
    """Runs a command; raises WorkError where the memory of the devices does not suffice."""
    try:
        command(arguments)
    except RuntimeError as error:  # XLA's own, which says so in words only
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        said = str(error).partition("RESOURCE_EXHAUSTED:")[2].strip().partition("\n")[0].rstrip(".")
        raise WorkError(
            f"the devices have too little memory ({said}); make batches or rows smaller, or use more devices"
        ) from None


def main() -> None:
    """The command line."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("jax").setLevel(logging.WARNING)  # it tells of every backend that is not there
    logging.getLogger("absl").setLevel(logging.WARNING)  # of every file opened
    for name in ("onnx_ir", "onnxscript", "tensorflow"):
        logging.getLogger(name).setLevel(logging.WARNING)  # of every constant of a model that is written
    run_command(lambda: _run(sys.argv[1:]), resumes=sys.argv[1:2] in [[name] for name in RESUMING])


def _run(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        sys.exit(0 if arguments else 2)
    if arguments[0] not in COMMANDS:
        print(f"error: {arguments[0]}: no such command\n{usage()}", file=sys.stderr)
        sys.exit(2)
    command = COMMANDS[arguments[0]][0]
    within_memory(command, arguments[1:])


if __name__ == "__main__":
    main()
