"""Fixtures of the tests of mistakes; plain helpers stand in harness.py."""

import importlib
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import (
    Mistake,
    Ran,
    SmallDisk,
    assert_only_whole,
    prepare_command,
    results,
    run_process,
    write_workplace,
)
from training_runs import EXPORT, TRAIN, copy_run, without_transformers

RunCommandLine = Callable[..., Ran]


@pytest.fixture
def run_command_line(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> RunCommandLine:
    """A command line in this process: run_command_line("data_pipeline", "prepare", ...) -> Ran."""

    def run(room: str, *arguments: object) -> Ran:
        main = importlib.import_module(f"{room}.__main__").main
        code = 0
        capfd.readouterr()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", [room, *map(str, arguments)])
            patch.setenv("COLUMNS", "200")
            try:
                main()
            except SystemExit as exit_:
                code = int(exit_.code or 0)
        printed = capfd.readouterr()
        return Ran(code, printed.out, printed.err)

    return run


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], SmallDisk]]:
    """small_disk("300k") -> a SmallDisk, unmounted after the test; the test is skipped where none can be mounted."""
    disks: list[SmallDisk] = []

    def mount(size: str) -> SmallDisk:
        try:
            disks.append(SmallDisk(tmp_path / f"disk-{len(disks)}", size))
        except OSError as error:
            pytest.skip(str(error))
        return disks[-1]

    yield mount
    for disk in disks:
        disk.close()


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh folder with the tiny recipe and its corpus, which is the working directory during the test."""
    folder = write_workplace(tmp_path / "work")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="session")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of the tiny recipe, prepared without any mistake; read only (copy it to work on)."""
    folder = write_workplace(tmp_path_factory.mktemp("unbroken"))
    run_process(*prepare_command(), cwd=folder).success()
    return folder / "run"


@pytest.fixture
def make_and_mend(workplace: Path, run_command_line: RunCommandLine, unbroken: Path) -> Callable[[Mistake], None]:
    """Makes a mistake, reads its sentence, mends it, and wants the records of a run that never failed."""

    def check(mistake: Mistake) -> None:
        mistake.make()
        sentence = run_command_line(*prepare_command(*mistake.flags)).sentence(mistake.code)
        assert re.fullmatch(mistake.message, sentence), sentence
        run_dir = workplace / "run"
        if mistake.early:
            assert not (run_dir / "corpus").exists(), "work was done before the mistake was found"
        assert_only_whole(run_dir)
        assert not (run_dir / "examples" / "header.json").exists(), "records of a failed run are published"
        if mistake.mend is None:
            for path in workplace.iterdir():
                if path != run_dir:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            write_workplace(workplace)
        else:
            mistake.mend()
        flags = mistake.flags if mistake.mended_flags is None else mistake.mended_flags
        run_command_line(*prepare_command(*flags)).success()
        never_failed = unbroken
        if flags or mistake.mend:
            never_failed = workplace / "never-failed"
            run_command_line(*prepare_command(*flags, run_dir=never_failed)).success()
        assert results(run_dir) == results(never_failed)

    return check


@pytest.fixture(scope="module")
def quick_jax() -> Iterator[None]:
    """The runs of one recipe share their programs, and processes get eight devices, too."""
    from compiled_once import traced_once

    with traced_once(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_NUM_CPU_DEVICES", "8")
        yield


@pytest.fixture(scope="session")
def place_of_never_failed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("never_failed")


@pytest.fixture(scope="module")
def never_failed(unbroken: Path, quick_jax: None, place_of_never_failed: Path) -> Path:
    """A workplace whose run is prepared, trained and exported in this process without any mistake; read only."""
    folder = place_of_never_failed
    if (folder / "run").exists():  # made for another module
        return folder
    write_workplace(folder)
    copy_run(unbroken, folder / "run")
    from pretrain.__main__ import main

    for command in (TRAIN, EXPORT):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.setattr(sys, "argv", [str(word) for word in command])
            without_transformers(patch)
            main()
    return folder


@pytest.fixture
def prepared(unbroken: Path, workplace: Path, quick_jax: None) -> Path:
    """A run folder `run` in the working directory, prepared and not trained yet."""
    return copy_run(unbroken, workplace / "run")


@pytest.fixture
def trained(never_failed: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run folder `run` in the working directory, prepared, trained and exported; transformers seems not to be installed."""
    without_transformers(monkeypatch)
    return copy_run(never_failed / "run", workplace / "run")
