"""Masked pseudo-perplexity (Salazar et al. 2020, arXiv 1910.14659, section 2.3), from a sample of positions.

Each token in turn costs a pass a token. Here a few positions of each segment are drawn once and for all, and a pass masks one of them
in each of its row's segments, which do not see each other: a packed row gives several predictions a pass. A segment counts as
often as it has tokens, so that the estimate of the mean over all tokens has no bias.
"""

import jax.numpy as jnp
import numpy as np

from data_pipeline.contract.records import RecordsHeader, Row
from pretrain.objectives.rows import expand_rows

DRAWING = 0
"""Seed of the positions: not the run's."""


def one_masked(records: Row, header: RecordsHeader, draws: int) -> dict[str, np.ndarray]:
    """Copies of rows in each of which one token a segment is masked.

    - `records`: the fields of rows [n, ...].
    - `draws`: positions of each segment, or all of a shorter one. Special tokens and [UNK] are never masked.

    Returns [n * draws, ...]: `tokens`, `segments`, `positions`, `token_types`, int32 [..., L], as `pretrain.models.protocols.Inputs`;
    `masked` and `labels`, int32 [..., S], the places that are masked and what stood there; `weights`, float32 [..., S], the tokens of
    the segment of each, 0 in an empty slot.
    """
    rows = expand_rows({name: jnp.asarray(values) for name, values in records.items()}, header.layout, header.pad_id)
    tokens, segments = np.asarray(rows.tokens), np.asarray(rows.segments)
    specials = (header.pad_id, header.unk_id, header.cls_id, header.sep_id, header.mask_id)
    maskable = ~np.isin(tokens, specials)
    random = np.random.default_rng(DRAWING)
    drawn: list[list[tuple[int, float]]] = [[] for _ in range(draws * len(tokens))]
    for row in range(len(tokens)):
        for segment in np.unique(segments[row, maskable[row]]):
            places = np.flatnonzero(maskable[row] & (segments[row] == segment))
            chosen = random.permutation(places)[:draws]
            for draw, place in enumerate(chosen):
                drawn[draws * row + draw].append((int(place), len(places) / len(chosen)))
    found = {
        name: np.repeat(np.asarray(values, np.int32), draws, axis=0)
        for name, values in {
            "tokens": tokens,
            "segments": segments,
            "positions": rows.position_ids,
            "token_types": rows.token_type_ids,
        }.items()
    }
    shape = (len(drawn), max(1, *map(len, drawn)))
    masked, labels, weights = np.zeros(shape, np.int32), np.zeros(shape, np.int32), np.zeros(shape, np.float32)
    for copy, slots in enumerate(drawn):
        for slot, (place, weight) in enumerate(slots):
            masked[copy, slot], labels[copy, slot] = place, found["tokens"][copy, place]
            weights[copy, slot] = weight
            found["tokens"][copy, place] = header.mask_id
    return {**found, "masked": masked, "labels": labels, "weights": weights}
