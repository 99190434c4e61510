"""A model on the page: what it can do, and its answers, one after the other."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from data_pipeline.contract.errors import InputError, WorkError
from pretrain.evaluate.kinds.asked import Asked, read_asked
from pretrain.evaluate.kinds.texts import Text
from pretrain.exporting.answers.by_head import ANSWERS, answering_head, checked_export, with_own_mask
from pretrain.exporting.answers.tokens import Token, tokens_of
from pretrain.inference.embeddings import Pooling, embedder, nearest, poolings_of
from pretrain.inference.predictions import predictor
from pretrain.inference.running import Running
from pretrain.playground.question import MOST_OTHERS, Question
from pretrain.subject import Subject, load_subject

PREDICT = "predict"
SIMILAR = "similar"
TOKENS = "tokens"
PATIENCE = 60.0
"""Seconds that a request waits for those before it."""


@dataclass(frozen=True)
class Likeness:
    """A text and the cosine of its vector, -1 to 1, with that of the text that it is compared with."""

    text: str
    cosine: float


@dataclass(frozen=True)
class Ability:
    """Something that a model can be asked for.

    - `does`: what, for people, after "which".
    - `texts`: examples. - `settings`: as of `pretrain.exporting.answers.by_head.Answer`. - `choices`: values of settings that are words.
    - `found`: (question) -> strings or dataclasses.
    """

    does: str
    texts: tuple[str, ...]
    settings: Mapping[str, Any]
    found: Callable[[Question], Sequence[Any]]
    choices: Mapping[str, Sequence[str]]


class ShownModel:
    """A model under the name that the page shows.

    - `name`: the place as it was given on the command line.
    - `asked`: how a fine-tuned model is asked; None for others.
    """

    def __init__(self, name: str, subject: Subject, asked: Asked | None = None) -> None:
        self.name, self.subject, self._asked = name, subject, asked
        self._lock = threading.Lock()
        # A model has two or three poolings: each is placed on the devices when it is first asked for.
        self._embedder = cache(partial(embedder, subject, running=Running(batch_size=MOST_OTHERS + 1)))

    @cached_property
    def abilities(self) -> dict[str, Ability]:
        """By name: its head, if that answers, or its task, if that is about single texts or pairs; then what every model can."""
        subject, found = self.subject, dict[str, Ability]()
        head = answering_head(subject.heads)
        if head:
            answer = ANSWERS[head]
            ask = partial(self._answers_of_head, answer.found)
            found[head] = Ability(answer.does, answer.texts, answer.settings, ask, {})
        if self._asked and self._asked.kind in TASKS:
            found[PREDICT] = Ability(TASKS[self._asked.kind], PREDICT_TEXTS, {}, self._predict, {})
        poolings = poolings_of(subject)
        compares = "tells how alike texts are"
        found[SIMILAR] = Ability(compares, SIMILAR_TEXTS, {"pooling": "mean"}, self._similar, {"pooling": poolings})
        found[TOKENS] = Ability("reads tokens", TOKEN_TEXTS, {}, self._tokens, {})
        return found

    def ask(self, ability: Ability, question: Question) -> Sequence[Any]:
        """The answers of an ability. Raises InputError where it cannot answer that, WorkError where others ask for too long."""
        if not self._lock.acquire(timeout=PATIENCE):
            raise WorkError(f"{self.name}: is busy with other requests; try again")
        try:
            return ability.found(question)
        finally:
            self._lock.release()

    def _answers_of_head(self, found: Callable[..., Sequence[Any]], question: Question) -> Sequence[Any]:
        return found(self.subject, with_own_mask(self.subject, question.text), **question.settings)

    def _tokens(self, question: Question) -> list[Token]:
        return tokens_of(self.subject, with_own_mask(self.subject, question.text))

    @cached_property
    def _predictor(self) -> Callable[[Sequence[Text]], Iterator[dict[str, Any]]]:
        assert self._asked
        return predictor(self.subject, self._asked, Running(batch_size=1))

    def _predict(self, question: Question) -> list[dict[str, Any]]:
        assert self._asked
        lines = [line for line in question.text.splitlines() if line.strip()]
        single = self._asked.kind == "tags" or self._asked.pairs is False
        if self._asked.pairs and len(lines) != 2:
            raise InputError("the model was fine-tuned on pairs of texts; write one on each of two lines")
        text = (lines[0], lines[1]) if len(lines) == 2 and not single else question.text
        count, most = sum(len(tokens_of(self.subject, line)) for line in lines), self._asked.max_length
        if most and count > most:
            raise InputError(f"the text has {count} tokens, the model was fine-tuned on {most}; shorten it")
        return list(self._predictor([text]))

    def _similar(self, question: Question) -> list[Likeness]:
        pooling: Pooling = question.settings["pooling"]
        if pooling not in poolings_of(self.subject):
            raise InputError(f"pooling: {self.name} has {', '.join(poolings_of(self.subject))}; choose one of them")
        texts = (question.text, *question.others)
        for text in texts:
            tokens_of(self.subject, text)  # too many are refused, where `embed` cuts them
        vectors: np.ndarray = self._embedder(pooling)(texts)
        (best,) = nearest(vectors[1:], vectors[:1], len(question.others))
        return [Likeness(question.others[place], cosine) for place, cosine in best]


TASKS = {"classes": "classifies texts", "score": "scores texts", "tags": "tags texts"}
"""The kinds of tasks whose models are asked by a text, or two on two lines."""
PREDICT_TEXTS = ("배우들의 연기가 정말 좋았고 이야기도 마음에 남았다.", "이순신은 1545년 서울에서 태어났다.")
SIMILAR_TEXTS = (
    "음악이 정말 좋았다.\n노래가 마음에 들었다.\n배우들의 연기가 어색했다.\n내일은 전국에 비가 온다.",
    "서울에서 부산까지 기차로 간다.\n부산행 열차를 탔다.\n서울의 집값이 올랐다.\n오늘 점심은 김밥이다.",
)
"""The first line is compared with the others."""
TOKEN_TEXTS = ("아이들이 운동장에서 공을 차며 놀았다.", "국민청원에 동의해 주셔서 감사합니다!")


def load_model(place: str) -> ShownModel:
    """The model that a run exported, or that of a Hugging Face folder; errors as of `pretrain.exporting.answers.by_head.print_answers`."""
    folder, _ = checked_export(Path(place).expanduser())
    subject = load_subject(folder)
    asked = read_asked(str(folder), subject.task) if subject.task else None
    return ShownModel(place.rstrip("/") or place, subject, asked)
