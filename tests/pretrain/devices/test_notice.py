"""Ctrl-C and a closed terminal save as SIGTERM does; a second Ctrl-C ends at once; during imports Ctrl-C is silent."""

import os
import pty
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from data_pipeline.contract.errors import UnfinishedError
from pretrain.devices.preemption import INTERRUPTED, Notice

ROOT = Path(__file__).parents[3]
STEPS = """
    import signal, sys, time

    sys.path.insert(0, {root!r})
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN if {ignored} else signal.SIG_DFL)
    if not {ignored}:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    from data_pipeline.contract.errors import UnfinishedError, run_command
    from pretrain.devices.preemption import Notice

    def train():
        with Notice(lambda: 4) as notice:
            print("set up", flush=True)
            if {first}:
                time.sleep({first})
            for step in range(5, 2000):
                if notice.stops_after(step):
                    print("saved", flush=True)
                    raise UnfinishedError(f"stopped by {{notice.name}} at step {{step}}, which is saved")
                if step == 5:
                    print("stepping", flush=True)
                {step}
    run_command(train)
"""


def start(*, first: float = 0, step: str = "time.sleep(0.02)", ignored: bool = False) -> "subprocess.Popen[str]":
    script = textwrap.dedent(STEPS).format(root=str(ROOT), first=first, step=step, ignored=ignored)
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def read_until(process: "subprocess.Popen[str]", line: str) -> None:
    assert process.stdout is not None
    for found in process.stdout:
        if found == f"{line}\n":
            return
    raise AssertionError(process.communicate()[1])


@pytest.mark.parametrize(
    ("number", "named"),
    [(signal.SIGINT, "Ctrl-C"), (signal.SIGHUP, "SIGHUP, as of a closed terminal,"), (signal.SIGTERM, "SIGTERM")],
)
def test_a_signal_saves_the_step_and_ends_with_the_code_that_says_so(number: int, named: str) -> None:
    process = start()
    read_until(process, "stepping")
    process.send_signal(number)
    out, error = process.communicate(timeout=60)
    assert process.returncode == os.EX_TEMPFAIL, error
    assert out == "saved\n"
    assert f"error: stopped by {named} at step " in error
    assert "Traceback" not in error


def test_before_the_first_step_there_is_nothing_to_save() -> None:
    process = start(first=60)
    read_until(process, "set up")
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=30)[1]
    assert process.returncode == os.EX_TEMPFAIL
    assert error.endswith("error: stopped by Ctrl-C before a step was trained: run again to start from step 4\n")


def test_a_second_ctrl_c_ends_at_once_even_inside_a_compiler() -> None:
    """The main thread is in a call that does not return to Python, and so to its handlers, before it is done, as XLA's compiler is."""
    process = start(step='__import__("hashlib").pbkdf2_hmac("sha256", b"", b"", 50_000_000)')
    read_until(process, "stepping")
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
    error = process.communicate(timeout=30)[1]
    assert process.returncode == INTERRUPTED
    assert error.splitlines()[-1] == "ended by Ctrl-C without saving: the next start continues from step 4"
    assert "Traceback" not in error


def test_what_a_shell_has_ignored_stays_ignored() -> None:
    process = start(ignored=True)
    read_until(process, "stepping")
    for number in (signal.SIGINT, signal.SIGHUP):
        process.send_signal(number)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == os.EX_TEMPFAIL


def test_a_closed_terminal_does_not_keep_the_step_from_being_saved(tmp_path: Path) -> None:
    """What is written to it would fail from then on."""
    saved = tmp_path / "saved"
    step = (
        f'time.sleep(0.02); sys.stderr.write("a bar"); sys.stderr.flush(); open({str(saved)!r}, "w").write(str(step))'
    )
    script = textwrap.dedent(STEPS).format(root=str(ROOT), first=0, step=step, ignored=False)
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-c", script])
    shown = b""
    while b"stepping" not in shown:
        shown += os.read(terminal, 1000)
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == os.EX_TEMPFAIL


def test_handlers_are_as_they_were_afterwards() -> None:
    numbers = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    with Notice() as notice:
        assert notice.stops_after(1) is False
        os.kill(os.getpid(), signal.SIGTERM)
        assert notice.stops_after(2) is True
    with pytest.raises(UnfinishedError, match=r"stopped by SIGTERM before a step"), Notice():
        signal.raise_signal(signal.SIGTERM)
    assert [signal.getsignal(number) for number in numbers] == before
    assert signal.set_wakeup_fd(-1) == -1


@pytest.mark.parametrize("room", ["pretrain", "data_pipeline"])
def test_ctrl_c_in_the_first_seconds_shows_no_traceback(room: str, tmp_path: Path) -> None:
    """From when Python runs our first line: modules are imported, the command line is parsed, a command begins."""

    def interrupted(after: float) -> tuple[int, str]:
        command = {"pretrain": ["train", "quickstart"], "data_pipeline": ["report", str(tmp_path)]}[room]
        process = subprocess.Popen(
            [sys.executable, "-c", FIRST_LINE.format(room=room), *command],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        read_until(process, "first line")
        time.sleep(after)
        process.send_signal(signal.SIGINT)
        error = process.communicate(timeout=60)[1]
        return process.returncode, error

    for after in (0.0, 0.1, 0.25, 0.5, 1.0):
        code, error = interrupted(after)
        assert "Traceback" not in error, f"after {after} s: {error}"
        assert code in (-signal.SIGINT, 130, 2, os.EX_TEMPFAIL), (code, error)


FIRST_LINE = """
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from data_pipeline.contract import errors
quiet = errors.end_quietly_while_importing
def told():
    quiet()
    print("first line", flush=True)
errors.end_quietly_while_importing = told
runpy.run_module({room!r}, run_name="__main__", alter_sys=True)
"""
