"""What a fine-tuned model says of texts."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import jax
import numpy as np

from data_pipeline.contract.errors import InputError
from pretrain.evaluate.encoding import longest_row, model_rows, token_rows
from pretrain.evaluate.kinds.asked import Asked
from pretrain.evaluate.kinds.relations import encode_relations
from pretrain.evaluate.kinds.spans import encode_spans, predicted_spans
from pretrain.evaluate.kinds.tags import encode_tags, predicted_tags
from pretrain.evaluate.kinds.texts import Text
from pretrain.evaluate.metrics.tags import OUTSIDE, are_entities
from pretrain.evaluate.tasks.examples import Entity, RelationExample, SpanExample, TagExample
from pretrain.evaluate.tasks.task import KindName
from pretrain.inference.entities import entities_of
from pretrain.inference.forward import UNLIMITED, Outputs, outputs_of
from pretrain.inference.running import Running
from pretrain.models.core.layers import Parameters
from pretrain.models.protocols import Compute, Inputs, Model, TaskModel
from pretrain.models.task_heads import TaskHead
from pretrain.subject import Subject

Answer = dict[str, Any]


def head_asked(subject: Subject) -> TaskHead:
    """The head that answers. Raises InputError for a model without one."""
    if subject.task is None:
        raise InputError(
            f"{subject.origin}: has no head of a task; fine-tune it with `python -m pretrain evaluate MODEL --task TASK --export` and "
            "give the evaluation/TASK/model that this writes"
        )
    return subject.task


@dataclass(frozen=True)
class _Model:
    """A model that is asked.

    - `longest`: most tokens of a row.
    - `said`: rows to what the head says: float32 [outputs] of each, or [n, outputs] of its n tokens.
    """

    subject: Subject
    head: TaskHead
    asked: Asked
    longest: int
    said: Outputs


Texts = Sequence[Text | RelationExample]


def predict(subject: Subject, asked: Asked, texts: Texts, running: Running) -> Iterator[Answer]:
    """What a fine-tuned model says of each text, ready for JSON: `text` (and `second`), and of

    - classes and relations: `label`, its `probability`, and the `probabilities` of all labels;
    - a score: `score`;
    - tags: `tags` of words or characters, or `entities` where the labels are those of entities, with `start` and `end` in the text;
    - spans: `answer`, and its `start` and `end` in the second text; null where there is none.

    - `texts`: pairs of question and passage for spans, of `pretrain.inference.texts.read_relations` for relations.

    Raises InputError for texts that are not those of the model's task.
    """
    yield from predictor(subject, asked, running)(texts)


def predictor(subject: Subject, asked: Asked, running: Running) -> Callable[[Texts], Iterator[Answer]]:
    """What predicts as `predict` does, and does not compile again for texts of like lengths."""
    head = head_asked(subject)

    def make(compute: Compute) -> Model:
        return subject.with_task(head, compute)

    said = outputs_of(subject, make, _logits, running, of_tokens=head.kind != "classifier")
    longest = longest_row(subject, running.max_length or asked.max_length or UNLIMITED)
    return partial(ANSWERS[asked.kind], _Model(subject, head, asked, longest, said))


def _logits(model: Model, params: Parameters, inputs: Inputs) -> jax.Array:
    tuned = cast(TaskModel, model)
    return tuned.task_logits(params, tuned.encode(params, inputs), inputs)


def _texts(model: _Model, texts: Sequence[Text]) -> Iterator[Answer]:
    pairs = model.asked.pairs
    if pairs is False and any(isinstance(text, tuple) for text in texts):
        raise InputError(f"--second: {model.subject.origin} was fine-tuned on single texts; leave it out")
    if pairs and not all(isinstance(text, tuple) for text in texts):
        raise InputError(
            f"{model.subject.origin}: was fine-tuned on pairs of texts; name the column of the other with --second"
        )
    rows = token_rows(model.subject, texts, model.longest)
    for text, each in zip(texts, model.said(rows), strict=True):
        shown = {"text": text[0], "second": text[1]} if isinstance(text, tuple) else {"text": text}
        yield {**shown, **_class_or_score(model.head, each)}


def _class_or_score(head: TaskHead, said: np.ndarray) -> Answer:
    """- `said`: float32 [labels], or [1] of a score."""
    if not head.labels:
        return {"score": float(said[0])}
    exponentials = np.exp(said.astype(np.float64) - said.max())
    probabilities = dict(zip(head.labels, (exponentials / exponentials.sum()).tolist(), strict=True))
    label = head.labels[int(said.argmax())]
    return {"label": label, "probability": probabilities[label], "probabilities": probabilities}


def _relations(model: _Model, texts: Sequence[RelationExample]) -> Iterator[Answer]:
    # A row has a gold label, which nothing reads here.
    examples = [replace(example, label=model.head.labels[0]) for example in texts]
    rows = encode_relations(model.subject.tokenizer, examples, model.head.labels, model.longest)
    for example, each in zip(examples, model.said(model_rows(model.subject, rows)), strict=True):
        sides = {"subject": example.subject, "object": example.object}
        shown = {name: _place(example.sentence, *entity) for name, entity in sides.items()}
        yield {"text": example.sentence, **shown, **_class_or_score(model.head, each)}


def _tags(model: _Model, texts: Sequence[Text]) -> Iterator[Answer]:
    if any(isinstance(text, tuple) for text in texts):
        raise InputError(f"--second: {model.subject.origin} tags single texts; leave it out")
    tokenizer, labels = model.subject.tokenizer, model.head.labels
    characters = model.asked.characters and OUTSIDE in labels
    examples, places = zip(*(_units(str(text), labels[0], characters) for text in texts), strict=True)
    rows = encode_tags(tokenizer, examples, labels, model.longest)
    found = zip(map(str, texts), examples, places, rows, model.said(model_rows(model.subject, rows)), strict=True)
    entities = are_entities(labels)
    for text, example, own, row, scores in found:
        tags = predicted_tags(tokenizer, example, row, scores.argmax(-1), labels).units
        # Of characters also the special tokens at both ends are tagged.
        tags = tags[1:-1] if characters else tags
        if entities:
            spans = entities_of(tags, strict=characters)
            whole = [Entity(own[first][0], own[last][1], kind) for kind, first, last in spans]
            yield {"text": text, "entities": [_place(text, *entity) for entity in whole]}
        else:
            shown = zip(own, tags, strict=False)
            yield {"text": text, "tags": [{**_place(text, *place), "tag": tag} for place, tag in shown]}


def _units(text: str, tag: str, characters: bool) -> tuple[TagExample, list[tuple[int, int]]]:
    """A text as units that could have a tag, and where each starts and ends; blanks have none."""
    if characters:
        places = [(place, place + 1) for place, character in enumerate(text) if character != " "]
        return TagExample("", tuple(text), (tag,) * len(text), ""), places
    words = list(re.finditer(r"\S+", text))
    units = tuple(word.group() for word in words)
    return TagExample("", units, (tag,) * len(units), " "), [word.span() for word in words]


def _place(text: str, start: int, end: int, kind: str | None = None) -> Answer:
    return {"start": start, "end": end, "text": text[start:end], **({"type": kind} if kind else {})}


def _spans(model: _Model, texts: Sequence[Text]) -> Iterator[Answer]:
    asked, pairs = model.asked, [text for text in texts if isinstance(text, tuple)]
    if len(pairs) < len(texts):
        raise InputError(
            f"{model.subject.origin}: answers questions about passages; name their columns with --column and --second"
        )
    examples = [SpanExample("", question, context, (), True, "") for question, context in pairs]
    rows = encode_spans(
        model.subject.tokenizer,
        examples,
        max_length=model.longest,
        document_stride=asked.document_stride,
        max_query_length=asked.max_query_length,
    )
    found = predicted_spans(
        examples,
        rows,
        model.said(model_rows(model.subject, rows)),
        max_answer_length=asked.max_answer_length,
        may_be_none=not asked.answerable,
    )
    for (question, context), best in zip(pairs, found, strict=True):
        start, end = (best.start, best.start + len(best.text)) if best.text else (None, None)
        yield {"text": question, "second": context, "answer": best.text or None, "start": start, "end": end}


ANSWERS: Mapping[KindName, Callable[[_Model, Sequence[Any]], Iterator[Answer]]] = {
    "classes": _texts,
    "score": _texts,
    "relation": _relations,
    "tags": _tags,
    "span": _spans,
}
"""By kind of task, of those whose heads a config.json tells."""
