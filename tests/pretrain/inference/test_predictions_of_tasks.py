"""Tags, answers and relations of an exported model are those that its evaluation has scored."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from families import FAMILIES
from tuned_models import HEADS, subject_of, written

from data_pipeline.contract.errors import InputError
from pretrain.commands.asking import predict as command
from pretrain.evaluate.evaluation import evaluate
from pretrain.evaluate.forms import encode_split
from pretrain.evaluate.kinds import relations
from pretrain.evaluate.metrics.counts import spans
from pretrain.evaluate.tasks.files import read_split
from pretrain.evaluate.tasks.registry import TASKS
from pretrain.evaluate.tasks.task import Task
from pretrain.evaluate.tasks.user import user_task
from pretrain.evaluate.trials import Trials
from pretrain.inference.entities import entities_of
from pretrain.subject import Subject, load_subject

pytest.importorskip("sklearn")
pytest.importorskip("seqeval")
pytest.importorskip("torch")

OWN = """
from pretrain.evaluate.tasks.description import SpanColumns, TagColumns, TaskDescription
from pretrain.evaluate.tasks.task import Settings

task = TaskDescription(
    title="Own", columns={columns}(), train="train.jsonl", test="test.jsonl",
    settings=Settings(max_length=16, document_stride=4, max_query_length=2, max_answer_length=3),
)
"""
SYLLABLES = [*"가각갂갃간"]
RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    folder = tmp_path_factory.mktemp("model")
    made = subject_of(FAMILIES["bert"].config, HEADS["classes"], folder / "made")
    return load_subject(written(made, folder / "export"))


def words(count: int, syllables: list[str] = SYLLABLES) -> list[str]:
    """Of one syllable, which is a token, or now and then two, which are [UNK]."""
    return ["".join(RANDOM.choice(syllables, 1 + (RANDOM.random() < 0.1))) for _ in range(count)]


def evaluated(subject: Subject, task: Task, folder: Path) -> tuple[Path, list[Any], list[Any]]:
    """The exported model, and the examples and predictions that were scored."""
    settings = replace(task.settings, epochs=6, batch_size=8, learning_rate=3e-3, max_length=16)
    evaluate(subject, task, folder, Trials(settings, seeds=1, every_epoch=False, export=True), folder / "to")
    encoded = encode_split(subject, task, read_split(task, folder, task.scored).examples, settings)
    split = task.scored
    with np.load(folder / "to" / task.name / f"seed-{settings.seed}.npz") as kept:
        said = np.split(kept[f"6/{split}"], np.cumsum(kept[f"6/{split}/lengths"])[:-1])
    return folder / "to" / task.name / "model", list(encoded.examples), encoded.answers(said)


def asked(model: Path, rows: list[dict[str, Any]], *flags: str) -> list[dict[str, Any]]:
    given = model.parent / "in.jsonl"
    given.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n", encoding="utf-8")
    command.run([str(model), "--input", str(given), "--to", str(given.with_name("out.jsonl")), *flags])
    return [json.loads(line) for line in given.with_name("out.jsonl").read_text(encoding="utf-8").splitlines()]


def own_task(folder: Path, columns: str, rows: list[dict[str, Any]]) -> Task:
    for split, part in (("train", rows[16:]), ("test", rows[:16])):
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, part)), encoding="utf-8")
    (folder / "own.py").write_text(OWN.format(columns=columns), encoding="utf-8")
    return user_task(folder / "own.py", folder)


@pytest.mark.parametrize("names", [("B-X", "I-X", "O"), ("NN", "VV", "JX")], ids=["entities", "tags"])
def test_tags_of_words(names: tuple[str, ...], subject: Subject, tmp_path: Path) -> None:
    rows = []
    for _ in range(48):
        own = words(int(RANDOM.integers(2, 12)))
        rows.append({"words": own, "tags": [names[SYLLABLES.index(word[0]) % 3] for word in own]})
    model, examples, predictions = evaluated(subject, own_task(tmp_path, "TagColumns", rows), tmp_path)
    # Blanks of the text are counted, and no unit of their own.
    found = asked(model, [{"text": "  ".join(example.units)} for example in examples])
    for answer, example, predicted in zip(found, examples, predictions, strict=True):
        starts = np.cumsum([0, *(len(word) + 2 for word in example.units)])
        if names[-1] == "O":
            expected = [
                (int(starts[first]), int(starts[last] + len(example.units[last])))
                for _, first, last in entities_of(predicted.units, strict=False)
            ]
            assert [(each["start"], each["end"]) for each in answer["entities"]] == expected
            assert {each["type"] for each in answer["entities"]} <= {"X"}
        else:
            assert tuple(each["tag"] for each in answer["tags"]) == predicted.units
            assert [each["text"] for each in answer["tags"]] == list(example.units[: len(predicted.units)])
        for each in answer.get("entities", answer.get("tags")):
            assert answer["text"][each["start"] : each["end"]] == each["text"]
    assert any(answer.get("entities", answer.get("tags")) for answer in found)


def test_entities_of_characters(subject: Subject, tmp_path: Path) -> None:
    lines = []
    for number in range(96):
        lines.append(f"## klue-ner-v1_train_{number:05d}\t x")
        for place, word in enumerate(words(5, SYLLABLES[:2])):
            lines += [*([" \tO"] if place else []), *(f"{each}\t{'B-PS' if each == '각' else 'O'}" for each in word)]
        lines.append("")
    for split in ("train", "dev"):
        (tmp_path / f"klue-ner-v1.1_{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    model, examples, predictions = evaluated(subject, TASKS["klue_ner"], tmp_path)
    found = asked(model, [{"text": "".join(example.units)} for example in examples])
    count = 0
    for answer, example, predicted in zip(found, examples, predictions, strict=True):
        places = [place for place, unit in enumerate(example.units) if unit != " "]
        tags = predicted.units[1:-1]
        expected = {(kind, places[start], places[end - 1] + 1) for kind, start, end in spans(tags)}
        assert {(each["type"], each["start"], each["end"]) for each in answer["entities"]} == expected
        count += len(expected)
    assert count, "a model that predicts nothing would be no test"


def test_answers_to_questions(subject: Subject, tmp_path: Path) -> None:
    rows = []
    for number in range(112):
        context = RANDOM.choice(["가", "갂", "갃", "간"], 20).tolist()
        place = int(RANDOM.integers(0, 20))
        context[place] = "각"
        answer = {"answer": "각", "start": 2 * place} if number % 8 else {"answer": ""}
        rows.append({"question": "각 가", "context": " ".join(context), **answer})
    model, examples, predictions = evaluated(subject, own_task(tmp_path, "SpanColumns", rows), tmp_path)
    flags = ("--column", "question", "--second", "context")
    found = asked(model, [{"question": each.question, "context": each.context} for each in examples], *flags)
    assert [answer["answer"] or "" for answer in found] == predictions
    assert any(predictions)
    for answer in found:
        if answer["answer"]:
            assert answer["second"][answer["start"] : answer["end"]] == answer["answer"]
        else:
            assert (answer["start"], answer["end"]) == (None, None)


def test_relations_of_two_entities(subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relations, "MARKS", ("갈", "감"))  # the vocabulary has syllables alone
    rows = []
    for number in range(48):
        sentence = " ".join(SYLLABLES[(number + step) % 5] for step in range(4))
        sides = {
            name: {"word": sentence[place], "start_idx": place, "end_idx": place, "type": "PER"}
            for name, place in (("subject_entity", 0), ("object_entity", 4))
        }
        rows.append(
            {
                "guid": f"re-{number}",
                "sentence": sentence,
                **sides,
                "label": "no_relation" if number % 2 else "per:title",
            }
        )
    for split in ("train", "dev"):
        (tmp_path / f"klue-re-v1.1_{split}.json").write_text(json.dumps(rows), encoding="utf-8")
    model, examples, predictions = evaluated(subject, TASKS["klue_re"], tmp_path)
    found = asked(model, [{name: value for name, value in row.items() if name != "label"} for row in rows])
    labels = TASKS["klue_re"].labels
    assert [answer["label"] for answer in found] == [labels[int(np.argmax(said))] for said in predictions]
    assert found[0]["subject"] == {"start": 0, "end": 1, "text": rows[0]["sentence"][0], "type": "PER"}
    assert len(examples) == len(found) == 48
    with pytest.raises(InputError, match="subject_entity"):
        asked(model, [{"sentence": "가 각"}])


def test_lenient_entities_are_those_of_seqeval() -> None:
    get_entities = pytest.importorskip("seqeval.metrics.sequence_labeling").get_entities
    for names, suffix in ((["B-X", "I-X", "B-Y", "I-Y", "O"], False), (["X-B", "X-I", "Y-B", "Y-I", "O"], True)):
        for _ in range(200):
            tags = [names[RANDOM.integers(5)], names[0], *RANDOM.choice(names, 6).tolist()]
            assert entities_of(tags, strict=False) == get_entities(tags, suffix)
