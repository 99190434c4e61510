"""The tasks' labels, settings and metrics are the official ones."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_fields import limits
from pretrain.evaluate.tasks.klue import DEPENDENCIES, RELATIONS, SLOTS
from pretrain.evaluate.tasks.registry import SUITES, TASKS, suite_named, task_named
from pretrain.evaluate.tasks.task import Settings, Task

SHARED = Path(__file__).resolve().parents[4] / "../shared"
needs_data = pytest.mark.skipif(not (SHARED / "data").is_dir(), reason="needs ../shared/data, which is absent")


def test_labels_have_the_official_order() -> None:
    order = {name: TASKS[name].labels for name in TASKS}
    assert order["klue_ynat"] == ("정치", "경제", "사회", "생활문화", "세계", "IT과학", "스포츠")
    assert order["klue_nli"] == ("entailment", "contradiction", "neutral")
    assert order["kornli"] == ("contradiction", "entailment", "neutral")
    assert order["hate_speech"] == ("none", "offensive", "hate")
    assert " ".join(order["klue_ner"]) == "B-PS I-PS B-LC I-LC B-OG I-OG B-DT I-DT B-TI I-TI B-QT I-QT O"
    assert order["naver_ner"][:5] == ("O", "PER-B", "PER-I", "FLD-B", "FLD-I")
    assert order["naver_ner"][-2:] == ("TRM-B", "TRM-I")
    sizes = {name: len(labels) for name, labels in order.items()}
    assert (sizes["naver_ner"], sizes["klue_re"], sizes["klue_dp"], sizes["klue_wos"]) == (29, 30, 38, 45)
    # Where KLUE-baseline's LAS begins to merge relations.
    assert DEPENDENCIES[15] == "VP_CMP"
    assert all(len(set(labels)) == len(labels) for labels in order.values())


@needs_data
def test_relations_and_slots_are_those_of_the_official_lists() -> None:
    tasks = SHARED / "data" / "tasks"
    assert list(RELATIONS) == json.loads((tasks / "klue-re/relation_list.json").read_bytes())["relations"]
    assert list(SLOTS) == sorted(json.loads((tasks / "klue-wos/ontology.json").read_bytes()))


@pytest.mark.skipif(not (SHARED / "golden_metrics").is_dir(), reason="needs ../shared/golden_metrics, which is absent")
def test_every_task_is_scored_by_official_metrics() -> None:
    cases = json.loads((SHARED / "golden_metrics/golden_open.json").read_bytes())
    accuracies = {"paws_acc", "kornli_acc", "question_pair_acc"}  # nsmc_acc of other tasks
    beside = {"klue_ner_entity_macro_f1_by_offsets", "klue_ner_char_macro_f1_by_offsets"}
    official = {case["metric"] for case in cases} | accuracies
    assert {metric for task in TASKS.values() for metric in task.metrics} == official | beside


@pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
def test_a_task_fits_together(task: Task) -> None:
    assert task.scored in task.files
    assert "train" in task.files
    assert task.rows.keys() <= task.files.keys()
    assert task.settings.select_by in (None, *task.metrics)
    assert (task.select == "dev") == ("dev" in task.files and task.scored == "test")
    assert all(limit.holds(value) for _, value, limit in limits(task.settings))


@pytest.mark.parametrize(
    ("name", "epochs", "batch_size", "learning_rate", "max_length", "warmup_share"),
    [
        ("klue_ynat", 4, 32, 5e-5, 128, 0.1),
        ("klue_nli", 5, 32, 5e-5, 128, 0.1),
        ("klue_ner", 3, 32, 5e-5, 510, 0.0),
        ("klue_re", 3, 32, 5e-5, 256, 0.1),
        ("klue_dp", 10, 32, 5e-5, 256, 0.1),
        ("klue_mrc", 5, 16, 3e-5, 510, 0.0),
        ("klue_wos", 5, 16, 3e-5, 510, 0.1),
        ("nsmc", 10, 32, 5e-5, 128, 0.0),
        ("pawsx", 15, 32, 3e-5, 128, 0.0),
        ("kornli", 15, 64, 5e-5, 128, 0.0),
        ("naver_ner", 20, 32, 5e-5, 128, 0.0),
        ("korquad", 7, 8, 5e-5, 512, 0.0),
    ],
)
def test_settings_are_those_of_the_published_runs(
    name: str, epochs: float, batch_size: int, learning_rate: float, max_length: int, warmup_share: float
) -> None:
    expected = Settings(
        epochs, batch_size, learning_rate, max_length, warmup_share, schedule="linear", clip=1.0, adam_eps=1e-8, seed=42
    )
    found = TASKS[name].settings
    decay = 0.01 if name == "klue_wos" else 0.0
    assert replace(found, select_by=None) == replace(expected, weight_decay=decay)


@pytest.mark.parametrize("suite", SUITES)
def test_the_page_of_tasks_says_what_holds(suite: str) -> None:
    page = (Path(__file__).resolve().parents[4] / "docs" / "tasks.md").read_text(encoding="utf-8")
    for task in suite_named(suite):
        chosen = {"dev": "best on dev", "best_on_scored": f"best on {task.scored}"}[task.select]
        metrics = ", ".join(f"`{metric}`" for metric in task.metrics)
        s = task.settings
        settings = f"{s.epochs:g} x {s.batch_size}, {s.learning_rate:g}, {s.max_length}"
        assert (
            f"| `{task.name}` | {task.title} | `{suite}` | {task.scored} | {metrics} | {chosen} | {settings} |" in page
        )


def test_suites_hold_eight_tasks_each() -> None:
    assert {name: len(tasks) for name, tasks in SUITES.items()} == {"klue": 8, "korean": 8}
    assert suite_named("klue")[0].name == "klue_ynat"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("klue-nli", "klue_nli"),
        ("NSMC", "nsmc"),
        ("ynat", "klue_ynat"),
        ("nli", "klue_nli or kornli"),
        ("korqaud", "korquad"),
    ],
)
def test_an_unknown_task_names_the_near_one(name: str, meant: str) -> None:
    with pytest.raises(InputError, match=rf"^--task {name}: unknown \(did you mean {meant}[ ?]"):
        task_named(name)


def test_unknown_names_list_the_known() -> None:
    with pytest.raises(InputError, match=r"^--task : unknown; must be one of klue_ynat, .*korquad, or the path of"):
        task_named("")
    with pytest.raises(
        InputError, match=r"^--suite kler: unknown \(did you mean klue\?\); must be one of klue, korean$"
    ):
        suite_named("kler")
