"""The two errors that a user sees. Everything else is a bug and keeps its traceback."""

import os
import sys
from collections.abc import Callable


class InputError(Exception):
    """The command or its input is wrong (exit code 2): one sentence naming the file, line, field or flag and the mend."""


class WorkError(Exception):
    """The work failed although the input was right (exit code 1): one sentence of what, where, and what to do."""


def run_command(command: Callable[[], None]) -> None:
    """Runs a command line's body and turns the two user errors into one line on stderr and the exit code."""
    try:
        command()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except WorkError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        # The reader (head, less) has seen enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("interrupted: run the same command again to go on from here", file=sys.stderr)
        sys.exit(1)
