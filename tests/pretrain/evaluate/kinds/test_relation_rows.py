"""Sentences with entity markers, as KLUE-baseline tokenises them."""

from pathlib import Path

import pytest

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.evaluate.kinds.relations import encode_relations, entity_markers
from pretrain.evaluate.tasks.examples import Entity, RelationExample

LABELS = ("no_relation", "per:title")
SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
KOBERT = Path(__file__).resolve().parents[4] / "../shared/data/vocabularies/kobert_news_wiki_ko_cased.spiece"


def relation(sentence: str, subject: str, object_: str) -> RelationExample:
    first, second = (
        Entity(sentence.index(word), sentence.index(word) + len(word), "PER") for word in (subject, object_)
    )
    return RelationExample("one", sentence, first, second, "per:title")


def spelt(tokenizer: Tokenizer, example: RelationExample, max_length: int = 40) -> str:
    [row] = encode_relations(tokenizer, [example], LABELS, max_length)
    assert row.label == 1
    assert row.token_types.tolist() == [0] * len(row.tokens)
    return " ".join(tokenizer.pieces[token] for token in row.tokens)


def test_hangul_behind_an_entity_is_a_continuation(small: Tokenizer) -> None:
    example = relation("서울은 가나.", "서울", "가나")
    assert spelt(small, example) == "[CLS] @ 서울 @ ##은 # 가 ##나 # . [SEP]"


def test_a_blank_behind_an_entity_keeps_the_word(small: Tokenizer) -> None:
    assert spelt(small, relation("다 서울 가나", "다", "서울")) == "[CLS] @ 다 @ # 서울 # 가 ##나 [SEP]"


def test_the_object_may_be_first_and_entities_may_touch(small: Tokenizer) -> None:
    assert spelt(small, relation("서울가나는", "가나", "서울")) == "[CLS] # 서울 # @ 가 ##나 @ ##는 [SEP]"


def test_a_word_without_a_continuation_is_unknown_as_in_the_baseline(small: Tokenizer) -> None:
    assert spelt(small, relation("가나에게 다", "가나", "다")) == "[CLS] @ 가 ##나 @ [UNK] # 다 # [SEP]"


def test_what_does_not_fit_is_cut_off(small: Tokenizer) -> None:
    assert spelt(small, relation("서울은 가나.", "서울", "가나"), 6) == "[CLS] @ 서울 @ ##은 [SEP]"


@pytest.mark.parametrize(
    ("more", "markers"),
    [
        (("<obj>", "<subj>", "[unused0]", "</obj>", "</subj>"), ("<subj>", "</subj>", "<obj>", "</obj>")),
        (("[unused3]", "[unused0]", "@", "[unused1]", "[unused2]", "#"), ("[unused3]", "[unused0]", "[unused1]", "[unused2]")),
        (("[unused0]", "*", "#"), ("#", "#", "*", "*")),
    ],
)  # fmt: skip
def test_markers_are_entries_of_the_vocabulary(tmp_path: Path, more: tuple[str, ...], markers: tuple[str, ...]) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join((*SPECIALS, *more)), encoding="utf-8")
    tokenizer = Tokenizer(tmp_path)
    found = entity_markers(tokenizer)
    assert found.pieces == markers
    assert tuple(tokenizer.pieces[number] for number in found.ids) == markers


def test_a_vocabulary_without_markers_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join((*SPECIALS, "@", "가")), encoding="utf-8")
    with pytest.raises(InputError, match=r"has neither four \[unusedN\] entries nor two of @ # \* \^ \+ to mark"):
        entity_markers(Tokenizer(tmp_path))


@pytest.mark.skipif(not KOBERT.exists(), reason="needs ../shared/data/vocabularies, which is absent")
def test_sentencepiece_loses_its_blank_behind_an_entity() -> None:
    example = relation("서울은 비가 온다", "서울", "비")
    assert spelt(Tokenizer(KOBERT), example) == "[CLS] # ▁서울 # 은 * ▁비 * 가 ▁온 다 [SEP]"


def test_a_real_sentence_reads_as_in_the_baseline(klue: Tokenizer) -> None:
    # The example of its docstring.
    example = relation("조지 해리슨이 쓰고 비틀즈가 부른다", "비틀즈", "조지 해리슨")
    assert spelt(klue, example) == (
        "[CLS] [unused2] 조지 해리 ##슨 [unused3] ##이 쓰 ##고 [unused0] 비틀즈 [unused1] ##가 부른다 [SEP]"
    )
