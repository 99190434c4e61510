"""Eojeols by their first and last tokens, and heads among those that fit."""

from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.evaluate.kinds.dependencies import DependencyRow, encode_dependencies
from pretrain.evaluate.tasks.examples import DependencyExample

RELATIONS, PARTS = ("NP", "VP", "NP_SBJ"), ("NNG", "JX", "EF")
EXAMPLE = DependencyExample(
    "one", ("서울은", "\u200b", "가나", "간다."), (4, 3, 4, 0), ("NP_SBJ", "NP", "NP", "VP"), ("NNG+JX", "NNG", "NNG", "JX+EF")
)  # fmt: skip


def encode(tokenizer: Tokenizer, max_length: int) -> DependencyRow:
    return encode_dependencies(tokenizer, [EXAMPLE], RELATIONS, PARTS, max_length)[0]


def test_eojeols_have_first_and_last_tokens(small: Tokenizer) -> None:
    row = encode(small, 20)
    spelt = " ".join(small.pieces[token] for token in row.tokens)
    assert spelt == "[CLS] 서울 ##은 [UNK] 가 ##나 [UNK] . [SEP]"
    assert (row.firsts.tolist(), row.lasts.tolist()) == ([1, 3, 4, 6], [2, 3, 5, 7])
    assert (row.heads.tolist(), row.relations.tolist()) == ([4, 3, 4, 0], [2, 0, 0, 1])
    assert row.parts_of_speech.tolist() == [1, 0, 0, 2]
    assert row.label.tolist()[3] == [6, 7, 2, 0, 1]


def test_only_whole_eojeols_are_parsed_and_a_head_that_was_cut_off_is_unlabelled(small: Tokenizer) -> None:
    row = encode(small, 6)
    assert len(row.tokens) == 6
    assert (row.firsts.tolist(), row.lasts.tolist()) == ([1, 3], [2, 3])
    assert row.heads.tolist() == [-1, -1]


def test_a_sentence_of_which_nothing_fits_has_no_eojeols(small: Tokenizer) -> None:
    assert encode(small, 3).label.shape == (0, 5)
