"""KLUE-DP: eojeols by their first and last tokens, their heads and relations (KLUE-baseline, klue_baseline/data/klue_dp.py at 8a03c94).

Heads are places among the root and the eojeols of the row: 0 for the root, which is [CLS], then from 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.evaluate.kinds.eojeols import eojeol_tokens
from pretrain.evaluate.kinds.kind import EncodedExamples, Inputs, Kind
from pretrain.evaluate.kinds.pieces import Ids, frame_of
from pretrain.evaluate.tasks.examples import DependencyExample
from pretrain.evaluate.tasks.klue import PARTS_OF_SPEECH
from pretrain.evaluate.tasks.task import Settings, Task

UNLABELLED = -1


@dataclass(frozen=True)
class DependencyRow:
    """A sentence, of which only eojeols that fit whole are parsed and scored, w of them.

    - `tokens`, `token_types`: int32 [n].
    - `firsts`, `lasts`: int32 [w], places in the row of each eojeol's first and last token.
    - `parts_of_speech`: int32 [w], of each eojeol's last morpheme.
    - `heads`: int32 [w], UNLABELLED where the head was cut off.
    - `relations`: int32 [w].
    """

    tokens: Ids
    token_types: Ids
    firsts: Ids
    lasts: Ids
    parts_of_speech: Ids
    heads: Ids
    relations: Ids

    @property
    def label(self) -> Ids:
        """int32 [w, 5]: of each eojeol all fields from `firsts` on."""
        return np.stack([self.firsts, self.lasts, self.parts_of_speech, self.heads, self.relations], axis=1)


class PredictedTree(NamedTuple):
    """Heads and ids of relations of the eojeols that fit, int [w] each."""

    heads: Sequence[int]
    relations: Sequence[int]


def encode_dependencies(
    tokenizer: Tokenizer,
    examples: Sequence[DependencyExample],
    relations: Sequence[str],
    parts_of_speech: Sequence[str],
    max_length: int,
) -> list[DependencyRow]:
    """A row for each sentence.

    - `relations`, `parts_of_speech`: names; ids are positions.

    The baseline shifts all labels behind an eojeol of which the tokenizer leaves nothing; here it is [UNK]. Raises InputError where no
    room is left for text.
    """
    frame = frame_of(tokenizer)
    room = frame.room(max_length)
    rows = []
    for example, found in zip(examples, eojeol_tokens(tokenizer, [each.eojeols for each in examples]), strict=True):
        row = frame.row(found.tokens[:room])
        fits = int(np.sum(found.ends <= room))
        heads = np.array(example.heads[:fits], np.int32)
        last_tags = [tags.rpartition("+")[2] for tags in example.parts_of_speech[:fits]]
        rows.append(
            DependencyRow(
                row.tokens,
                row.token_types,
                (row.first + found.firsts[:fits]).astype(np.int32),
                (row.first + found.ends[:fits] - 1).astype(np.int32),
                np.array([parts_of_speech.index(tag) for tag in last_tags], np.int32),
                np.where(heads > fits, UNLABELLED, heads),
                np.array([relations.index(name) for name in example.relations[:fits]], np.int32),
            )
        )
    return rows


def _encode(
    task: Task, tokenizer: Tokenizer, examples: Sequence[DependencyExample], settings: Settings
) -> EncodedExamples:
    rows = encode_dependencies(tokenizer, examples, task.labels, PARTS_OF_SPEECH, settings.max_length)

    def answers(said: Sequence[Ids]) -> list[PredictedTree]:
        """- `said`: int [w, 2], head and relation of each of w eojeols."""
        return [PredictedTree(*each.T.tolist()) for each in said]

    return EncodedExamples(rows, range(len(rows)), answers)


def _inputs(task: Task, examples: Sequence[DependencyExample], predictions: Sequence[PredictedTree]) -> Inputs:
    ids = {label: number for number, label in enumerate(task.labels)}
    pairs = list(zip(examples, predictions, strict=True))
    heads = [list(example.heads[: len(tree.heads)]) for example, tree in pairs]
    types = [[ids[name] for name in example.relations[: len(tree.heads)]] for example, tree in pairs]
    return {
        "preds": [{"heads": [tree.heads for tree in predictions], "types": [tree.relations for tree in predictions]}],
        "labels": [{"heads": heads, "types": types}],
    }


DEPENDENCIES = Kind(_encode, _inputs, "dependencies")
