"""How well sentences agree with labelled ones."""

from collections.abc import Sequence
from itertools import pairwise


def normalised_f1(text: str, labelled: Sequence[int], found: Sequence[int]) -> float:
    """The mean over labelled sentences of their F1, in characters without blanks, times min(1, labelled / found).

    Each found sentence counts for the labelled one that it overlaps most, and each labelled one has the best of those that count for it: the
    measure of the sets of Kiwi (bab2min/kiwipiepy, benchmark/sentence_split) with the penalty for splitting too much of kss
    (hyunwoongko/kss, bench/sentence_split).

    - `labelled`, `found`: where sentences start.
    """
    gold, own = _spans(text, labelled), _spans(text, found)
    scores = [0.0] * len(gold)
    for start, end in own:
        overlaps = [
            (2 * (min(end, last) - max(start, first)) / (end - start + last - first), -number)
            for number, (first, last) in enumerate(gold)
            if min(end, last) > max(start, first)
        ]
        best, number = max(overlaps)
        scores[-number] = max(scores[-number], best)
    return sum(scores) / len(gold) * min(1.0, len(gold) / len(own))


def boundary_counts(labelled: Sequence[int], found: Sequence[int]) -> tuple[int, int, int]:
    """Boundaries inside a text that both have, that only the labels have, and that only the splitter has."""
    gold, own = set(labelled[1:]), set(found[1:])
    return len(gold & own), len(gold - own), len(own - gold)


def _spans(text: str, starts: Sequence[int]) -> list[tuple[int, int]]:
    """Where sentences begin and end in the text without its blanks."""
    spans, position = [], 0
    for start, end in pairwise([*starts, len(text)]):
        length = len("".join(text[start:end].split()))
        spans.append((position, position + length))
        position += length
    return spans
