import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_run import TINY, changed

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_file import PACKAGED_CONFIGS, load_recipe, plain
from data_pipeline.contract.records import read_header
from data_pipeline.contract.run_folder import RunFolder
from pretrain.monitoring.curves.reference import (
    all_but_seed,
    compared_metrics,
    in_todays_words,
    reference_of,
    write_reference,
)
from pretrain.recipe import TrainingRecipe

LOSSES = ([5.0, 4.0], [5.2, 4.1])


def trained(run: RunFolder, recipe: TrainingRecipe, losses: list[float]) -> RunFolder:
    run.record("prepare", {"inputs": [{"path": "/somewhere/text.jsonl", "size": 70, "stamp": str(run.path)}]})
    run.metrics.mkdir()
    lines = [{"step": 10 * step, "loss": loss} for step, loss in enumerate(losses, 1)]
    (run.metrics / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (run.path / "training_recipe.json").write_text(json.dumps(plain(recipe)))
    return run


@pytest.fixture
def runs(new_run: Callable[..., RunFolder]) -> list[RunFolder]:
    return [trained(new_run(f"seed-{seed}"), changed(TINY, seed=seed), losses) for seed, losses in enumerate(LOSSES)]


def test_a_run_that_leaves_the_mean_of_others_is_told_once_until_it_is_back(
    runs: list[RunFolder], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_reference(runs, tmp_path / "tiny.json")
    kept = json.loads((tmp_path / "tiny.json").read_text())
    assert kept["curves"]["loss"] == {"10": 5.1, "20": 4.05}
    assert kept["tolerances"]["loss"] == pytest.approx(0.2)
    header = read_header(runs[0].examples)
    reference = reference_of("tiny", changed(TINY, seed=7, log_every_steps=10), header, runs[0], tmp_path)
    with caplog.at_level(logging.WARNING):
        for step, loss in ((10, 5.25), (15, 99.0), (20, 4.2)):
            reference.look(step, {"loss": loss})
        assert not caplog.records
        for step, loss in ((10, 5.4), (20, 4.4), (20, 4.0)):
            reference.look(step, {"loss": loss})
        assert [record.getMessage() for record in caplog.records] == [
            "step 10: loss 5.4000 leaves the recipe's reference curve, which has 5.1000 (within 0.2000)"
        ]
        reference.look(20, {"loss": None})
    assert "loss is not finite leaves" in caplog.records[-1].getMessage()


def test_a_run_of_something_else_is_not_compared(
    runs: list[RunFolder], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_reference(runs, tmp_path / "tiny.json")
    header = read_header(runs[0].examples)
    with caplog.at_level(logging.INFO):
        other: dict[str, Any] = {"learning_rate": 0.5}
        reference = reference_of("tiny", changed(TINY, optimizer=other), header, runs[0], tmp_path)
        reference.look(10, {"loss": 99.0})
    (line,) = [record.getMessage() for record in caplog.records]
    assert re.search(r"not compared with .*tiny\.json: recipe\.optimizer\.learning_rate: 0\.01 -> 0\.5", line)
    reference_of("without a file", TINY, header, runs[0], tmp_path).look(10, {"loss": 99.0})
    assert len(caplog.records) == 1


def test_a_reference_of_newer_code_is_not_compared_and_stops_nothing(
    runs: list[RunFolder], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_reference(runs, tmp_path / "tiny.json")
    kept = json.loads((tmp_path / "tiny.json").read_text())
    kept["trained"]["recipe"]["newer_field"] = 1
    (tmp_path / "tiny.json").write_text(json.dumps(kept))
    with caplog.at_level(logging.INFO):
        reference_of("tiny", TINY, read_header(runs[0].examples), runs[0], tmp_path).look(10, {"loss": 99.0})
    (line,) = [record.getMessage() for record in caplog.records]
    assert re.search(r"not compared with .*newer_field", line)


def test_runs_that_trained_other_things_make_no_reference(runs: list[RunFolder], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two runs or more"):
        write_reference(runs[:1], tmp_path / "x.json")
    (runs[1].path / "training_recipe.json").write_text(json.dumps(plain(changed(TINY, max_steps=7))))
    with pytest.raises(InputError, match=r"trained other than .*: recipe\.max_steps: 6 -> 7"):
        write_reference(runs, tmp_path / "x.json")


def test_a_reference_is_made_of_several_seeds_trained_to_their_end(runs: list[RunFolder], tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"seed-0: has the seed 0, as .*seed-0; give runs that differ in --training\.seed"
    ):
        write_reference([runs[0], runs[0]], tmp_path / "x.json")
    (runs[1].metrics / "metrics.jsonl").write_text('{"step": 2, "loss": 5.0}\n')
    with pytest.raises(InputError, match="seed-1: its metrics end at step 2 of 6; train it to its end first"):
        write_reference(runs, tmp_path / "x.json")
    assert not (tmp_path / "x.json").exists()


def test_the_shipped_references_are_of_the_shipped_recipes() -> None:
    paths = sorted((PACKAGED_CONFIGS / "reference").glob("*.json"))
    assert paths
    for path in paths:
        kept = json.loads(path.read_text())
        recipe = load_recipe(path.stem, "training", TrainingRecipe)[1]
        recipe = changed(recipe, model={"vocab_size": kept["trained"]["records"]["vocabulary_size"]})
        assert in_todays_words(kept["trained"])["recipe"] == all_but_seed(recipe)
        metrics = compared_metrics(recipe)
        assert set(kept["curves"]) == set(metrics)
        assert all(kept["curves"][metric] and kept["tolerances"][metric] > 0 for metric in metrics)
