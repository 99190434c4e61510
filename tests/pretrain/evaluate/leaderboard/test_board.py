"""The leaderboard of evaluations that lie in folders: who is ahead, and what is not said."""

import json
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

from data_pipeline.contract import packages
from data_pipeline.contract.errors import InputError
from pretrain.commands import leaderboard as command
from pretrain.evaluate.leaderboard import curves
from pretrain.evaluate.leaderboard.outcomes_file import write_outcomes
from pretrain.evaluate.leaderboard.task_page import task_page
from pretrain.evaluate.selection import summaries


def evaluated(folder: Path, rates: list[float], count: int, task: str = "nsmc", **changes: Any) -> Path:
    """A model's folder with an evaluation whose seeds answer these shares of the items rightly, the first ones."""
    metric = changes.get("metric", "nsmc_acc")
    scores = [{metric: rate} for rate in rates]
    curve = {"epoch": 1, "loss": 0.5, "accuracy": 0.7, "train": 1.0, "predict": 0.5, "compile": 2.0}
    result = {
        "task": task,
        "title": task.upper(),
        "model": str(folder),
        "split": "test",
        "metric": metric,
        "selected": "last epoch",
        "scores": summaries(scores),
        "part": {
            "train": "10 rows (the official train file has 150,000)",
            changes.get("split", "test"): f"{count} rows",
        },
        "items": {"count": count, "sha256": "same"},
        "settings": {
            "seeds": list(range(len(rates))),
            "epochs": 1.0,
            "batch_size": 8,
            "learning_rate": 1e-3,
            "frozen": False,
        },
        "steps": 2,
        "devices": "1 x cpu",
        "seconds": {"train": 2.0, "predict": 1.0, "compile": 3.0},
        "accelerator_hours": 0.5,
        "epochs": {str(seed): [{**curve, "scores": {"test": each}}] for seed, each in enumerate(scores)},
        **changes,
    }
    to = folder / "evaluation"
    right = {seed: (np.arange(count)[:, None] < rate * count).astype(np.float64) for seed, rate in enumerate(rates)}
    write_outcomes(to / task, right)
    (to / f"{task}.json").write_text(json.dumps(result))
    return folder


def board_of(tmp_path: Path, *folders: Path) -> tuple[dict[str, Any], str]:
    command.run([*map(str, folders), "--to", str(tmp_path / "board")])
    return json.loads((tmp_path / "board" / "leaderboard.json").read_text()), (
        tmp_path / "board" / "leaderboard.md"
    ).read_text()


def test_models_are_ahead_behind_or_tied_and_the_best_are_bold(tmp_path: Path) -> None:
    rates = {"good": [0.90, 0.91], "as_good": [0.902, 0.908], "poor": [0.80, 0.81]}
    facts, page = board_of(tmp_path, *(evaluated(tmp_path / name, each, 2000) for name, each in rates.items()))
    (task,) = facts["tasks"]
    assert [(each["first"], each["second"], each["verdict"]) for each in task["comparisons"]] == [
        ("good", "as_good", "tie"),
        ("good", "poor", "ahead"),
        ("as_good", "poor", "ahead"),
    ]
    ahead = task["comparisons"][1]
    assert ahead["difference"] == pytest.approx(0.1)
    assert 0 < ahead["low"] < 0.1 < ahead["high"]
    assert "| good | here | **90.50 ± 0.71** |" in page
    assert "| as\\_good | here | **90.50 ± 0.42** |" in page
    assert "| poor | here | 80.50 ± 0.71 |" in page
    assert "| good | poor | +10.00 |" in page
    assert "| ahead |" in page
    assert "trained on 10 rows (the official train file has 150,000), scored on 2000 rows" in page


def test_a_small_set_shows_intervals_and_ranks_nobody(tmp_path: Path) -> None:
    folders = [evaluated(tmp_path / name, [rate], 999) for name, rate in (("good", 0.9), ("poor", 0.5))]
    facts, page = board_of(tmp_path, *folders)
    assert not facts["tasks"][0]["ranked"]
    assert "not ranked |" in page
    assert "| ahead |" not in page
    assert "**" not in page


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"items": {"count": 2000, "sha256": "other"}}, "different items"),
        ({"metric": "macro_f1"}, "another metric"),
        ({"split": "dev"}, "another split"),
    ],
)
def test_models_on_different_items_are_not_compared(changes: dict[str, Any], reason: str, tmp_path: Path) -> None:
    folders = [evaluated(tmp_path / "a", [0.9], 2000), evaluated(tmp_path / "b", [0.5], 2000, **changes)]
    facts, page = board_of(tmp_path, *folders)
    assert facts["tasks"][0]["comparisons"] == []
    assert reason in facts["tasks"][0]["not_compared"][0]["reason"]
    assert "a and b are not compared" in page
    assert ("b" in facts["tasks"][0]["scores"]) == ("items" in changes), "another metric is not shown as this one"


def test_the_outcomes_of_another_evaluation_are_refused(tmp_path: Path) -> None:
    a, b = (evaluated(tmp_path / name, [0.9], 2000, outcomes=sha256) for name, sha256 in (("a", None), ("b", "other")))
    with pytest.raises(
        InputError, match=r"b/evaluation/nsmc/outcomes\.npz: is not what nsmc\.json is of; run the same"
    ):
        board_of(tmp_path, a, b)
    kept = a / "evaluation" / "nsmc" / "outcomes.npz"
    kept.write_bytes(kept.read_bytes()[:-50])
    with pytest.raises(InputError, match=r"a/evaluation/nsmc/outcomes\.npz: damaged \(.*\); run the same"):
        board_of(tmp_path, a, b)


def test_a_folder_of_two_models_is_no_row(tmp_path: Path) -> None:
    folder = evaluated(tmp_path / "a", [0.9], 2000)
    evaluated(folder, [0.8], 2000, "kornli", metric="kornli_acc", model="runs/b")
    with pytest.raises(
        InputError, match=r"evaluation: kornli\.json is of runs/b and nsmc\.json is of .*a; move one away"
    ):
        board_of(tmp_path, folder)


def test_two_folders_or_steps_of_one_name_are_two_models(tmp_path: Path) -> None:
    for name, one, other in (
        ("exports", {"model": "x/export"}, {"model": "y/export"}),
        ("steps", {"model": "runs/a", "step": 100}, {"model": "runs/a", "step": 200}),
    ):
        folder = evaluated(tmp_path / name, [0.9], 2000, tensors_sha256="1", **one)
        evaluated(folder, [0.8], 2000, "kornli", metric="kornli_acc", tensors_sha256="2", **other)
        with pytest.raises(
            InputError, match=f"kornli.json is of {other['model']}.* and nsmc.json is of {one['model']}"
        ):
            board_of(tmp_path, folder)


def test_a_model_that_moved_or_was_evaluated_by_older_code_too_is_one(tmp_path: Path) -> None:
    folder = evaluated(tmp_path / "a", [0.9], 2000, model="here/a", tensors_sha256="1")
    evaluated(folder, [0.8], 2000, "kornli", metric="kornli_acc", model="there/a")
    assert [len(task["scores"]) for task in board_of(tmp_path, folder)[0]["tasks"]] == [1, 1]


def test_the_step_of_a_run_is_said(tmp_path: Path) -> None:
    _, page = board_of(tmp_path, evaluated(tmp_path / "a", [0.9], 2000, step=1000))
    assert "nsmc.md>): step 1,000; last epoch;" in page


def test_a_metric_that_is_not_kept_by_item_is_said_to_be_so(tmp_path: Path) -> None:
    folders = [evaluated(tmp_path / name, [50.0], 2000, "klue_re", metric="klue_re_auprc") for name in "ab"]
    facts, _ = board_of(tmp_path, *folders)
    assert facts["tasks"][0]["not_compared"][0]["reason"] == "klue_re_auprc is not kept by item"


def test_runs_in_a_bucket_are_compared_with_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder, good = (evaluated(tmp_path / name, [rate], 2000) for name, rate in (("poor", 0.8), ("good", 0.9)))
    (good / "manifest.json").write_text("{}")
    filesystem = fsspec.filesystem("memory")
    filesystem.put(str(good), "/board/good", recursive=True)
    try:
        command.run(["memory://board/good", str(folder), "--to", str(tmp_path / "board")])
    finally:
        filesystem.rm("/board", recursive=True)
    (task,) = json.loads((tmp_path / "board" / "leaderboard.json").read_text())["tasks"]
    assert [(each["first"], each["second"], each["verdict"]) for each in task["comparisons"]] == [
        ("good", "poor", "ahead")
    ]


def test_published_rows_stand_beside_with_empty_cells_and_marks(tmp_path: Path) -> None:
    folder = evaluated(tmp_path / "a", [0.9], 2000)
    evaluated(folder, [0.8], 2000, "kornli", metric="kornli_acc")
    evaluated(folder, [0.8], 2000, "mine", metric="accuracy")
    _, page = board_of(tmp_path, folder)
    (funnel,) = (line for line in page.splitlines() if line.startswith("| funnel-kor-base"))
    assert funnel == "| funnel-kor-base | KoELECTRA's README and later ones | 91.36* |  |  |"
    assert "KLUE-BERT-base" not in page, "it has no score on these tasks"


def test_evaluations_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="name the folders"):
        command.run([])
    with pytest.raises(InputError, match=r"evaluation: holds no evaluation; make one with"):
        command.run([str(tmp_path)])
    folder = evaluated(tmp_path / "old", [0.9], 10)
    path = folder / "evaluation" / "nsmc.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in told.items() if name != "items"}))
    with pytest.raises(InputError, match=r"nsmc\.json: does not say which items were scored; run the same"):
        command.run([str(folder / "evaluation")])


def test_a_page_without_matplotlib_has_no_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(packages, "import_module", missing)
    assert (
        curves.curves_png(
            {"a": json.loads((evaluated(tmp_path / "a", [0.9], 10) / "evaluation/nsmc.json").read_text())}
        )
        is None
    )
    _, page = board_of(tmp_path, tmp_path / "a")
    assert ".png" not in page


def test_text_of_the_data_is_no_markup(tmp_path: Path) -> None:
    folder = evaluated(tmp_path / "a", [0.9], 10)
    result = json.loads((folder / "evaluation" / "nsmc.json").read_text())
    error = {"name": "7", "texts": ["a | b\n<b>*좋다*</b>"], "gold": "1", "predicted": "0", "probability": 0.9}
    page = task_page({**result, "worst_errors": [error]}, "")
    assert "| 7 | 1 | 0 | 0.9000 | a \\| b \\<b\\>\\*좋다\\*\\</b\\> |" in page
