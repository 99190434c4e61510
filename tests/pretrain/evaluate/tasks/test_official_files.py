"""Every task reads the real files whole (../shared/data), and tells which part of the official data they are."""

from pathlib import Path

import pytest

from pretrain.evaluate.tasks.examples import (
    DependencyExample,
    RelationExample,
    SpanExample,
    TagExample,
    TextExample,
)
from pretrain.evaluate.tasks.files import read_split
from pretrain.evaluate.tasks.registry import TASKS
from pretrain.evaluate.tasks.task import Split

DATA = Path(__file__).resolve().parents[4] / "../shared/data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data, which is absent")

COUNTS: list[tuple[str, Split, int, int]] = [
    ("klue_ynat", "train", 36_547, 45_678),
    ("klue_ynat", "dev", 9_107, 9_107),
    ("klue_sts", "dev", 519, 519),
    ("klue_nli", "train", 24_998, 24_998),
    ("klue_nli", "dev", 3_000, 3_000),
    ("klue_ner", "dev", 5_000, 5_000),
    ("klue_re", "train", 23_940, 32_470),
    ("klue_re", "dev", 7_765, 7_765),
    ("klue_dp", "dev", 2_000, 2_000),
    ("nsmc", "train", 150_000, 150_000),
    ("nsmc", "test", 50_000, 50_000),
    ("naver_ner", "test", 9_000, 9_000),
    ("pawsx", "dev", 2_000, 2_000),
    ("pawsx", "test", 2_000, 2_000),
    ("kornli", "dev", 2_490, 2_490),
    ("kornli", "test", 5_010, 5_010),
    ("korsts", "train", 5_749, 5_749),
    ("korsts", "dev", 1_500, 1_500),
    ("korsts", "test", 1_379, 1_379),
    ("question_pair", "train", 6_136, 6_136),
    ("question_pair", "dev", 682, 682),
    ("question_pair", "test", 758, 758),
    ("hate_speech", "train", 7_896, 7_896),
    ("hate_speech", "dev", 471, 471),
    ("korquad", "dev", 5_774, 5_774),
]


@pytest.mark.parametrize(("name", "split", "count", "official"), COUNTS)
def test_a_file_is_read_whole(name: str, split: Split, count: int, official: int) -> None:
    found = read_split(TASKS[name], DATA, split)
    assert len(found.examples) == count
    assert found.part == f"{count:,} rows (the official {split} file has {official:,})"
    assert len({example.name for example in found.examples}) == count


def test_first_examples_are_as_written() -> None:
    def first(name: str, split: Split) -> object:
        return read_split(TASKS[name], DATA, split).examples[0]

    assert first("klue_ynat", "dev") == TextExample(
        "ynat-v1_dev_00000", "5억원 무이자 융자는 되고 7천만원 이사비는 안된다", None, "사회"
    )
    sts = first("klue_sts", "dev")
    assert isinstance(sts, TextExample)
    assert (sts.label, sts.second) == (34 / 7, "무엇보다도, 호스트들은 매우 친절했습니다.")
    assert first("hate_speech", "dev") == TextExample(
        "dev.tsv:2", "송중기 시대극은 믿고본다. 첫회 신선하고 좋았다.", None, "none"
    )
    tree = first("klue_dp", "dev")
    assert isinstance(tree, DependencyExample)
    assert (tree.eojeols[-1], tree.heads, tree.relations[1]) == ("흘렸다.", (2, 6, 4, 6, 6, 0), "NP_SBJ")
    relation = first("klue_re", "dev")
    assert isinstance(relation, RelationExample)
    assert relation.sentence[relation.object.start : relation.object.end] == "30"


def test_units_join_to_the_sentence() -> None:
    ner = read_split(TASKS["klue_ner"], DATA, "dev").examples[7]
    assert isinstance(ner, TagExample)
    assert ner.separator.join(ner.units) == "현재 시네마테크에서 하고 있는 영화.. 놓치면 후회합니다."
    assert [unit for unit, tag in zip(ner.units, ner.tags, strict=True) if tag != "O"] == list("시네마테크")


def test_answers_are_where_they_say() -> None:
    for example in read_split(TASKS["korquad"], DATA, "dev").examples:
        assert isinstance(example, SpanExample)
        assert not example.impossible
        for text, start in example.answers:
            assert example.context[start:].startswith(text)
