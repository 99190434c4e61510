"""From a text to where its sentences start: pairs, KSS's cuts, places, their scores, and the rules that decide."""

import hashlib
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_pipeline.contract.errors import WorkError
from data_pipeline.corpus.compiled import compiled, number_of_code
from data_pipeline.corpus.steps.kss_repaired import characters, features, kss_cuts, pairs, places, rules
from data_pipeline.corpus.steps.kss_repaired.characters import BLANK, STOP, character_classes, class_of
from data_pipeline.corpus.steps.kss_repaired.features import FEATURES, UNIT, place_features
from data_pipeline.corpus.steps.kss_repaired.kss_cuts import kss_rules, mark_kss_cuts
from data_pipeline.corpus.steps.kss_repaired.pairs import find_pairs
from data_pipeline.corpus.steps.kss_repaired.places import (
    ASKED,
    BARE,
    COMMAED,
    DOTTED,
    ELLIPSIS,
    QUOTED,
    TAILED,
    find_places,
)
from data_pipeline.corpus.steps.kss_repaired.rules import NEVER, bonus_of

WEIGHTS = Path(__file__).parent / "weights.npy"
WEIGHTS_SHA256 = "e06c6adfa1c5b9cf279dad798bcbf7173a8d56c4f8e5d269e73f864721779105"
"""Of the file, so that other weights are other code to a task's fingerprint."""

LINE_BREAK = 0x0A
THRESHOLDS = np.zeros((2, ASKED + 1), np.int64)
"""Scores from which a place ends a sentence, in UNITs' parts: behind a letter by what stands between; without a blank in the second row."""
for _kind, _blank, _joined in (
    (BARE, 0.0, 99),
    (QUOTED, 0.0, 99),
    (COMMAED, 99, 99),
    (TAILED, -1.0, 0.0),
    (DOTTED, -6.0, -1.0),
    (ELLIPSIS, -4.0, 0.5),
    (ASKED, -8.0, -3.0),
):
    THRESHOLDS[:, _kind] = round(_blank * UNIT), round(_joined * UNIT)
FORMAL = 12 * UNIT
"""What is added to the threshold of bare places where every likely end of the paragraph has a mark."""


def _sentence_starts(code: int):  # type: ignore[no-untyped-def]
    """Makes `sentence_starts`; `code` is what its modules' text is, for numba's cache."""

    def sentence_starts(codes, classes, rules, weights, thresholds, formal, use_pairs):  # type: ignore[no-untyped-def]
        """Where sentences start.

        - `codes`: uint32, a text. `classes`, `rules`: `character_classes`, `kss_rules`. `weights`: int8 [2 ** BITS].
        - `thresholds`: int64, THRESHOLDS; `formal`: FORMAL.
        - `use_pairs`: 0 cuts inside quotes and brackets as outside.

        Returns int64; the first is that of the first character that is no blank, and none stands in front of a blank.
        """
        _ = code
        size = len(codes)
        partner, inside = np.empty(size, np.int32), np.empty(size, np.int32)
        cuts = np.empty(size, np.uint8)
        most = size // 2 + 2
        lefts, rights, firsts = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int64)
        kinds, joined, scores = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int64)
        entries = np.empty(FEATURES, np.int64)
        starts = np.empty(size + 1, np.int64)
        found = 0
        start = 0
        while start < size:
            if class_of(classes, np.int64(codes[start])) == BLANK:
                start += 1
                continue
            end = start
            while end < size and codes[end] != LINE_BREAK:
                end += 1
            starts[found] = start
            found += 1
            find_pairs(codes, classes, start, end, partner, inside)
            if not use_pairs:
                for place in range(start, end):
                    inside[place] = 0
            mark_kss_cuts(codes, classes, rules, start, end, cuts)
            number = find_places(codes, classes, partner, inside, start, end, lefts, rights, firsts, kinds, joined)
            marked, bare = np.int64(0), np.int64(0)
            for index in range(number):
                place_features(codes, classes, cuts, start, end, lefts[index], rights[index], firsts[index], entries)
                score = np.int64(0)
                for feature in range(FEATURES):
                    score += np.int64(weights[entries[feature]])
                scores[index] = score
                if kinds[index] >= DOTTED and not joined[index]:
                    marked += score > 0
                elif kinds[index] == BARE:
                    bare += score > UNIT
            last = end - 1
            while class_of(classes, np.int64(codes[last])) == BLANK:
                last -= 1
            if class_of(classes, np.int64(codes[last])) == STOP:
                marked += 1
            raised = formal * marked // (marked + bare + 3)
            for index in range(number):
                kind = kinds[index]
                bonus = bonus_of(
                    codes, classes, partner, start, end, lefts[index], rights[index], firsts[index], kind, joined[index],
                    starts[found - 1],
                )  # fmt: skip
                if bonus == NEVER:
                    continue
                threshold = thresholds[joined[index], kind]
                if kind <= QUOTED:
                    threshold += raised
                if scores[index] + bonus >= threshold:
                    starts[found] = rights[index]
                    found += 1
            start = end
        return starts[:found]

    return compiled(sentence_starts)


sentence_starts = _sentence_starts(number_of_code(characters, features, kss_cuts, pairs, places, rules))


@cache
def load_weights() -> NDArray[np.int8]:
    """int8 [2 ** BITS]. Raises a WorkError where the file is not the one that this code was made with."""
    content = WEIGHTS.read_bytes()
    if hashlib.sha256(content).hexdigest() != WEIGHTS_SHA256:
        raise WorkError(f"{WEIGHTS}: not the weights of this version; install the package again")
    weights: NDArray[np.int8] = np.load(BytesIO(content), allow_pickle=False)
    return weights


def repaired_starts(text: str, use_pairs: bool = True) -> list[int]:
    """Where the sentences of a text start, in characters; none in one of blanks. Every line starts one."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    starts = sentence_starts(
        codes, character_classes(), kss_rules(), load_weights(), THRESHOLDS, np.int64(FORMAL), np.int64(use_pairs)
    )
    found: list[int] = starts.tolist()
    return found
