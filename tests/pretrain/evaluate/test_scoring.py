"""Gold answers go through rows and back, and are scored as perfect, on the real files; what a vocabulary loses is stated."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.evaluate.kinds.dependencies import DependencyRow
from pretrain.evaluate.kinds.registry import KINDS
from pretrain.evaluate.kinds.relations import RelationRow
from pretrain.evaluate.kinds.spans import SpanRow
from pretrain.evaluate.kinds.tags import TagRow, gold_tags
from pretrain.evaluate.scoring import score
from pretrain.evaluate.tasks.examples import (
    DependencyExample,
    DialogueExample,
    Example,
    GoldAnswer,
    SpanExample,
    TagExample,
    TextExample,
    Turn,
)
from pretrain.evaluate.tasks.files import read_split
from pretrain.evaluate.tasks.registry import TASKS
from pretrain.evaluate.tasks.task import Split, Task

DATA = Path(__file__).resolve().parents[3] / "../shared/data"


def examples_of(name: str, split: Split) -> list[Example]:
    return read_split(TASKS[name], DATA, split).examples


def answers_of_gold(tokenizer: Tokenizer, task: Task, examples: Sequence[Example]) -> list[Any]:
    """The answers of a model that says of every row what it should."""
    encoded = KINDS[task.kind].encode(task, tokenizer, examples, task.settings)
    return encoded.answers([says(row, task) for row in encoded.rows])


def says(row: Any, task: Task) -> Any:
    if isinstance(row, TagRow):
        return row.label
    if isinstance(row, SpanRow):
        return 10.0 * np.eye(len(row.tokens))[row.label].T
    if isinstance(row, RelationRow):
        return 20.0 * np.eye(len(task.labels))[row.label]
    if isinstance(row, DependencyRow):
        return np.stack([row.heads, row.relations], axis=1)
    return row.label


def test_naver_ner_comes_back(klue: Tokenizer) -> None:
    task, examples = TASKS["naver_ner"], examples_of("naver_ner", "test")
    # 19 sentences are longer than 128 tokens.
    assert score(task, examples, answers_of_gold(klue, task, examples)) == {"naver_ner_f1": 1.0}


def test_klue_ner_comes_back_but_for_entities_that_end_inside_a_token(klue: Tokenizer) -> None:
    task, examples = TASKS["klue_ner"], examples_of("klue_ner", "dev")
    found = answers_of_gold(klue, task, examples)
    # What klue/bert-base's vocabulary allows, and what is left of it by the baseline's way.
    assert score(task, examples, found) == pytest.approx(
        {
            "klue_ner_entity_macro_f1": 95.20,
            "klue_ner_char_macro_f1": 97.78,
            "klue_ner_entity_macro_f1_by_offsets": 98.34,
            "klue_ner_char_macro_f1_by_offsets": 99.72,
        },
        abs=0.01,
    )
    gold = [gold_tags(cast(TagExample, each), len(tags.units)) for each, tags in zip(examples, found, strict=True)]
    assert sum(tags.units != own for tags, own in zip(found, gold, strict=True)) == 255
    assert sum(tags.units != tags.official for tags in found) == 282


def test_klue_dp_comes_back(klue: Tokenizer) -> None:
    task, examples = TASKS["klue_dp"], examples_of("klue_dp", "dev")
    found = answers_of_gold(klue, task, examples)
    assert [tuple(tree.heads) for tree in found] == [cast(DependencyExample, each).heads for each in examples]
    assert score(task, examples, found) == pytest.approx(dict.fromkeys(task.metrics, 100.0))


def test_klue_re_comes_back(klue: Tokenizer) -> None:
    task, examples = TASKS["klue_re"], examples_of("klue_re", "dev")
    found = answers_of_gold(klue, task, examples)
    assert score(task, examples, found) == pytest.approx(dict.fromkeys(task.metrics, 100.0))


def test_korquad_comes_back_but_for_answers_that_end_inside_a_token(klue: Tokenizer) -> None:
    task, examples = TASKS["korquad"], examples_of("korquad", "dev")
    found = answers_of_gold(klue, task, examples)
    assert score(task, examples, found) == pytest.approx({"korquad_em": 98.89, "korquad_f1": 99.86}, abs=0.01)
    # The token is quoted whole.
    golds = [cast(SpanExample, example).answers[0].text.strip() for example in examples]
    assert all(gold in text for gold, text in zip(golds, found, strict=True))


def test_klue_mrc_comes_back_on_a_fixture(small: Tokenizer) -> None:
    task, context = TASKS["klue_mrc"], "가나 다라. 서울에서 마바."
    examples = [
        SpanExample("q1", "가?", context, (GoldAnswer("서울", 7), GoldAnswer("서울에서", 7)), False, "t"),
        SpanExample("q2", "나?", context, (), True, "t"),
    ]
    found = answers_of_gold(small, task, examples)
    assert found == ["서울", ""]
    assert score(task, examples, found) == {"klue_mrc_em": 100.0, "klue_mrc_rouge_w": 100.0}


def test_only_korquad_never_has_no_answer(small: Tokenizer) -> None:
    assert [task.name for task in TASKS.values() if task.answerable] == ["korquad"]
    example = SpanExample("q", "나?", "가나 다라.", (), True, "t")
    assert answers_of_gold(small, TASKS["korquad"], [example]) == ["가"]


def test_klue_wos_comes_back_on_a_fixture(small: Tokenizer) -> None:
    task = TASKS["klue_wos"]
    example = DialogueExample("d-0", "d", (Turn("user", "가나"),), ("식당-이름-서울", "택시-종류-dontcare"))
    found = answers_of_gold(small, task, [example])
    assert score(task, [example], found) == {"wos_jga": 100.0, "wos_slot_micro_f1": 100.0}


@pytest.mark.parametrize("name", ["klue_ynat", "klue_nli", "nsmc", "hate_speech", "klue_sts", "korsts"])
def test_texts_are_scored_by_classes_or_numbers(name: str) -> None:
    task = TASKS[name]
    labels: list[Any] = [*task.labels] or [0.0, 2.5, 5.0]
    examples = [TextExample(str(number), "가", None, label) for number, label in enumerate(labels)]
    gold = [np.eye(len(labels))[number] if task.labels else label for number, label in enumerate(labels)]
    best = 1.0 if name in ("nsmc", "hate_speech", "korsts") else 100.0
    assert score(task, examples, gold) == pytest.approx(dict.fromkeys(task.metrics, best))


def test_there_is_one_prediction_for_each_example() -> None:
    with pytest.raises(InputError, match=r"KorQuAD 1.0: 1 predictions for 0 examples; give one for each"):
        score(TASKS["korquad"], [], [""])
