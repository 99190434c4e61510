"""KLUE-RE: sentences whose two entities stand between markers (KLUE-baseline, klue_baseline/data/klue_re.py at 8a03c94).

The baseline adds the tokens <subj> </subj> <obj> </obj> to the vocabulary, with new random vectors. Here the markers are entries that the
vocabulary has, so that the model keeps its size: those very names, else the first four [unusedN], which pretraining has not
touched either, else two marks of MARKS, one on both sides of the subject and one on those of the object (W. Zhou and M. Chen, An
Improved Baseline for Sentence-level Relation Extraction, 2021, have @ and #).

As in the baseline, what continues an eojeol behind an entity is read as a continuation, ##, and as [UNK] where the vocabulary has only
the form that starts a word: klue/bert-base's loses 에게, 까지 and others by that, 469 of 9,895 such tokens of the dev file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.tokenizer import Tokenizer
from data_pipeline.contract.unigram import SPACE_SYMBOL
from pretrain.evaluate.kinds.kind import EncodedExamples, Kind
from pretrain.evaluate.kinds.pieces import Ids, frame_of
from pretrain.evaluate.kinds.texts import class_inputs
from pretrain.evaluate.tasks.examples import RelationExample
from pretrain.evaluate.tasks.task import Settings, Task

OFFICIAL = ("<subj>", "</subj>", "<obj>", "</obj>")
MARKS = ("@", "#", "*", "^", "+")


class EntityMarkers(NamedTuple):
    """Entries of the vocabulary before and behind the subject, before and behind the object."""

    pieces: tuple[str, ...]
    ids: tuple[int, ...]


@dataclass(frozen=True)
class RelationRow:
    """A sentence with markers: `tokens`, `token_types`, int32 [n]; `label`: int32 []."""

    tokens: Ids
    token_types: Ids
    label: Ids


def entity_markers(tokenizer: Tokenizer) -> EntityMarkers:
    """The markers of a vocabulary. Raises InputError where it has none of them."""
    ids = {piece: number for number, piece in enumerate(tokenizer.pieces)}
    unused = [piece for piece in tokenizer.pieces if piece.startswith("[unused")]
    marks = [mark for mark in MARKS if mark in ids]
    pieces = OFFICIAL if all(piece in ids for piece in OFFICIAL) else tuple(unused[:4])
    if len(pieces) < 4:
        if len(marks) < 2:
            raise InputError(
                f"{tokenizer.folder}: the vocabulary has neither four [unusedN] entries nor two of {' '.join(MARKS)} to mark "
                "entities with; give another model"
            )
        pieces = (marks[0], marks[0], marks[1], marks[1])
    return EntityMarkers(pieces, tuple(ids[piece] for piece in pieces))


def encode_relations(
    tokenizer: Tokenizer, examples: Sequence[RelationExample], labels: Sequence[str], max_length: int
) -> list[RelationRow]:
    """A row for each sentence; what does not fit is cut off behind.

    - `labels`: names of the relations; ids are positions.

    Raises InputError where no room is left for text, or for markers.
    """
    frame, markers = frame_of(tokenizer), entity_markers(tokenizer)
    room = frame.room(max_length)
    segments = [segment for example in examples for segment in _segments(example)]
    encoded = iter(tokenizer.backend.encode_batch_fast(segments, add_special_tokens=False))
    rows = []
    for example in examples:
        tokens: list[int] = []
        marked = markers.ids if example.subject.start < example.object.start else (*markers.ids[2:], *markers.ids[:2])
        for number, segment in enumerate(_segments(example)):
            ids = next(encoded).ids
            # The text behind an entity continues its eojeol.
            joins = number in (2, 4) and segment[:1] not in ("", " ")
            tokens += [*marked[max(number - 1, 0) : number], *(_continued(tokenizer, ids) if joins else ids)]
        row = frame.row(np.array(tokens[:room], np.int32))
        rows.append(RelationRow(row.tokens, row.token_types, np.array(labels.index(example.label), np.int32)))
    return rows


def _segments(example: RelationExample) -> list[str]:
    """The sentence cut before and behind both entities: five parts."""
    first, second = sorted([example.subject, example.object])
    cuts = [0, first.start, first.end, second.start, second.end, len(example.sentence)]
    return [example.sentence[start:end] for start, end in pairwise(cuts)]


def _continued(tokenizer: Tokenizer, ids: list[int]) -> list[int]:
    """The tokens with the first as a continuation, as the baseline has it: only of Hangul; [UNK] where the vocabulary has none."""
    if not ids:
        return ids
    piece, unknown = tokenizer.pieces[ids[0]], tokenizer.special.unk
    if piece == SPACE_SYMBOL:
        return ids[1:]
    if piece.startswith(SPACE_SYMBOL):
        return [tokenizer.backend.token_to_id(piece[1:]) or unknown, *ids[1:]]
    if tokenizer.is_bert and "가" <= piece[0] <= "힣":
        return [tokenizer.backend.token_to_id(f"##{piece}") or unknown, *ids[1:]]
    return ids


def _encode(
    task: Task, tokenizer: Tokenizer, examples: Sequence[RelationExample], settings: Settings
) -> EncodedExamples:
    rows = encode_relations(tokenizer, examples, task.labels, settings.max_length)
    return EncodedExamples(rows, range(len(rows)), list)


RELATION = Kind(_encode, class_inputs, "classifier")
