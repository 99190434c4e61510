import importlib
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from data_pipeline.contract.errors import InputError, UnfinishedError, WorkError, run_command


@pytest.mark.parametrize(("error", "code"), [(InputError, 2), (WorkError, 1), (UnfinishedError, os.EX_TEMPFAIL)])
def test_the_exit_code_says_what_kind_of_end_it_is(
    error: type[Exception], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error("a sentence")

    with pytest.raises(SystemExit) as ended:
        run_command(fail)
    assert ended.value.code == code
    assert capsys.readouterr().err == "error: a sentence\n"


@pytest.mark.parametrize("room", ["data_pipeline", "pretrain"])
def test_ctrl_c_ends_every_command_as_shells_expect_and_says_what_running_again_does(
    room: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main = importlib.import_module(f"{room}.__main__")

    def interrupted(_: list[str]) -> None:
        print("a line")
        raise KeyboardInterrupt

    said: dict[str, str] = {}
    for name, entry in list(main.COMMANDS.items()):
        fake: tuple[Callable[[list[str]], None], str, str] = (interrupted, *entry[1:])
        monkeypatch.setitem(main.COMMANDS, name, fake)
        monkeypatch.setattr(sys, "argv", [room, name])
        with pytest.raises(SystemExit) as ended:
            main.main()
        assert ended.value.code == 130
        printed = capsys.readouterr()
        assert printed.out == "a line\n"
        said[name] = printed.err
    again = "interrupted: run the same command again to go on from here\n"
    assert {name for name, sentence in said.items() if sentence == again} == set(main.RESUMING)
    assert {sentence for sentence in said.values() if sentence != again} == {"interrupted\n"}


def test_ctrl_c_that_a_destructor_passes_over_ends_the_command() -> None:
    code = (
        "import signal\n"
        "from data_pipeline.contract.errors import run_command\n"
        "class Closing:\n"
        "    def __del__(self):\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "def command():\n"
        "    Closing()\n"
        "    while True:\n"
        "        pass\n"
        "run_command(command)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.splitlines()) == (
        130, ["interrupted: run the same command again to go on from here"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("word", "code", "out", "err"),
    [
        ("runs/a", 0, "\\uae00\n", ""),
        (
            "실행",
            2,
            "",
            "error: \\uc2e4\\ud589: the locale's encoding, ascii, cannot read this; set PYTHONUTF8=1 in the environment and run again\n",
        ),
    ],
)
def test_in_a_locale_without_hangul_it_is_shown_by_code_and_refused_as_a_flag(
    word: str, code: int, out: str, err: str
) -> None:
    script = "from data_pipeline.contract.errors import run_command; run_command(lambda: print('\\uae00'))"
    locale = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", script, word.encode()], env={**os.environ, **locale}, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr.replace("us-ascii", "ascii")) == (code, out, err)
