"""The card of an export carries what was evaluated of its very checkpoint, as the hub reads it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.run_folder import RunFolder
from pretrain.exporting.export import export
from pretrain.subject import load_subject


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof is other tests' business."""
    monkeypatch.setattr("pretrain.exporting.export.prove", lambda *_: "not proven")


def evaluated(run: RunFolder, task: str, step: int | None, **further: Any) -> None:
    """Writes what evaluate writes, as far as it is read."""
    path = run.path / "evaluation" / f"{task}.json"
    path.parent.mkdir(exist_ok=True)
    scores = {
        "klue_sts_pearsonr": {"mean": 0.75, "deviation": 0.01, "seeds": [0.74, 0.76]},
        "klue_sts_f1": {"mean": None, "deviation": None, "seeds": [None, None]},
    }
    told = {
        "task": task, "title": task.upper(), "task_type": "text-classification", "split": "dev", "step": step,
        "scores": scores, "selected": "best epoch on dev", "part": {"train": "9 rows", "dev": "3 rows"},
        "settings": {"seeds": [1, 2], "frozen": False}, **further,
    }  # fmt: skip
    path.write_text(json.dumps(told))


def exported(run: RunFolder) -> Path:
    """The card of an export of the newest step."""
    export(run, None, run.export)
    return run.export / "README.md"


def results(card: Path) -> list[tuple[Any, ...]]:
    data: Any = pytest.importorskip("huggingface_hub").ModelCard.load(card).data
    return [
        (each.dataset_type, each.dataset_split, each.metric_type, each.metric_value, each.metric_name)
        for each in data.eval_results or []
    ]


def test_a_run_says_which_step_is_evaluated(run: RunFolder) -> None:
    assert (load_subject(run.path).step, load_subject(run.path, step=2).step) == (4, 2)


def test_the_index_holds_what_was_evaluated_of_this_checkpoint(run: RunFolder) -> None:
    evaluated(run, "korsts", 4)
    evaluated(run, "nsmc", 2)
    evaluated(run, "probe", 4, settings={"seeds": [1], "frozen": True})
    evaluated(run, "older", None)
    (run.path / "evaluation" / "leaderboard.json").write_text("[]")
    card = exported(run)
    name = "klue_sts_pearsonr (best epoch on dev, mean of 2 seeds)"
    probe = "klue_sts_pearsonr (best epoch on dev, linear probe, one seed)"
    assert results(card) == [(task, "dev", "pearsonr", 0.75, of) for task, of in (("korsts", name), ("probe", probe))]
    text = card.read_text()
    assert "| KORSTS | dev | `klue_sts_pearsonr` | 0.75 ± 0.01 | best epoch on dev, mean of 2 seeds |" in text
    assert "| KORSTS | dev | `klue_sts_f1` | not defined |" in text
    assert "NSMC" not in text


def test_an_evaluation_after_the_export_is_taken_up_by_the_next_one(run: RunFolder) -> None:
    card = exported(run)
    written = card.stat().st_mtime_ns
    assert exported(run).stat().st_mtime_ns == written, "nothing new, nothing written"
    assert results(card) == []
    evaluated(run, "korsts", 4)
    assert len(results(exported(run))) == 1
    written = card.stat().st_mtime_ns
    assert exported(run).stat().st_mtime_ns == written
    shutil.rmtree(run.path / "evaluation")
    assert results(exported(run)) == []


def test_a_file_that_evaluate_did_not_write_is_named(run: RunFolder) -> None:
    evaluated(run, "korsts", 4, scores=None)
    with pytest.raises(InputError, match=r"korsts\.json: not as evaluate writes it"):
        exported(run)
