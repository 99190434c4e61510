"""Tags, answers and relations are fine-tuned from files to scores: tiny models learn what is easy."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from families import FAMILIES
from tuned_models import HEADS, subject_of

from pretrain.evaluate.evaluation import evaluate
from pretrain.evaluate.forms import encode_split
from pretrain.evaluate.leaderboard.outcomes import OUTCOMES
from pretrain.evaluate.leaderboard.outcomes_file import read_outcomes
from pretrain.evaluate.tasks.examples import SpanExample, TagExample
from pretrain.evaluate.tasks.registry import TASKS
from pretrain.evaluate.tasks.task import Task
from pretrain.evaluate.tasks.user import user_task
from pretrain.evaluate.trials import Trials
from pretrain.models.bert.config import BertConfig
from pretrain.subject import Subject

pytest.importorskip("sklearn")
pytest.importorskip("seqeval")

TASK = """
from pretrain.evaluate.tasks.description import SpanColumns, TagColumns, TaskDescription
from pretrain.evaluate.tasks.task import Settings

task = TaskDescription(
    title="Easy", columns={columns}(), train="train.jsonl", test="test.jsonl",
    settings=Settings(
        epochs=6, batch_size=8, learning_rate=3e-3, max_length=16, document_stride=4, max_query_length=2, seed=7
    ),
)
"""
Row = Callable[[np.random.Generator], dict[str, Any]]


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return subject_of(FAMILIES["bert"].config, HEADS["classes"], tmp_path_factory.mktemp("model") / "made")


def tags(random: np.random.Generator) -> dict[str, Any]:
    words = random.choice(["가", "각", "갂"], 4).tolist()
    return {"words": words, "tags": ["B-X" if word == "각" else "O" for word in words]}


def question(random: np.random.Generator) -> dict[str, Any]:
    """각 is the answer, wherever it is in more than a window."""
    words = random.choice(["가", "갂", "갃", "간"], 20).tolist()
    place = int(random.integers(0, 20))
    words[place] = "각"
    return {"question": "각 가", "context": " ".join(words), "answer": "각", "start": 2 * place}


def made(folder: Path, columns: str, row: Row) -> Task:
    random = np.random.default_rng(0)
    for split, count in (("train", 96), ("test", 20)):
        rows = [json.dumps(row(random), ensure_ascii=False) for _ in range(count)]
        (folder / f"{split}.jsonl").write_text("\n".join(rows), encoding="utf-8")
    (folder / "easy.py").write_text(TASK.format(columns=columns), encoding="utf-8")
    return user_task(folder / "easy.py", folder)


@pytest.mark.parametrize(("columns", "row"), [("TagColumns", tags), ("SpanColumns", question)])
def test_a_task_is_learnt_and_its_seed_is_kept(subject: Subject, tmp_path: Path, columns: str, row: Row) -> None:
    task = made(tmp_path, columns, row)
    trials = Trials(task.settings, seeds=1, every_epoch=False)
    found = evaluate(subject, task, tmp_path, trials, tmp_path)
    assert {*found["scores"]} == {*task.metrics}
    assert all(each["mean"] > 0.95 for each in found["scores"].values()), found["scores"]
    again = evaluate(subject, task, tmp_path, trials, tmp_path)
    assert again["scores"] == found["scores"]
    (values,) = read_outcomes(tmp_path / task.name)
    headline = OUTCOMES[task.metrics[0]].score(values)(np.ones((1, 20)))
    assert headline[0] == pytest.approx(found["scores"][task.metrics[0]]["mean"])


def test_windows_of_a_question_are_rows_of_one_example(subject: Subject) -> None:
    task, example = TASKS["klue_mrc"], SpanExample("q", "각?", "가 각 갂 갃 " * 5, (), True, "")
    settings = replace(task.settings, max_length=12, document_stride=4)
    encoded = encode_split(subject, task, [example], settings)
    assert encoded.rows.names == ("q",) * 5
    said = [np.zeros((length, 2), np.float32) for length in encoded.rows.lengths]
    for each in said:
        each[0] = 9.0
    assert encoded.answers(said) == [""]
    # A window that is sure of its text is enough.
    said[1][0] = 0.0
    said[1][7] = 1.0
    assert encoded.answers(said) == ["갃"]


def test_rows_are_no_longer_than_the_model_reads(subject: Subject) -> None:
    assert isinstance(subject.config, BertConfig)
    short = replace(subject, config=replace(subject.config, max_position_embeddings=16))
    example = TagExample("t", tuple("가각 " * 20), ("O",) * 60, "")
    encoded = encode_split(short, TASKS["klue_ner"], [example], TASKS["klue_ner"].settings)
    assert encoded.rows.lengths.tolist() == [16]
