"""A document's first paragraph is the target of what follows it, and never anything else."""

import pytest
from numbered import SPECIAL, made, numbered, real

from data_pipeline.corpus.corpus_files import SplitDocument
from data_pipeline.corpus.document import Sentence
from data_pipeline.corpus.layouts.source_target import FirstParagraphRows

TITLE, BODY = Sentence("제목", "\n"), Sentence("본문이다.", " ")
BROKEN = Sentence("뒤.", " ", after_break=True)


def test_a_pair_is_the_first_run_and_the_second_and_what_does_not_fit_is_counted() -> None:
    title, *body, beyond = numbered([20, 30, 40, 7], [3])
    maker = FirstParagraphRows(64, 16, SPECIAL)
    (row,) = made(maker, [[[title], body, [beyond]]])
    source, target = (row[name][row[name] != SPECIAL.pad].tolist() for name in ("tokens", "target_tokens"))
    ids = [*body[0].ids, *body[1].ids]
    assert source == [SPECIAL.cls, *ids[:60], SPECIAL.sep]  # before a word, of three tokens each
    assert target == [SPECIAL.cls, *title.ids[:12], SPECIAL.sep]
    assert maker.counts == {"tokens_cut": 10, "target_tokens_cut": 8, "tokens_left_out": 7}
    assert (len(row["tokens"]), len(row["target_tokens"])) == (64, 16)


def test_a_document_of_one_run_is_left_out() -> None:
    maker = FirstParagraphRows(64, 16, SPECIAL)
    assert made(maker, [[numbered([5, 6])]]) == []
    assert maker.counts["tokens_left_out"] == 11
    assert [token for row in made(maker, [[numbered([5]), numbered([6])]]) for token in real(row)]


@pytest.mark.parametrize(
    ("sentences", "expected"),
    [
        ([TITLE, BODY, BODY], [1, 2]),
        ([Sentence("제목은", " "), TITLE, BODY, BODY, BROKEN, BODY], [2, 2, 2]),
        ([BODY, BODY], None),
        ([TITLE], None),
        # Something was removed before, inside, or right behind the first paragraph.
        ([TITLE._replace(after_break=True), BODY], None),
        ([BODY, TITLE._replace(after_break=True), BODY], None),
        ([TITLE, BROKEN], None),
    ],
)
def test_the_first_paragraph_is_a_run_only_where_it_is_whole(
    sentences: list[Sentence], expected: list[int] | None
) -> None:
    document = SplitDocument("a:1", "s", "train", tuple(sentences))
    runs = document.opened_runs()
    assert [sentence for run in runs for sentence in run] == sentences
    assert [len(run) for run in runs] == (expected or [len(sentences)])
