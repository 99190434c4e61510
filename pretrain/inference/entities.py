"""Entities of tags, as the metrics of both conventions count them."""

from collections.abc import Sequence

from pretrain.evaluate.metrics.counts import spans
from pretrain.evaluate.metrics.tags import OUTSIDE, has_suffixes


def entities_of(tags: Sequence[str], *, strict: bool) -> list[tuple[str, int, int]]:
    """Type, first and last unit of each entity, in their order.

    - `tags`: "B-PS" or "PS-B".
    - `strict`: B-X starts an entity, and I-X behind it is of it (KLUE-NER); otherwise I-X behind something else starts one, too, as in
      seqeval (Naver NER, tasks of one's own).
    """
    if strict:
        return sorted(((kind, start, end - 1) for kind, start, end in spans(tags)), key=lambda span: span[1])
    found: list[tuple[str, int, int]] = []
    suffixes = has_suffixes([tags])
    before = ""
    for place, tag in enumerate(tags):
        kind, _, part = tag.rpartition("-") if suffixes else tag.partition("-")[::-1]
        if tag == OUTSIDE:
            kind = ""
        elif part == "B" or kind != before:
            found.append((kind, place, place))
        else:
            found[-1] = (kind, found[-1][1], place)
        before = kind
    return found
