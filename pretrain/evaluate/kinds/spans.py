"""Questions about passages as windows (KLUE-MRC, KorQuAD, tasks of one's own), and answers cut from the passage.

Windows and the choice of the answer are those of transformers 4 (data/processors/squad.py, data/metrics/squad_metrics.py), by which
both KLUE-baseline and KoELECTRA go. An answer is different: here it is the characters between its tokens' offsets, so that the
passage is quoted as it is. transformers looks for the tokens' text in the eojeols around it and takes these whole where it is not
found, as behind an [UNK] or from ## on; it also labels whole eojeols where an answer by itself has other tokens than in its eojeol.
No answer can end inside a token: with klue/bert-base's vocabulary a model that is right for every token of KorQuAD's dev file gets
98.9 EM and 99.9 F1, and 98.3 and 99.8 by transformers' way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.evaluate.kinds.kind import EncodedExamples, Inputs, Kind
from pretrain.evaluate.kinds.pieces import Ids, Pieces, Places, frame_of, pieces_of
from pretrain.evaluate.tasks.examples import SpanExample
from pretrain.evaluate.tasks.task import Settings, Task

NO_ANSWER = 0
"""The place of [CLS], whose scores are those of no answer."""
N_BEST = 20
"""Starts, and ends, of a window that are tried."""


@dataclass(frozen=True)
class SpanRow:
    """A window over the passage of a question.

    - `example`: the number of the question.
    - `tokens`, `token_types`: int32 [n].
    - `label`: int32 [2], places of the answer's first and last token; NO_ANSWER where the window does not have all of it.
    - `first`: the place of the window's first token of the passage.
    - `starts`, `ends`: int64 [tokens of the passage], where each token starts and ends in the passage, in characters.
    - `central`: bool [tokens of the passage], no other window shows more on both sides; an answer starts in this one only.
    """

    example: int
    tokens: Ids
    token_types: Ids
    label: Ids
    first: int
    starts: Places
    ends: Places
    central: NDArray[np.bool_]


class PredictedSpan(NamedTuple):
    """An answer.

    - `text`: as it is in the passage; "" for none. - `start`: where it starts there, in characters; -1 for none.
    - `score`: of the best answer with a text, the sum of start and end; -inf where no window has one.
    - `no_answer`: the least score of none over the windows.
    """

    text: str
    score: float
    no_answer: float
    start: int


def encode_spans(
    tokenizer: Tokenizer,
    examples: Sequence[SpanExample],
    *,
    max_length: int,
    document_stride: int,
    max_query_length: int,
) -> list[SpanRow]:
    """One or more windows for each question, in the order of the questions; numbers in tokens (`Settings`).

    The first gold answer is labelled. Raises InputError where a window has no room for the passage, or the stride would leave some
    of it out.
    """
    frame = frame_of(tokenizer, pair=True)
    contexts = list(dict.fromkeys(example.context for example in examples))
    passages = dict(zip(contexts, pieces_of(tokenizer, contexts), strict=True))
    questions = pieces_of(tokenizer, [example.question for example in examples])
    rows: list[SpanRow] = []
    for number, (example, asked) in enumerate(zip(examples, questions, strict=True)):
        question, passage = asked.tokens[:max_query_length], passages[example.context]
        room, count = max_length - frame.added - len(question), len(passage.tokens)
        if room < 1 or (count > room and document_stride > room):
            raise InputError(
                f"--settings.max-length {max_length}: leaves {max(room, 0)} tokens for the passage beside a question of "
                f"{len(question)}, less than --settings.document-stride {document_stride}; raise it, or lower "
                "--settings.document-stride or --settings.max-query-length"
            )
        begins = np.arange(0, max(count - room, 0) + document_stride, document_stride)
        lengths = np.minimum(count - begins, room)
        central = _central(begins, lengths, count)
        answer = _answer(example, passage)
        for window, (begin, length) in enumerate(zip(begins, lengths, strict=True)):
            shown = slice(begin, begin + length)
            row = frame.row(question, passage.tokens[shown])
            label = np.full(2, NO_ANSWER, np.int32)
            if answer and begin <= answer[0] and answer[1] < begin + length:
                label[:] = np.array(answer) - begin + row.second
            rows.append(
                SpanRow(
                    number,
                    row.tokens,
                    row.token_types,
                    label,
                    row.second,
                    passage.starts[shown],
                    passage.ends[shown],
                    central[shown] == window,
                )
            )
    return rows


def _central(begins: Places, lengths: Places, count: int) -> Places:
    """int64 [count]: the window in which each token has most on its shorter side; the first of several."""
    places, ends = np.arange(count), (begins + lengths)[:, None] - 1
    shorter = np.minimum(places - begins[:, None], ends - places) + 0.01 * lengths[:, None]
    inside = (places >= begins[:, None]) & (places <= ends)
    return np.where(inside, shorter, -np.inf).argmax(axis=0)


def _answer(example: SpanExample, passage: Pieces) -> tuple[int, int] | None:
    """The first and the last token of the first gold answer; None where there is none, or the tokenizer leaves nothing of it."""
    if not example.answers:
        return None
    text, start = example.answers[0]
    first = int(np.searchsorted(passage.ends, start, "right"))
    last = int(np.searchsorted(passage.starts, start + len(text))) - 1
    return (first, last) if first <= last else None


def predicted_span(
    context: str, windows: Sequence[SpanRow], scores: Sequence[ArrayLike], *, max_answer_length: int, may_be_none: bool
) -> PredictedSpan:
    """The best answer over the windows of a question.

    - `scores`: for each window float [n, 2], of the start and the end at each token of the row.
    - `max_answer_length`: in tokens.
    - `may_be_none`: whether no answer is one: taken where its score is above that of the best text.
    """
    best, found, begin, no_answer = -np.inf, "", -1, np.inf
    for window, given in zip(windows, scores, strict=True):
        start, end = np.asarray(given, np.float64).T
        no_answer = min(no_answer, start[NO_ANSWER] + end[NO_ANSWER])
        firsts, lasts = _best(start) - window.first, _best(end) - window.first
        count = len(window.starts)
        firsts, lasts = firsts[(firsts >= 0) & (firsts < count)], lasts[(lasts >= 0) & (lasts < count)]
        firsts = firsts[window.central[firsts]]
        length = lasts[None, :] - firsts[:, None] + 1
        allowed = (length >= 1) & (length <= max_answer_length)
        if not allowed.any():
            continue
        totals = start[window.first + firsts][:, None] + end[window.first + lasts][None, :]
        first, last = np.unravel_index(np.where(allowed, totals, -np.inf).argmax(), totals.shape)
        if totals[first, last] > best:
            best = totals[first, last]
            begin = int(window.starts[firsts[first]])
            found = context[begin : window.ends[lasts[last]]]
    if may_be_none and no_answer > best:
        found, begin = "", -1
    return PredictedSpan(found, float(best), float(no_answer), begin)


def predicted_spans(
    examples: Sequence[SpanExample],
    rows: Sequence[SpanRow],
    said: Sequence[ArrayLike],
    *,
    max_answer_length: int,
    may_be_none: bool,
) -> list[PredictedSpan]:
    """The best answer to each question; other arguments as for `predicted_span`.

    - `rows`: windows, in the order of the questions. - `said`: of each window float [n, 2].
    """
    found = []
    for number, group in groupby(zip(rows, said, strict=True), key=lambda pair: pair[0].example):
        windows, scores = zip(*group, strict=True)
        context = examples[number].context
        found.append(
            predicted_span(context, windows, scores, max_answer_length=max_answer_length, may_be_none=may_be_none)
        )
    return found


def _best(scores: NDArray[np.float64]) -> Places:
    """The places of the N_BEST highest scores, the first of equal ones first."""
    return np.argsort(-scores, kind="stable")[:N_BEST]


def _encode(task: Task, tokenizer: Tokenizer, examples: Sequence[SpanExample], settings: Settings) -> EncodedExamples:
    rows = encode_spans(
        tokenizer,
        examples,
        max_length=settings.max_length,
        document_stride=settings.document_stride,
        max_query_length=settings.max_query_length,
    )

    def answers(said: Sequence[ArrayLike]) -> list[str]:
        most, may_be_none = settings.max_answer_length, not task.answerable
        best = predicted_spans(examples, rows, said, max_answer_length=most, may_be_none=may_be_none)
        return [each.text for each in best]

    return EncodedExamples(rows, [row.example for row in rows], answers)


def _inputs(task: Task, examples: Sequence[SpanExample], predictions: Sequence[str]) -> Inputs:
    asked = [
        (example.name, [{"text": text} for text, _ in example.answers], said)
        for example, said in zip(examples, predictions, strict=True)
    ]
    return {
        "predictions": {name: said for name, _, said in asked},
        "examples": [{"qas_id": name, "answers": answers} for name, answers, _ in asked],
        "dataset": [{"paragraphs": [{"qas": [{"id": name, "answers": answers} for name, answers, _ in asked]}]}],
    }


SPAN = Kind(_encode, _inputs, "span")
