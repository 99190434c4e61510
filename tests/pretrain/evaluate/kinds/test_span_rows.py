"""Windows over a passage, and the best answer in them, beside plain restatements of what transformers does."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.evaluate.kinds.spans import N_BEST, PredictedSpan, SpanRow, encode_spans, predicted_span
from pretrain.evaluate.tasks.examples import GoldAnswer, SpanExample


def question(context: str, answer: str | None, asked: str = "가?") -> SpanExample:
    answers = () if answer is None else (GoldAnswer(answer, context.index(answer)),)
    return SpanExample("one", asked, context, answers, not answers, "")


def windows(tokenizer: Tokenizer, example: SpanExample, max_length: int = 40, stride: int = 4) -> list[SpanRow]:
    return encode_spans(tokenizer, [example], max_length=max_length, document_stride=stride, max_query_length=3)


def gold_scores(rows: Sequence[SpanRow]) -> list[np.ndarray]:
    found = []
    for row in rows:
        scores = np.zeros((len(row.tokens), 2))
        scores[row.label, [0, 1]] = 10.0
        found.append(scores)
    return found


def test_a_row_is_the_question_and_the_passage(small: Tokenizer) -> None:
    [row] = windows(small, question("서울에서 가나.", "가나", asked="가나 다 라 마"))
    assert " ".join(small.pieces[token] for token in row.tokens) == "[CLS] 가 ##나 다 [SEP] 서울 ##에서 가 ##나 . [SEP]"
    assert row.token_types.tolist() == [0] * 5 + [1] * 6
    assert row.label.tolist() == [7, 8]
    assert row.central.all()


def test_the_answer_is_quoted_from_the_passage(small: Tokenizer) -> None:
    context = "서울\u200b에서  \u1100\u1161나 👨\u200d👩(한국),  가나."
    for answer in ("서울", "서울\u200b에서", "\u1100\u1161나", "👨\u200d👩", "한국", "(한국),  가"):
        example = question(context, answer)
        rows = windows(small, example)
        found = predicted_span(context, rows, gold_scores(rows), max_answer_length=9, may_be_none=True)
        assert (found.text, found.score, found.no_answer) == (answer, 20.0, 0.0)


def test_windows_without_the_whole_answer_are_labelled_as_having_none(small: Tokenizer) -> None:
    example = question("가 나 다 라 마 바 사 아 자 차", "바 사")
    rows = windows(small, example, max_length=11, stride=3)
    shown = [
        example.context[row.starts[row.label[0] - row.first] : row.ends[row.label[1] - row.first]]
        if row.label.any()
        else ""
        for row in rows
    ]
    assert [len(row.starts) for row in rows] == [6, 6, 4]
    assert shown == ["", "바 사", ""]
    found = predicted_span(example.context, rows, gold_scores(rows), max_answer_length=3, may_be_none=True)
    assert found.text == "바 사"


def test_no_answer_is_taken_where_its_least_score_is_above_the_best_text(small: Tokenizer) -> None:
    example = question("가 나 다 라 마 바 사 아", None)
    rows = windows(small, example, max_length=11, stride=4)
    scores = gold_scores(rows)
    assert len(rows) == 2

    def found(may_be_none: bool) -> PredictedSpan:
        return predicted_span(example.context, rows, scores, max_answer_length=3, may_be_none=may_be_none)

    assert (found(True).text, found(True).score, found(True).no_answer) == ("", 0.0, 20.0)
    assert found(False).text == "가"
    # One window that is sure of its text is enough.
    scores[1][0] = 0.0
    scores[1][rows[1].first + 2] = 1.0
    assert found(True) == PredictedSpan("사", 2.0, 0.0, 12)


def test_a_passage_of_which_nothing_is_left_has_no_answer(small: Tokenizer) -> None:
    example = question("\u200b", "\u200b")
    [row] = windows(small, example)
    assert row.label.tolist() == [0, 0]
    assert predicted_span("\u200b", [row], gold_scores([row]), max_answer_length=3, may_be_none=False).text == ""


def test_a_window_without_room_for_the_stride_is_refused(small: Tokenizer) -> None:
    message = (
        r"--settings.max-length 9: leaves 4 tokens for the passage beside a question of 2, less than "
        r"--settings.document-stride 5; raise it"
    )
    with pytest.raises(InputError, match=message):
        windows(small, question("가 나 다 라 마", None), max_length=9, stride=5)


@given(st.integers(1, 40), st.integers(8, 20), st.integers(1, 3))
def test_windows_and_their_central_tokens_are_those_of_transformers(
    small: Tokenizer, count: int, max_length: int, stride: int
) -> None:
    room = max_length - 5
    begins = [0]
    while begins[-1] + room < count:
        begins.append(begins[-1] + stride)
    spans = [(begin, min(room, count - begin)) for begin in begins]
    rows = windows(small, question(" ".join("가" * count), None), max_length, stride)
    assert [len(row.tokens) for row in rows] == [5 + length for _, length in spans]

    def window_of(place: int) -> int:
        scores = [
            (min(place - begin, begin + length - 1 - place) + 0.01 * length, -number)
            for number, (begin, length) in enumerate(spans)
            if begin <= place < begin + length
        ]
        return -max(scores)[1]

    for number, (row, (begin, length)) in enumerate(zip(rows, spans, strict=True)):
        assert row.central.tolist() == [window_of(begin + place) == number for place in range(length)]


@settings(deadline=None)
@given(st.integers(0, 10**6), st.booleans(), st.integers(1, 6))
def test_the_best_answer_is_that_of_transformers(
    small: Tokenizer, seed: int, may_be_none: bool, max_answer_length: int
) -> None:
    random = np.random.default_rng(seed)
    context = " ".join(random.choice(list("가나다라마바사아자차카타파하"), 40))
    rows = windows(small, question(context, None), 30, 8)
    # Few values, so that there are ties.
    scores = [random.integers(0, 6, (len(row.tokens), 2)).astype(np.float32) for row in rows]
    tried = []
    for row, given_scores in zip(rows, scores, strict=True):
        start, end = given_scores.T.tolist()
        for first in sorted(range(len(start)), key=lambda place: -start[place])[:N_BEST]:
            for last in sorted(range(len(end)), key=lambda place: -end[place])[:N_BEST]:
                place, behind = first - row.first, last - row.first
                inside = 0 <= place < len(row.starts) and behind < len(row.starts)
                if inside and row.central[place] and first <= last < first + max_answer_length:
                    tried.append((start[first] + end[last], context[row.starts[place] : row.ends[behind]]))
    score, text = max(tried, key=lambda each: each[0])
    none = min(each[0, 0] + each[0, 1] for each in scores)
    found = predicted_span(context, rows, scores, max_answer_length=max_answer_length, may_be_none=may_be_none)
    assert found[:3] == ("" if may_be_none and none > score else text, score, none)
    assert context[max(found.start, 0) :].startswith(found.text)
