"""The model of `kss_repaired`: learnt from marked ends of petitions and reviews with the marks hidden, in integers only.

A blank behind a full stop, ? or ! ends a sentence, a blank behind a bare letter does not; the model sees neither mark. What the first model
takes for an end without a mark is left out, and the model is made once more. Ends of reviews, marked or not, are ends, too: another
review follows them. The same text gives the same bytes on any machine: weights are sums of integers, and the logistic function is a table.
"""

import gzip
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_pipeline.corpus.compiled import compiled, number_of_code
from data_pipeline.corpus.document import Document
from data_pipeline.corpus.steps.clean import cleaner
from data_pipeline.corpus.steps.kss_repaired import characters, features, kss_cuts, pairs, places, rules
from data_pipeline.corpus.steps.kss_repaired.characters import character_classes
from data_pipeline.corpus.steps.kss_repaired.features import BITS, FEATURES, UNIT, place_features
from data_pipeline.corpus.steps.kss_repaired.kss_cuts import kss_rules, mark_kss_cuts
from data_pipeline.corpus.steps.kss_repaired.pairs import find_pairs
from data_pipeline.corpus.steps.kss_repaired.places import ASKED, BARE, COMMAED, DOTTED, find_places
from data_pipeline.corpus.steps.kss_repaired.rules import NEVER, bonus_of
from data_pipeline.recipe import Clean

REVIEWS = 400_000
JOINED_REVIEWS = 120_000
MOST_CHARS_PER_MARK = 90
"""Of a text whose bare blanks are taken for what they are."""

FRACTION_BITS = 16
"""A weight in training is 2 ** FRACTION_BITS times its logit."""
TABLE_BITS = 6
"""Entries of the logistic function's table for one logit, as a power of two."""
HIGHEST_LOGIT = 12
RATES = (4, 5, 6, 7, 8)
"""An epoch adds 2 ** -rate of the error to every weight of an example."""
PRUNED_LOGIT = 0
"""A bare blank with a higher score in the first model is taken for an end whose mark was left out."""


class Texts(NamedTuple):
    """Texts to learn from.

    - `codes`: uint32, all one behind the other. `ends`: int64 [texts], where each ends in it.
    - `joints`: int64 [texts], the place in it where another text was appended after a blank; -1 for none, then its marks are learnt from.
    """

    codes: NDArray[np.uint32]
    ends: NDArray[np.int64]
    joints: NDArray[np.int64]


def made_weights(data: Path) -> NDArray[np.int8]:
    """int8 [2 ** BITS], from the petitions and reviews below `data`."""
    texts = _joined_texts(_marked_texts(data), _joined_reviews(data))
    entries, ends = list_examples(texts.codes, texts.ends, texts.joints, character_classes(), kss_rules())
    order = np.argsort((np.arange(len(ends), dtype=np.uint64) + 1) * np.uint64(0x9E3779B97F4A7C15), kind="stable")
    entries, ends = entries[order], ends[order]
    weights = _learnt(entries, ends)
    kept = (ends == 1) | (logits(weights, entries) <= PRUNED_LOGIT << FRACTION_BITS)
    weights = _learnt(entries[kept], ends[kept])
    print(f"{len(ends):,} places, {int(ends.sum()):,} of them ends; {int((~kept).sum()):,} left out")
    steps = 1 << FRACTION_BITS
    return np.clip((weights.astype(np.int64) * UNIT + steps // 2) // steps, -127, 127).astype(np.int8)


def _learnt(entries: NDArray[np.int32], ends: NDArray[np.int8]) -> NDArray[np.int32]:
    weights = np.zeros(1 << BITS, np.int32)
    table = logistic_table()
    for rate in RATES:
        learn(weights, entries, ends, table, np.int64(rate))
    return weights


def logistic_table() -> NDArray[np.int64]:
    """int64: 2 ** FRACTION_BITS / (1 + e ** -x) for x from -HIGHEST_LOGIT to HIGHEST_LOGIT."""
    x = np.arange(-HIGHEST_LOGIT << TABLE_BITS, (HIGHEST_LOGIT << TABLE_BITS) + 1) / (1 << TABLE_BITS)
    return np.rint((1 << FRACTION_BITS) / (1 + np.exp(-x))).astype(np.int64)


def petitions(data: Path) -> Iterator[tuple[str, str]]:
    """Id and text of every petition, cleaned as a recipe does it."""
    clean = cleaner(Clean())
    for path in sorted((data / "corpus").glob("petitions_*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                document = clean(Document(f"{path.name}:{number}", "petitions", json.loads(line)["content"]))
                if isinstance(document, Document):
                    yield document.id, document.text


def reviews(data: Path) -> Iterator[tuple[str, str]]:
    """Id and text of every review, as it is."""
    with gzip.open(data / "corpus/reviews_train.jsonl.gz", "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            yield f"reviews_train.jsonl.gz:{number}", json.loads(line)["text"].strip()


def _marked_texts(data: Path) -> Iterator[tuple[str, int]]:
    for _, text in petitions(data):
        yield text, -1
    for (_, text), _ in zip(reviews(data), range(REVIEWS), strict=False):
        yield text, -1


def _joined_reviews(data: Path) -> Iterator[tuple[str, int]]:
    first = (text for (_, text), _ in zip(reviews(data), range(REVIEWS), strict=False))
    texts = [text for text in first if len(text) >= 8 and "\n" not in text]
    random.Random(0).shuffle(texts)
    pairs = min(JOINED_REVIEWS, len(texts) // 2)
    for one, other in zip(texts[:pairs], texts[pairs : 2 * pairs], strict=True):
        yield f"{one} {other}", len(one) + 1


def _joined_texts(*parts: Iterator[tuple[str, int]]) -> Texts:
    texts: list[str] = []
    joints: list[int] = []
    position = 0
    for part in parts:
        for text, joint in part:
            texts.append(text)
            joints.append(position + joint if joint >= 0 else -1)
            position += len(text)
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    return Texts(codes, np.cumsum([len(text) for text in texts], dtype=np.int64), np.array(joints, np.int64))


def _list_examples(code: int):  # type: ignore[no-untyped-def]
    """Makes `list_examples`; `code` is what its modules' text is, for numba's cache."""

    def list_examples(codes, text_ends, joints, classes, rules):  # type: ignore[no-untyped-def]
        """The places of `Texts` that teach: `entries` int32 [places, FEATURES] and `ends` int8 [places], 1 where a sentence ends."""
        _ = code
        size = np.int64(0)
        start = np.int64(0)
        for end in text_ends:
            size = max(size, end - start)
            start = end
        partner, inside = np.empty(len(codes), np.int32), np.empty(len(codes), np.int32)
        cuts = np.empty(len(codes), np.uint8)
        most = size // 2 + 2
        lefts, rights, firsts = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int64)
        kinds, joined = np.empty(most, np.int64), np.empty(most, np.int64)
        entry = np.empty(FEATURES, np.int64)
        entries, ends = np.empty((len(codes) // 3, FEATURES), np.int32), np.empty(len(codes) // 3, np.int8)
        count = 0
        text_start = np.int64(0)
        for text in range(len(text_ends)):
            text_end = text_ends[text]
            start = text_start
            while start < text_end:
                end = start
                while end < text_end and codes[end] != 0x0A:
                    end += 1
                find_pairs(codes, classes, start, end, partner, inside)
                mark_kss_cuts(codes, classes, rules, start, end, cuts)
                number = find_places(codes, classes, partner, inside, start, end, lefts, rights, firsts, kinds, joined)
                marks = 0
                for index in range(number):
                    marks += kinds[index] == DOTTED or kinds[index] == ASKED
                marked = marks > 0 and end - start <= MOST_CHARS_PER_MARK * (marks + 1)
                for index in range(number):
                    kind = kinds[index]
                    left, right, first = lefts[index], rights[index], firsts[index]
                    is_joint = right == joints[text]
                    if joined[index] or (not is_joint and (joints[text] >= 0 or not marked)):
                        continue
                    if kind not in (BARE, COMMAED, DOTTED, ASKED) and not is_joint:
                        continue
                    if kind != COMMAED:
                        bonus = bonus_of(
                            codes, classes, partner, start, end, left, right, first, kind, joined[index], start
                        )
                        if bonus == NEVER:
                            continue
                    place_features(codes, classes, cuts, start, end, left, right, first, entry)
                    for feature in range(FEATURES):
                        entries[count, feature] = entry[feature]
                    ends[count] = is_joint or kind in (DOTTED, ASKED)
                    count += 1
                start = end + 1
            text_start = text_end
        return entries[:count].copy(), ends[:count].copy()

    return compiled(list_examples)


list_examples = _list_examples(number_of_code(characters, features, kss_cuts, pairs, places, rules))


@compiled
def logits(weights, entries):  # type: ignore[no-untyped-def]
    """int64 [places]: the score of each, in 2 ** -FRACTION_BITS of a logit."""
    found = np.zeros(len(entries), np.int64)
    for place in range(len(entries)):
        for feature in range(entries.shape[1]):
            found[place] += weights[entries[place, feature]]
    return found


@compiled
def learn(weights, entries, ends, table, rate):  # type: ignore[no-untyped-def]
    """One epoch of logistic regression, an example at a time, into `weights` (int32)."""
    middle = len(table) // 2
    for place in range(len(entries)):
        logit = 0
        for feature in range(entries.shape[1]):
            logit += weights[entries[place, feature]]
        position = middle + (logit >> (FRACTION_BITS - TABLE_BITS))
        position = min(max(position, 0), len(table) - 1)
        error = (np.int64(ends[place]) << FRACTION_BITS) - table[position]
        # Towards zero: rounding down would wear frequent weights away.
        step = error >> rate if error >= 0 else -(-error >> rate)
        for feature in range(entries.shape[1]):
            weights[entries[place, feature]] += step
