"""Examples become the rows that transformers' tokenizer makes of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from families import EVERY_TUNED_FAMILY, FAMILIES, Tiny
from tuned_models import HEADS, subject_of, written

from data_pipeline.contract.errors import InputError
from pretrain.evaluate.encoding import LabelledRows
from pretrain.evaluate.forms import encode_split
from pretrain.evaluate.tasks.examples import TextExample
from pretrain.evaluate.tasks.registry import TASKS
from pretrain.evaluate.tasks.task import Task
from pretrain.exporting.tokenizer_files import write_tokenizer
from pretrain.subject import Subject, load_subject

CLASSES = replace(TASKS["klue_nli"], labels=("no", "yes"))
TEXTS = [
    TextExample("1", "가나 다라", None, "no"),
    TextExample("2", "가나다라마바사 아자차카 타파하", None, "yes"),
    TextExample("3", " ".join("가나다라마바사아자차카타파"), None, "yes"),
    TextExample("4", "[SEP] 가", None, "no"),
]
PAIRS = [
    TextExample("1", "가나 다라", "마 바", "no"),
    TextExample("2", " ".join("가나다라마바사아자차카타파"), "각 간 갇", "yes"),
    TextExample("3", "각 간 갇", " ".join("가나다라마바사아자차카타파"), "yes"),
    TextExample("4", " ".join("가나다라마바사"), " ".join("각간갇갈감갑값"), "yes"),
]


def encoded(subject: Subject, examples: list[TextExample], task: Task, max_length: int) -> LabelledRows:
    return encode_split(subject, task, examples, replace(task.settings, max_length=max_length)).rows


@EVERY_TUNED_FAMILY
@pytest.mark.parametrize("examples", [TEXTS, PAIRS], ids=["texts", "pairs"])
def test_rows_are_those_of_transformers(tiny: Tiny, examples: list[TextExample], tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    made = subject_of(tiny.config, HEADS["classes"], tmp_path / "vocabulary")
    folder = written(made, tmp_path / "export")
    write_tokenizer(tmp_path / "vocabulary", folder, made.family, made.config, 32)
    subject, theirs = load_subject(folder), transformers.AutoTokenizer.from_pretrained(folder)
    rows = encoded(subject, examples, CLASSES, 12)
    texts = [[example.first for example in examples]]
    if examples is PAIRS:
        texts.append([example.second or "" for example in examples])
    expected = theirs(*texts, truncation=True, max_length=12)
    assert [row.tolist() for row in rows.tokens] == expected["input_ids"]
    if "token_type_ids" in expected:
        assert [row.tolist() for row in rows.token_types] == expected["token_type_ids"]
        assert (examples is PAIRS) == any(row.any() for row in rows.token_types)
    else:
        assert not any(row.any() for row in rows.token_types)
    assert max(rows.lengths) == 12
    assert [int(label) for label in rows.labels] == [["no", "yes"].index(str(example.label)) for example in examples]
    assert rows.names == ("1", "2", "3", "4")


def test_a_model_of_one_token_type_takes_every_token_as_of_that(tmp_path: Path) -> None:
    config = replace(FAMILIES["roberta"].config, type_vocab_size=1)
    subject = load_subject(written(subject_of(config, HEADS["classes"], tmp_path), tmp_path / "export"))
    assert not any(row.any() for row in encoded(subject, PAIRS, CLASSES, 20).token_types)


def test_scores_stay_numbers(tmp_path: Path) -> None:
    subject = subject_of(FAMILIES["bert"].config, HEADS["score"], tmp_path)
    rows = encoded(subject, [TextExample("1", "가", "나", 3.25)], TASKS["klue_sts"], 32)
    assert rows.labels[0].dtype == np.float32
    assert rows.labels[0] == 3.25


def test_a_row_is_no_longer_than_the_model_reads(tmp_path: Path) -> None:
    config = replace(FAMILIES["bert"].config, max_position_embeddings=16)
    subject = subject_of(config, HEADS["classes"], tmp_path)
    rows = encoded(subject, [TextExample("1", "가 " * 40, None, "no")], CLASSES, 128)
    assert rows.lengths.tolist() == [16]
    assert subject.tokenizer.backend.truncation is None, "the next text is whole again"


def test_a_length_that_has_no_room_for_text_is_refused(tmp_path: Path) -> None:
    subject = subject_of(FAMILIES["bert"].config, HEADS["classes"], tmp_path)
    with pytest.raises(InputError, match=r"max-length .* 3: leaves no room for text"):
        encoded(subject, PAIRS, CLASSES, 3)
