"""The errors that a user sees. Everything else is a bug and keeps its traceback."""

import errno
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

AGAIN = "and run the same command again"
MACHINE: dict[int, str] = {
    errno.ENOSPC: f"no space left on the disk; free some {AGAIN}",
    errno.EDQUOT: f"no space left on the disk (the quota is reached); free some {AGAIN}",
    errno.EROFS: f"the disk is read-only; make it writable {AGAIN}, or use another folder",
    errno.EACCES: f"no permission; see to the owner and the mode of the path {AGAIN}, or use another folder",
    errno.EPERM: f"not permitted; see to the owner and the mode of the path {AGAIN}, or use another folder",
    errno.EIO: f"the disk cannot be read or written (input/output error); see to it {AGAIN}",
    errno.EMFILE: f"too many open files; raise the limit (ulimit -n) {AGAIN}",
    errno.ENFILE: f"too many open files on this machine; close some {AGAIN}",
}
"""What a machine may refuse although the program is right, and what to do about it. Any other OSError is a bug."""
MAY_ONLY_READ = (errno.EROFS, errno.EACCES, errno.EPERM)
"""Of these what a place refuses that one may read and not write."""


class InputError(Exception):
    """The command or its input is wrong (exit code 2): one sentence naming the file, line, field or flag and the mend."""


class WorkError(Exception):
    """The work failed although the input was right (exit code 1): one sentence of what, where, and what to do."""


class UnwritableError(WorkError):
    """A place may be read and not written: what was to be recorded there beside the work itself may be left out."""


class UnfinishedError(WorkError):
    """The work was told to stop, and is saved so far (exit code 75, EX_TEMPFAIL): the same command goes on."""


def machine_error(error: BaseException, place: str | Path | None = None) -> WorkError | None:
    """An error as a sentence, if it is the machine's fault (MACHINE); None if it is another one.

    - `error`: an OSError, or the RuntimeError by which C++ libraries tell of one: the system's own words stand in it.
    - `place`: the file or folder to name; None means the one that the error names.
    """
    number = None
    if isinstance(error, OSError) and error.errno is not None:
        number, place = error.errno, place or error.filename
    elif isinstance(error, OSError | RuntimeError):
        number = next((code for code in MACHINE if os.strerror(code) in str(error)), None)
    if number not in MACHINE:
        return None
    kind = UnwritableError if number in MAY_ONLY_READ else WorkError
    return kind(f"{place}: {MACHINE[number]}" if place else MACHINE[number])


@contextmanager
def machine_errors_at(place: str | Path) -> Iterator[None]:
    """Turns what the machine refuses inside the block into a WorkError that names the place."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        known = machine_error(error, place)
        if known is None:
            raise
        raise known from None


def end_quietly_while_importing() -> None:
    """Has Ctrl-C end the process without a word from here to `run_command`: what is imported meanwhile would show a traceback."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


INTERRUPTED = 128 + signal.SIGINT
"""The exit code that shells give what Ctrl-C has ended."""


def run_command(command: Callable[[], None], *, resumes: bool = True) -> None:
    """Runs a command line's body and turns the errors that are no bug into one line on stderr and the exit code.

    - `resumes`: whether the same command, once interrupted, goes on where it was; otherwise it begins again.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.unraisablehook = _interrupt_again
    if isinstance(sys.stdout, io.TextIOWrapper) and (
        sys.stdout.errors == "strict" or not _is_utf8(sys.stdout.encoding)
    ):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal or a pipe that takes no Hangul gets \\uXXXX
    try:
        _refuse_undecoded(sys.argv[1:])
        command()
        _flush()
    except SystemExit:
        _flush()
        raise
    except InputError as error:
        _end(error, 2)
    except UnfinishedError as error:
        _end(error, os.EX_TEMPFAIL)
    except WorkError as error:
        _end(error, 1)
    except BrokenPipeError:
        _flush()
    except KeyboardInterrupt:
        _flush()
        print(f"interrupted{': run the same command again to go on from here' * resumes}", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except ModuleNotFoundError as error:
        end_for_missing_package(error)
    except OSError as error:
        known = machine_error(error)
        if known is None:
            raise
        _end(known, 1)


def _interrupt_again(passed_over: "sys.UnraisableHookArgs") -> None:
    """A Ctrl-C during a callback of the garbage collector, as JAX has one, would be passed over. It comes once more, a moment after that."""
    if issubclass(passed_over.exc_type, KeyboardInterrupt):
        main = threading.main_thread().ident
        assert main is not None
        again = threading.Timer(0.05, signal.pthread_kill, (main, signal.SIGINT))
        again.daemon = True
        again.start()
    else:
        sys.__unraisablehook__(passed_over)


def _is_utf8(encoding: str) -> bool:
    return encoding.lower().replace("-", "") == "utf8"


def _refuse_undecoded(arguments: list[str]) -> None:
    """Raises InputError for a word that Python could not decode: as a path or a text it would be another one, and cannot be recorded."""
    encoding = sys.getfilesystemencoding()
    for word in arguments:
        if not _is_utf8(encoding) and any("\udc80" <= letter <= "\udcff" for letter in word):
            shown = os.fsencode(word).decode("utf-8", "backslashreplace")
            raise InputError(
                f"{shown}: the locale's encoding, {encoding}, cannot read this; set PYTHONUTF8=1 in the environment and run again"
            )


def end_for_missing_package(error: ModuleNotFoundError) -> NoReturn:
    """Says in one sentence that this Python lacks a package, with exit code 2; a module of our own is a bug, raised again."""
    package = (error.name or "").partition(".")[0]
    if package in ("configs", "data_pipeline", "pretrain", ""):
        raise error
    _end(
        InputError(
            f"the package {package} is not installed for {sys.executable}; run ./run_tpu.sh --install-only and use "
            ".venv/bin/python"
        ),
        2,
    )


def _flush() -> None:
    """Writes what was printed, or nothing where the reader (head, less) has seen enough; Python would complain of that at its exit."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end(error: Exception, code: int) -> NoReturn:
    _flush()
    print(f"error: {' '.join(str(error).splitlines())}", file=sys.stderr)
    sys.exit(code)
