"""What a notebook calls does what the commands do."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_run import changed

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.run_folder import RunFolder
from pretrain.api import export, train
from pretrain.recipe import TrainingRecipe

pytestmark = pytest.mark.usefixtures("shared_programs")


def test_a_recipe_is_trained_and_exported(
    tiny: TrainingRecipe, new_run: Callable[..., RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pretrain.exporting.export.prove", lambda *_: "not proven")  # other tests' business
    run = new_run()
    run.record("prepare", {})  # what makes a folder a run
    train(changed(tiny, max_steps=3, evaluation={"rows": 0}), run.path, name="mine")
    written = export(str(run.path))
    assert (written.place, written.run.path, written.step) == (run.path / "export", run.path, 3)
    assert export(run.path, tmp_path / "elsewhere", step=3).place == tmp_path / "elsewhere"
    with pytest.raises(InputError, match="step 7"):
        export(run.path, step=7)


def test_a_run_that_is_not_there_is_named(tiny: TrainingRecipe, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        train(tiny, tmp_path / "nowhere")
    with pytest.raises(InputError, match="no_such_recipe"):
        train("no_such_recipe", tmp_path)
