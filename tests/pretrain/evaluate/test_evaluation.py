"""The command: scores by seed, resumed at the next seed, with what decided them."""

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from families import FAMILIES, drawn, stored
from tuned_models import HEADS, subject_of, written

from data_pipeline.contract.errors import InputError
from pretrain.commands import evaluate as command
from pretrain.evaluate.metrics import golden_value
from pretrain.evaluate.noise import NOISES
from pretrain.evaluate.seeds import SeedFile
from pretrain.evaluate.tasks.korean import KOREAN
from pretrain.evaluate.tuner import Tuner

pytest.importorskip("sklearn")
pytest.importorskip("scipy")

TASK = """
from pretrain.evaluate.tasks.description import ClassColumns, ScoreColumns, TaskDescription
from pretrain.evaluate.tasks.task import Settings

task = TaskDescription(
    title="Two letters", columns=ClassColumns(), train="train.csv", {files}
    settings=Settings(epochs=2, batch_size=8, learning_rate=1e-3, max_length=16, seed=7),
)
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    return written(subject_of(FAMILIES["bert"].config, HEADS["classes"], folder), folder / "export")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    for split, count in (("train", 24), ("dev", 8), ("test", 10)):
        labels = random.integers(0, 2, count)
        rows = [f"{'나가'[label]} {'다라마'[: random.integers(1, 4)]},{'ab'[label]}" for label in labels]
        (folder / f"{split}.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    for name, files in (("letters", 'test="test.csv",'), ("with_dev", 'dev="dev.csv", test="test.csv",')):
        (folder / f"{name}.py").write_text(TASK.format(files=files))
    return folder


@pytest.fixture
def run(model: Path, data: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Runs the command on a task of the data folder; returns its JSON."""

    def evaluate(task: str, *flags: str) -> dict[str, Any]:
        given = ["--task", str(data / f"{task}.py"), "--data", str(data), "--to", str(tmp_path)]
        command.run([str(model), *given, *flags])
        told: dict[str, Any] = json.loads((tmp_path / "evaluation" / f"{task}.json").read_text())
        return told

    return evaluate


def test_a_model_that_is_not_fine_tuned_is_refused_before_work_on_those_before_it(
    model: Path, data: Path, tmp_path: Path
) -> None:
    other = stored(tmp_path / "other", *drawn(FAMILIES["t5"].config, frozenset({"target"})))
    given = ["--task", str(data / "letters.py"), "--data", str(data), "--to", str(tmp_path / "to")]
    with pytest.raises(InputError, match="other: is a T5, which is not fine-tuned here; give another model"):
        command.run([str(model), str(other), *given])
    assert not (tmp_path / "to").exists()


def without_times(told: dict[str, Any]) -> dict[str, Any]:
    curves = {
        seed: [
            {name: value for name, value in epoch.items() if name not in ("train", "predict", "compile")}
            for epoch in curve
        ]
        for seed, curve in told["epochs"].items()
    }
    return {**told, "epochs": curves, "seconds": None, "accelerator_hours": None}


def test_a_killed_evaluation_resumes_at_the_next_seed(
    run: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run("letters", "--seeds", "2")
    kept = tmp_path / "evaluation" / "letters" / "seed-8.npz"
    kept.unlink()
    trained, epochs = [], Tuner.epochs

    def counted(self: Tuner, seed: int, **options: Any) -> Any:
        trained.append(seed)
        return epochs(self, seed, **options)

    monkeypatch.setattr(Tuner, "epochs", counted)
    assert without_times(run("letters", "--seeds", "2")) == without_times(whole)
    assert trained == [8]
    assert kept.is_file()
    kept.write_bytes(kept.read_bytes()[:-100])
    assert without_times(run("letters", "--seeds", "2")) == without_times(whole)
    assert trained == [8, 8], "half a file is not taken"
    run("letters", "--seeds", "2", "--settings.learning-rate", "1e-4")
    assert trained == [8, 8, 7, 8], "predictions of other settings are not taken"


def test_what_is_told_follows_from_the_predictions_that_are_kept(
    run: Callable[..., dict[str, Any]], data: Path, tmp_path: Path
) -> None:
    told = run("letters", "--seeds", "2", "--train-rows", "20")
    assert (told["split"], told["selected"], told["devices"]) == ("test", "last epoch", "8 x cpu")
    assert (told["step"], told["task_type"]) == (None, "text-classification")
    assert told["part"] == {"train": "24 rows, of which 20 were drawn", "test": "10 rows"}
    assert (told["settings"]["epochs"], told["settings"]["seeds"], told["steps"]) == (2.0, [7, 8], 6)
    assert told["compute"]["compute_dtype"] == "float32"
    accuracy = told["scores"]["accuracy"]
    gold = ["ab".index(line[-1]) for line in (data / "test.csv").read_text().splitlines()[1:]]
    for seed, score in zip((7, 8), accuracy["seeds"], strict=True):
        path = tmp_path / "evaluation" / "letters" / f"seed-{seed}.npz"
        with np.load(path) as stored:
            assert stored["2/test"].shape == (20,)
            fingerprint = json.loads(str(stored["facts"]))["fingerprint"]
            predictions = stored["2/test"].reshape(10, 2).argmax(1)
        epochs = SeedFile(path, fingerprint).read()
        assert epochs is not None
        assert [len(row) for row in epochs[1].predictions["test"]] == [2] * 10
        assert SeedFile(path, "other").read() is None
        assert score == golden_value("accuracy", {"preds": predictions, "labels": gold})
    assert accuracy["mean"] == pytest.approx(np.mean(accuracy["seeds"]))
    assert accuracy["deviation"] == pytest.approx(np.std(accuracy["seeds"], ddof=1))


def test_the_best_epoch_on_dev_is_selected_where_there_is_a_dev_file(run: Callable[..., dict[str, Any]]) -> None:
    told = run("with_dev", "--seeds", "1", "--settings.epochs", "3")
    assert told["selected"] == "best epoch on dev"
    (curve,) = told["epochs"].values()
    dev = [epoch["scores"]["dev"]["accuracy"] for epoch in curve]
    best = curve[dev.index(max(dev))]
    assert told["scores"]["accuracy"]["seeds"] == [best["scores"]["test"]["accuracy"]]
    assert told["scores"]["accuracy"]["deviation"] is None


def test_the_last_epoch_alone_is_scored_where_that_is_asked_for(run: Callable[..., dict[str, Any]]) -> None:
    told = run("with_dev", "--seeds", "1", "--no-every-epoch")
    assert (told["selected"], set(told["part"])) == ("last epoch", {"train", "test"})
    assert [bool(epoch["scores"]) for epoch in told["epochs"]["7"]] == [False, True]


def test_an_exported_model_predicts_the_same_in_transformers(
    run: Callable[..., dict[str, Any]], data: Path, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    run("letters", "--seeds", "1", "--export")
    kept = tmp_path / "evaluation" / "letters"
    pipeline = transformers.pipeline("text-classification", model=str(kept / "model"), top_k=None)
    texts = [line.split(",")[0] for line in (data / "test.csv").read_text().splitlines()[1:]]
    with np.load(kept / "seed-7.npz") as stored:
        logits = stored["2/test"].reshape(10, 2)
    ours = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    card: Any = pytest.importorskip("huggingface_hub").ModelCard.load(kept / "model" / "README.md").data
    told = json.loads((kept.parent / "letters.json").read_text())
    assert [each.metric_value for each in card.eval_results] == [
        told["scores"][name]["mean"] for name in told["scores"]
    ]
    for row, said in zip(ours, pipeline(texts), strict=True):
        assert {each["label"] for each in said} == {"a", "b"}
        for each in said:
            assert each["score"] == pytest.approx(row["ab".index(each["label"])], abs=1e-4)
    other = ("--seeds", "1", "--settings.learning-rate", "1e-2")
    run("letters", *other)
    assert "peak learning rate: 0.001" in (kept / "model" / "README.md").read_text()
    run("letters", *other, "--export")
    assert "peak learning rate: 0.01" in (kept / "model" / "README.md").read_text(), (
        "the model of older settings stayed"
    )


def test_a_suite_of_two_models_ends_in_a_leaderboard(model: Path, tmp_path: Path) -> None:
    shutil.copytree(model, copied := tmp_path / "copied")
    reviews = "".join(f"{number}\t{'나가'[number % 2]} 다라\t{number % 2}\n" for number in range(16))
    for split in ("train", "test"):
        (tmp_path / "data" / "nsmc").mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / "nsmc" / f"ratings_{split}.txt").write_text(f"id\tdocument\tlabel\n{reviews}")
    flags = ["--suite", "korean", "--data", str(tmp_path / "data"), "--seeds", "2", "--to", str(tmp_path / "to")]
    flags += ["--settings.epochs", "1", "--settings.max-length", "16", "--noise", "typos", "laughing"]
    with pytest.raises(
        InputError, match=r"6 other tasks cannot be evaluated, either; --skip-missing evaluates the rest"
    ):
        command.run([str(model), str(copied), *flags])
    command.run([str(model), str(copied), *flags, "--skip-missing"])
    told = json.loads((tmp_path / "to" / "export" / "evaluation" / "nsmc.json").read_text())
    (curve,) = told["epochs"]["42"]
    assert curve["scores"]["test/typos"]["nsmc_acc"] == told["noise"]["typos"]["nsmc_acc"]["seeds"][0]
    for noise in ("typos", "laughing"):
        found = told["noise"][noise]["nsmc_acc"]
        assert found["drop"] == pytest.approx(told["noise"]["clean"]["nsmc_acc"]["mean"] - found["mean"])
    assert np.sum(told["confusion"]["items"]) == pytest.approx(16)
    assert {error["gold"] == error["predicted"] for error in told["worst_errors"]} <= {False}
    assert (tmp_path / "to" / "copied" / "evaluation" / "nsmc.md").is_file()
    board = json.loads((tmp_path / "to" / "leaderboard.json").read_text())
    (task,) = board["tasks"]
    assert [(each["difference"], each["verdict"]) for each in task["comparisons"]] == [(0.0, "tie")], (
        "a model and its copy"
    )
    assert set(board["skipped"]) == {task.name for task in KOREAN} - {"nsmc"}


def test_noise_is_predicted_again_only_where_it_was_not_kept(
    run: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    clean = run("letters", "--seeds", "1")
    told = run("letters", "--seeds", "1", "--noise", "all")
    assert told["scores"] == clean["scores"]
    assert set(told["noise"]) == {"selected", "clean", *NOISES}
    monkeypatch.delattr(Tuner, "epochs")
    assert without_times(run("letters", "--seeds", "1", "--noise", "all")) == without_times(told)
    assert without_times(run("letters", "--seeds", "1")) == without_times(clean)


@pytest.mark.parametrize(
    ("task", "flags", "message"),
    [
        ("letters", ("--noise", "typo"), "--noise typo: unknown; must be all, or some of without_blanks, "),
        (
            "letters",
            ("--suite", "klue"),
            "say with --task what the models are evaluated on, or with --suite klue or korean",
        ),
        ("letters", ("--seeds", "0"), "--seeds 0: must be 1 or more"),
        ("letters", ("--settings.batch-size", "0"), "--settings.batch-size 0: must be 1 or more"),
        (
            "letters",
            ("--settings.select-by", "f1"),
            "--settings.select-by f1: Two letters has the metrics accuracy, macro_f1",
        ),
        ("letters", ("--settings.epoch", "3"), "did you mean --settings.epochs"),
        ("letters", ("--step", "3"), "is no run, and has no checkpoints; leave it out"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_sentence(
    task: str, flags: tuple[str, ...], message: str, run: Callable[..., dict[str, Any]]
) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        run(task, *flags)


@pytest.mark.parametrize(
    ("blocked", "message"),
    [
        (
            "evaluation",
            r"evaluation/letters: no folder can be made there \(Not a directory\); choose another with --to$",
        ),
        ("evaluation/letters", r"evaluation/letters: no folder can be made there \(File exists\)"),
        ("evaluation/letters.json/", r"letters\.json: is a folder, but is to be written as a file; move it away$"),
    ],
)
def test_a_place_that_cannot_be_written_is_told_before_anything_is_trained(
    blocked: str, message: str, run: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(Tuner, "epochs")
    path = tmp_path / blocked
    path.parent.mkdir(exist_ok=True)
    path.mkdir() if blocked.endswith("/") else path.write_text("")
    with pytest.raises(InputError, match=message):
        run("letters")


def test_a_missing_package_is_told_before_anything_is_trained(
    run: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def trained(self: Tuner, seed: int, **options: Any) -> Any:
        raise AssertionError("was trained")

    monkeypatch.setattr(Tuner, "epochs", trained)
    monkeypatch.setitem(sys.modules, "seqeval", None)
    with pytest.raises(InputError, match="evaluation needs the package seqeval"):
        run("letters")


def test_a_folder_that_is_no_run_needs_a_place_for_the_scores(model: Path, data: Path) -> None:
    with pytest.raises(InputError, match="is no run folder on this disk; say with --to"):
        command.run([str(model), "--task", "nsmc", "--data", str(data)])


def test_the_settings_of_the_task_are_the_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.run(["--task", "klue_nli", "--help"])
    found = re.sub(r"[│\s]+", " ", capsys.readouterr().out)
    assert re.search(r"--settings\.warmup-share FLOAT[^-]*\(default: 0\.1\)", found)
    with pytest.raises(InputError, match="--task"):
        command.run(["model"])
