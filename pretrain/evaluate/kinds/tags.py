"""Sentences with a tag for each character (KLUE-NER) or each word (Naver NER, tasks of one's own).

Characters, as in KLUE-baseline (klue_baseline/data/klue_ner.py at 8a03c94): a token is labelled by its first character, [CLS] and
[SEP] are labelled O, and their predictions are scored. Words, as in KoELECTRA (finetune/processor/ner.py at 024fbdd): the first
token of a word is labelled, and nothing else is.

Characters are found by the offsets of tokens. Where an eojeol has an [UNK], the baseline labels all its tokens as its first character.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.evaluate.kinds.eojeols import eojeol_tokens
from pretrain.evaluate.kinds.kind import EncodedExamples, Inputs, Kind
from pretrain.evaluate.kinds.official_characters import inside, official_characters
from pretrain.evaluate.kinds.pieces import Ids, Places, frame_of
from pretrain.evaluate.metrics.tags import OUTSIDE
from pretrain.evaluate.tasks.examples import TagExample
from pretrain.evaluate.tasks.task import Settings, Task

UNLABELLED = -1


@dataclass(frozen=True)
class TagRow:
    """A sentence, cut at the longest row.

    - `tokens`, `token_types`: int32 [n].
    - `label`: int32 [n], the tag of each token, or UNLABELLED.
    - `places`: int64, the token by which each unit is tagged; units that were cut off are left out, and so are blanks.
    - `eojeols`: int64 [eojeols + 1], the first token of each eojeol, and the one behind the last.
    """

    tokens: Ids
    token_types: Ids
    label: Ids
    places: Places
    eojeols: Places


class PredictedTags(NamedTuple):
    """The tags of a sentence.

    - `units`: of each unit that was not cut off, blanks left out; of characters that of [CLS] before and that of [SEP] behind them.
    - `official`: of characters the same by KLUE-baseline's way, which may count less of them; of words ().
    """

    units: tuple[str, ...]
    official: tuple[str, ...]


def encode_tags(
    tokenizer: Tokenizer, examples: Sequence[TagExample], labels: Sequence[str], max_length: int
) -> list[TagRow]:
    """A row for each sentence.

    - `labels`: names of the tags; ids are positions.
    - `max_length`: most tokens of a row.

    Raises InputError where no room is left for text.
    """
    frame, ids = frame_of(tokenizer), {name: number for number, name in enumerate(labels)}
    room = frame.room(max_length)
    rows = []
    for example, found in zip(examples, eojeol_tokens(tokenizer, list(map(_eojeols, examples))), strict=True):
        row = frame.row(found.tokens[:room])
        of_words = bool(example.separator)
        places = found.firsts if of_words else _characters(example, found.starts, found.firsts)
        places = places[places < room]
        tags = [ids[tag] for tag in _scored(example)[: len(places)]]
        label = np.full(len(row.tokens), UNLABELLED if of_words else ids[OUTSIDE], np.int32)
        # Of several characters of a token the first is written last.
        label[row.first + places[::-1]] = tags[::-1]
        eojeols = np.minimum([*found.firsts, len(found.tokens)], room)
        rows.append(TagRow(row.tokens, row.token_types, label, row.first + places, row.first + eojeols))
    return rows


def predicted_tags(
    tokenizer: Tokenizer, example: TagExample, row: TagRow, predictions: Ids, labels: Sequence[str]
) -> PredictedTags:
    """What a model says of a sentence.

    - `predictions`: int [n], the tag of each token of the row.
    """
    tags = [labels[number] for number in predictions]
    units = [tags[place] for place in row.places]
    if example.separator:
        return PredictedTags(tuple(units), ())
    same = np.diff(row.places, prepend=-1) == 0
    units = [inside(tag) if again else tag for tag, again in zip(units, same, strict=True)]
    start, end = row.eojeols[0], row.eojeols[-1]
    # A template may have no token there.
    before, behind = tags[0] if start > 0 else OUTSIDE, tags[-1] if end < len(tags) else OUTSIDE
    pieces = [[tokenizer.pieces[token] for token in part] for part in np.split(row.tokens[:end], row.eojeols[:-1])[1:]]
    unknown = tokenizer.pieces[tokenizer.special.unk]
    official = official_characters(_eojeols(example), pieces, [before, *tags[start:end], behind], unknown)
    return PredictedTags((before, *units, behind), tuple(official))


def gold_tags(example: TagExample, scored: int) -> tuple[str, ...]:
    """The gold tags beside as many predictions of `predicted_tags`."""
    if example.separator:
        return example.tags[:scored]
    return (OUTSIDE, *_scored(example)[: scored - 2], OUTSIDE)


def _eojeols(example: TagExample) -> list[str]:
    return list(example.units) if example.separator else "".join(example.units).split(" ")


def _scored(example: TagExample) -> list[str]:
    """The tags of words, or of the characters but blanks."""
    return [tag for unit, tag in zip(example.units, example.tags, strict=True) if example.separator or unit != " "]


def _characters(example: TagExample, starts: Places, firsts: Places) -> Places:
    """int64 [characters but blanks]: the token of each, the last one that has started in its eojeol by then."""
    begins = np.cumsum([0, *(len(unit) for unit in example.units[:-1])])
    blank = np.array([unit == " " for unit in example.units])
    reached = np.searchsorted(starts, begins[~blank], "right") - 1
    return np.maximum(reached, firsts[np.cumsum(blank)[~blank]])


def _encode(task: Task, tokenizer: Tokenizer, examples: Sequence[TagExample], settings: Settings) -> EncodedExamples:
    rows = encode_tags(tokenizer, examples, task.labels, settings.max_length)

    def answers(said: Sequence[Ids]) -> list[PredictedTags]:
        each = zip(examples, rows, said, strict=True)
        return [predicted_tags(tokenizer, example, row, tags, task.labels) for example, row, tags in each]

    return EncodedExamples(rows, range(len(rows)), answers)


def _inputs(task: Task, examples: Sequence[TagExample], predictions: Sequence[PredictedTags]) -> Inputs:
    pairs = list(zip(examples, predictions, strict=True))
    units = [list(predicted.units) for _, predicted in pairs]
    gold = [list(gold_tags(example, len(predicted.units))) for example, predicted in pairs]
    if all(example.separator for example, _ in pairs):
        return {"preds": units, "labels": gold}
    ids = {label: number for number, label in enumerate(task.labels)}
    # By the baseline's way a sentence may also have more characters than there are: the baseline fails then.
    official = [(predicted.official, gold_tags(example, len(predicted.official))) for example, predicted in pairs]

    def flat(sentences: Sequence[Sequence[str]]) -> list[int]:
        return [ids[tag] for sentence in sentences for tag in sentence]

    return {
        "preds": flat([[*given[: len(tags) - 1], given[-1]] for given, tags in official]),
        "labels": flat([tags for _, tags in official]),
        "preds_by_offsets": flat(units),
        "labels_by_offsets": flat(gold),
        "label_list": list(task.labels),
    }


TAGS = Kind(_encode, _inputs, "tags")
