"""A fine-tuned model says here what transformers' pipeline says, and its command refuses what it cannot do."""

import json
from pathlib import Path

import pytest
from families import EVERY_TUNED_FAMILY, FAMILIES, Tiny
from test_embeddings import RUNNING, TEXTS, model_of
from tuned_models import HEADS, subject_of, written

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.storage import read_json, write_json
from pretrain.commands.asking import predict as command
from pretrain.evaluate.kinds.asked import Asked
from pretrain.evaluate.kinds.texts import Text
from pretrain.exporting.tokenizer_files import write_tokenizer
from pretrain.inference.predictions import predict
from pretrain.subject import load_subject

PAIRS: list[Text] = [(text, other) for text, other in zip(TEXTS, reversed(TEXTS), strict=True)]


def model(tiny: Tiny, kind: str, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    subject = subject_of(tiny.config, HEADS[kind], folder / "vocabulary")
    written(subject, folder / "model")
    write_tokenizer(folder / "vocabulary", folder / "model", subject.family, subject.config, 32)
    return folder / "model"


@EVERY_TUNED_FAMILY
@pytest.mark.parametrize("texts", [TEXTS, PAIRS], ids=["texts", "pairs"])
def test_classes_have_the_probabilities_of_transformers(tiny: Tiny, texts: list[Text], tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    folder = model(tiny, "classes", tmp_path)
    subject = load_subject(folder)
    pipeline = transformers.pipeline("text-classification", model=str(folder), top_k=None)
    for text, ours in zip(texts, predict(subject, Asked("classes"), texts, RUNNING), strict=True):
        asked = {"text": text[0], "text_pair": text[1]} if isinstance(text, tuple) else text
        said = pipeline(asked, truncation=True, max_length=24)
        theirs = {each["label"]: each["score"] for each in (said if isinstance(said[0], dict) else said[0])}
        assert ours["probabilities"] == pytest.approx(theirs, abs=1e-5)
        assert ours["label"] == max(theirs, key=lambda label: theirs[label])
        assert ours["probability"] == ours["probabilities"][ours["label"]]
        assert (ours["text"], ours.get("second")) == (text if isinstance(text, tuple) else (text, None))


def test_a_score_is_that_of_transformers(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    folder = model(FAMILIES["bert"], "score", tmp_path)
    pipeline = transformers.pipeline("text-classification", model=str(folder), function_to_apply="none")
    theirs = [said["score"] for said in pipeline(TEXTS, truncation=True, max_length=24)]
    ours = [said["score"] for said in predict(load_subject(folder), Asked("score"), TEXTS, RUNNING)]
    assert ours == pytest.approx(theirs, abs=1e-5)


def test_the_command_writes_a_line_for_each_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = model(FAMILIES["bert"], "classes", tmp_path)
    (tmp_path / "in.csv").write_text("review\n" + "\n".join(TEXTS) + "\n")
    given = [str(folder), "--input", str(tmp_path / "in.csv"), "--column", "review"]
    command.run([*given, "--to", str(tmp_path / "out.jsonl")])
    written_lines = (tmp_path / "out.jsonl").read_text()
    assert [json.loads(line)["text"] for line in written_lines.splitlines()] == TEXTS
    capsys.readouterr()
    command.run(given)
    assert capsys.readouterr().out == written_lines


def test_a_model_of_pairs_is_asked_for_pairs_and_one_of_texts_for_texts(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("text,other\n가,각\n")
    classes = model(FAMILIES["bert"], "classes", tmp_path / "classes")
    given = [str(classes), "--input", str(tmp_path / "in.csv")]
    for pairs, fitting, other, told in (
        (
            True,
            ["--second", "other"],
            [],
            "was fine-tuned on pairs of texts; name the column of the other with --second",
        ),
        (False, [], ["--second", "other"], "--second: .* was fine-tuned on single texts; leave it out"),
    ):
        write_json(classes / "task.json", {"kind": "classes", "pairs": pairs})
        command.run([*given, *fitting])
        with pytest.raises(InputError, match=told):
            command.run([*given, *other])


def test_a_model_that_says_nothing_of_texts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("가\n")
    given = ["--input", str(tmp_path / "in.txt")]
    with pytest.raises(InputError, match="has no head of a task; fine-tune it with `python -m pretrain evaluate MODEL"):
        command.run([str(model_of(FAMILIES["bert"], tmp_path)), *given])
    with pytest.raises(InputError, match="answers questions about passages; name their columns with --column and"):
        command.run([str(model(FAMILIES["bert"], "span", tmp_path / "span")), *given])
    (tmp_path / "in.csv").write_text("text,other\n가,각\n")
    tags = model(FAMILIES["bert"], "tags", tmp_path / "tags")
    with pytest.raises(InputError, match=r"--second: .* tags single texts; leave it out"):
        command.run([str(tags), "--input", str(tmp_path / "in.csv"), "--second", "other"])
    for said in ('{"kind": "classes"}', '{"kind": "tags", "max_length": "many"}', "[1]"):
        (tags / "task.json").write_text(said)
        with pytest.raises(InputError, match=r"task\.json: does not say how this model is asked; remove it, or export"):
            command.run([str(tags), *given])
    several = model(FAMILIES["bert"], "classes", tmp_path / "several")
    write_json(
        several / "config.json", {**read_json(several / "config.json"), "problem_type": "multi_label_classification"}
    )
    with pytest.raises(InputError, match="has no head of a task"):
        command.run([str(several), *given])
    with pytest.raises(InputError, match="nowhere: no such folder"):
        command.run([str(tmp_path / "nowhere"), *given])
