"""The benchmark for CPUs, with a tiny model: its rows do the same work, or no page is written."""

from pathlib import Path

import pytest
from tiny_run import TINY, changed, write_records

from benchmarks.train_step import __main__ as command
from benchmarks.train_step.page import FLAX, KERAS, LOOP, OURS, TOLERANCE, TRAINER, refuse_other_work
from benchmarks.train_step.rounds import KERAS_HUB, TRANSFORMERS_4, Setting
from data_pipeline.contract.errors import InputError, WorkError

READY = {
    OURS: {"parameters": 10, "dropouts": (0.1, 0.0), "loss": 5.0},
    LOOP: {"parameters": 10, "dropouts": (0.1, 0.0), "loss": 5.0, "logits": TOLERANCE / 2},
}
TOLD = {OURS: {"loss": 4.0}, LOOP: {"loss": 4.0}}


def test_rows_that_do_the_same_work_are_accepted() -> None:
    refuse_other_work(READY, TOLD, TOLERANCE)


@pytest.mark.parametrize(
    ("fact", "other", "message"),
    [
        ("parameters", 11, "their parameters differ"),
        ("dropouts", (0.1, 0.1), "their dropouts differ"),
        ("logits", TOLERANCE * 2, "logits differ from ours"),
        ("loss", 3.0, "does not train"),
    ],
)
def test_a_row_that_does_other_work_is_refused(fact: str, other: object, message: str) -> None:
    with pytest.raises(WorkError, match=message):
        refuse_other_work({**READY, LOOP: {**READY[LOOP], fact: other}}, TOLD, TOLERANCE)


def test_a_peer_in_a_folder_of_its_own_is_asked_for_with_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "PACKAGES", ())
    monkeypatch.setattr(command, "KERAS_HUB", tmp_path / "keras-hub")
    monkeypatch.setattr(command, "TRANSFORMERS_4", tmp_path / "transformers-4")
    command.refuse_missing("torch")
    with pytest.raises(InputError, match=r"--peer flax needs transformers 4 in .*; \./run_tests\.sh installs it"):
        command.refuse_missing("flax")
    (tmp_path / "transformers-4").mkdir()
    command.refuse_missing("flax")
    with pytest.raises(InputError, match=r"pip install --no-deps --target .*/keras-hub keras==\S+ keras-hub==\S+`"):
        command.refuse_missing("keras")
    assert f"--target .venv/keras-hub {' '.join(command.KERAS_PACKAGES)}" in Path("benchmarks/README.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("peer", [TRAINER, FLAX, KERAS])  # test_train_step_gpu has the plain loop
def test_a_peer_begins_with_our_model_and_trains_it(peer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("accelerate", reason="accelerate is not installed (extra [benchmarks])")
    folder = {FLAX: TRANSFORMERS_4, KERAS: KERAS_HUB}.get(peer)
    if folder is not None and not folder.is_dir():
        pytest.skip(f"{folder} is not installed")
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    write_records(tmp_path / "examples")
    recipe = changed(TINY, model={"hidden_dropout_prob": 0.1}, max_steps=100)
    measured = command.measure(Setting(tmp_path, recipe, 4), 2, (OURS, peer))
    ours, theirs = (measured.ready[row] for row in (OURS, peer))
    assert theirs["logits"] < TOLERANCE
    assert theirs["dropouts"] == ours["dropouts"] == (0.1, 0.0)
    assert theirs["loss"] == pytest.approx(ours["loss"], abs=1e-5)
    assert measured.told[peer]["loss"] < theirs["loss"]
    assert len(measured.seconds[peer]) == 2
