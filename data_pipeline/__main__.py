"""python -m data_pipeline COMMAND: a table of the commands, each a file in data_pipeline/commands/."""

import logging
import sys
from collections.abc import Callable

from data_pipeline.contract.errors import end_for_missing_package, end_quietly_while_importing, run_command

try:
    if __name__ == "__main__":
        end_quietly_while_importing()
    from data_pipeline.commands import contaminated, diff, export_text, inspect, prepare, report, vocabulary
except ModuleNotFoundError as error:
    end_for_missing_package(error)

COMMANDS: dict[str, tuple[Callable[[list[str]], None], str, str]] = {
    "prepare": (prepare.run, "RECIPE", "raw corpora to records"),
    "inspect": (inspect.run, "RUN_DIR", "training rows as a person would read them"),
    "report": (report.run, "RUN_DIR", "counts by stage and reason, examples of what was dropped; a page with plots"),
    "diff": (diff.run, "RUN_DIR RUN_DIR", "which sentences and counts differ between two runs, and through which step"),
    "export-text": (export_text.run, "RUN_DIR --to DIR", "the cleaned text as a data set, with its card"),
    "contaminated": (
        contaminated.run,
        "FORMAT:GLOB ... --benchmark PATH",
        "which benchmark texts stand in a corpus",
    ),
    "vocabulary": (
        vocabulary.run,
        "extend VOCABULARY --source FORMAT:GLOB --to DIR",
        "fill [unusedN] rows with a domain's words",
    ),
}
"""Name -> what runs it, what it takes, what it is for."""
RESUMING = ("prepare", "contaminated", "vocabulary")
"""Commands that continue where they were when run again after Ctrl-C."""


def usage() -> str:
    """What --help prints: a line for each command."""
    lines = (f"  {f'{name} {takes}':<17}  {summary}" for name, (_, takes, summary) in COMMANDS.items())
    return "\n".join(
        [
            "usage: python -m data_pipeline COMMAND ...\n",
            *lines,
            "\npython -m data_pipeline COMMAND --help lists every field.",
        ]
    )


def main() -> None:
    """The command line."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("absl").setLevel(logging.WARNING)  # TensorFlow Datasets tells of every file it opens
    run_command(lambda: _run(sys.argv[1:]), resumes=sys.argv[1:2] in [[name] for name in RESUMING])


def _run(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        sys.exit(0 if arguments else 2)
    if arguments[0] not in COMMANDS:
        print(f"error: {arguments[0]}: no such command\n{usage()}", file=sys.stderr)
        sys.exit(2)
    command = COMMANDS[arguments[0]][0]
    command(arguments[1:])


if __name__ == "__main__":
    main()
