"""train --check: what is wrong with a command is said before there are records, by any machine."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_run import changed

from configs.quickstart import data, training
from data_pipeline.contract.errors import InputError
from data_pipeline.contract.run_folder import RunFolder
from pretrain.commands.needs import run as needs
from pretrain.commands.train import run as train
from pretrain.planning.command_check import check_command, planned_headers
from pretrain.recipe import Phase, TrainingRecipe

WRONG = [
    (["--training.max-stepz", "5"], "--training.max-stepz: no such flag; did you mean --training.max-steps?"),
    (["--training.max-steps", "5", "quickstart"], "quickstart: is neither a flag nor the value of one, after 5"),
    (["--training.optimizer.learning-rate", "-1"], "--training.optimizer.learning-rate -1.0: must be 0 or more"),
    (["--training.attention", "flash"], "--training.attention flash: must be one of 'auto', "),
    (
        ["--training.global-batch-size", "30", "--training.mesh.fsdp", "8"],
        "--training.global-batch-size 30: cannot be divided",
    ),
    (["--training.global-batch-size", "30", "--on", "v3-8"], "--training.global-batch-size 30: cannot be divided"),
    (["--training.attention", "splash", "--on", "v3-8"], "--training.attention splash: is made for TPUs from v4 on"),
    (["--training.model.num-attention-heads", "3"], "--training.model.hidden-size 128: must be a multiple"),
    (
        ["--training.model.max-position-embeddings", "64"],
        "--training.model.max-position-embeddings 64: the records' rows have 128",
    ),
    (
        ["--data.examples.length", "256"],
        "--training.model.max-position-embeddings 128: the records' rows have 256 tokens",
    ),
    (["--training.start-from", "absent"], "--training.start-from absent: "),
    (["--training.max-steps", "3"], "--training.optimizer.warmup-steps 30: must be below --training.max-steps 3"),
    (["--training.stop-at-step", "900"], "--training.stop-at-step 900: must be 1 to --training.max-steps 300"),
    (["--profile", "5"], "--profile 5: must be FIRST:LAST"),
    (["--on", "v9-8"], "--on v9-8: no such machine"),
    (["--run-dir", "absent"], "absent: "),
]


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    return tmp_path


@pytest.mark.parametrize(("flags", "sentence"), WRONG, ids=[" ".join(flags) for flags, _ in WRONG])
def test_a_wrong_command_is_told_and_nothing_is_written(flags: list[str], sentence: str, empty: Path) -> None:
    with pytest.raises(InputError) as found:
        train(["quickstart", *flags, "--check"])
    assert str(found.value).startswith(sentence)
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize(
    "flags", [[], ["--on", "v3-8"], ["--on", "here"], ["--data.examples.length", "64", "--training.max-steps", "50"]]
)
def test_a_right_command_passes(flags: list[str], empty: Path) -> None:
    train(["quickstart", *flags, "--check"])
    assert list(empty.iterdir()) == []


def test_a_prepared_run_is_checked_by_its_records(tiny: TrainingRecipe, new_run: Callable[..., RunFolder]) -> None:
    run = new_run()
    run.record("prepare", {})
    with pytest.raises(InputError, match=r"--training\.model\.max-position-embeddings 8: the records' rows have"):
        train(["quickstart", "--run-dir", str(run.path), "--training.model.max-position-embeddings", "8", "--check"])


def test_phases_need_their_lengths_and_categories() -> None:
    two = dataclasses.replace(data, other_lengths=(64,))
    phases = (Phase(64, 0.5), Phase(128, 0.5))
    check_command(changed(training, phases=phases), planned_headers(two), None)
    with pytest.raises(
        InputError, match=r"phases.0.length 64: the records have rows of 128 tokens; prepare with --data.other-l"
    ):
        check_command(changed(training, phases=phases), planned_headers(data), None)
    weighed = (Phase(64, 0.5), Phase(128, 0.5, category_weights=(("web", 2.0),)))
    with pytest.raises(InputError, match=r"phases.1.category_weights: the records do not know categories"):
        check_command(changed(training, phases=weighed), planned_headers(two), None, categories=False)


def test_a_slice_is_checked_before_it_is_booked(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r"--training\.global-batch-size 30: cannot be divided"):
        needs(["quickstart", "--training.global-batch-size", "30", "--on", "v5e-8"])
    needs(["quickstart", "--training.global-batch-size", "30", "--on", "v4-16"])  # of which nothing is known here


def test_a_machine_without_check_is_refused() -> None:
    with pytest.raises(InputError, match="--on v3-8: goes with --check"):
        train(["quickstart", "--on", "v3-8"])
