"""Span corruption on the device: which spans are replaced depends on the row's key and on nothing else."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class CorruptedRows(NamedTuple):
    """Rows with spans replaced, int32: `sources` [B, S] and `targets` [B, T]."""

    sources: jax.Array
    targets: jax.Array


class Marks(NamedTuple):
    """Ids of the tokens that are no text."""

    pad: int
    cls: int
    sep: int


def corrupt_spans(
    tokens: jax.Array,
    *,
    row_keys: jax.Array,
    noise: Sequence[tuple[int, int]],
    lengths: tuple[int, int],
    sentinels: Sequence[int],
    marks: Marks,
) -> CorruptedRows:
    """Replaces random spans by sentinels (random_spans_noise_mask and noise_span_to_unique_sentinel of
    text-to-text-transfer-transformer, preprocessors.py; Raffel et al. 2019, arXiv 1910.10683, section 3.1.4).

    The text of a row, its tokens but `marks`, is cut into as many stretches that stay as spans that do not, in turn, a stretch that
    stays first; each division into so many parts of a token or more is equally likely. The source is `[CLS]`, the text with a sentinel
    for each span, `[SEP]`; the target `[CLS]`, each sentinel with the tokens of its span, `[SEP]`. So texts of a row are joined without
    a mark between them, as there. A row without noise has no target; an empty one no source either.

    - `tokens`: int [B, L].
    - `row_keys`: threefry keys [B]; a row's key decides its spans, wherever the row stands in whatever batch.
    - `noise`: tokens in spans and the number of these, for texts of 0, 1, ... L tokens; 1 <= spans <= both tokens in spans and others.
    - `lengths`: S and T, that have room for all rows.
    - `sentinels`: ids, as many as a row may have spans.

    Raises ValueError for a key that is not threefry.
    """
    if str(jax.random.key_impl(row_keys)) != "threefry2x32":
        raise ValueError(f"spans need threefry2x32 keys, not {jax.random.key_impl(row_keys)}")
    corrupt_row = partial(
        _corrupt_row,
        noise=np.array(noise, np.int32),
        lengths=lengths,
        sentinels=np.array(sentinels, np.int32),
        marks=marks,
    )
    return jax.vmap(corrupt_row)(tokens.astype(jnp.int32), row_keys)


def _corrupt_row(
    tokens: jax.Array,
    key: jax.Array,
    *,
    noise: np.ndarray,
    lengths: tuple[int, int],
    sentinels: np.ndarray,
    marks: Marks,
) -> CorruptedRows:
    """`corrupt_spans` for one row, tokens [L]."""
    (length,) = tokens.shape
    is_text = ~(tokens[:, None] == jnp.asarray(marks, jnp.int32)).any(-1)
    index = jnp.arange(length, dtype=jnp.int32)
    # The text at the front: sorting instead of a scatter, which runs one by one on a TPU.
    text = tokens[jnp.sort(jnp.where(is_text, index, length)).clip(max=length - 1)]
    count = is_text.sum()
    hidden, spans = jnp.asarray(noise)[count]
    bits = jax.random.bits(key, (2, length), jnp.uint32)
    kept_starts = _random_parts(bits[0], count - hidden, spans, len(sentinels))
    span_starts = _random_parts(bits[1], hidden, spans, len(sentinels))
    number = np.arange(len(sentinels))
    of_source = jnp.where(number < spans, kept_starts[1:] + number, 2 * length)
    of_target = jnp.where(number < spans, span_starts[:-1] + number, 2 * length)

    def written(size: int, sentinel_places: jax.Array, removed: jax.Array, total: jax.Array) -> jax.Array:
        """`[CLS]`, sentinels and text in turn, `[SEP]`, padding: int32 [size].

        - `sentinel_places`: [K], behind the [CLS]; `removed`: [K + 1], tokens of the text left out before each stretch.
        """
        place = jnp.arange(-1, size - 1)
        before = (sentinel_places < place[:, None]).sum(-1)
        is_sentinel = (sentinel_places == place[:, None]).any(-1)
        of_text = text[(place - before + removed[before]).clip(0, length - 1)]
        body = jnp.where(is_sentinel, jnp.asarray(sentinels)[before.clip(max=len(sentinels) - 1)], of_text)
        body = jnp.where(place < total, body, jnp.where(place == total, marks.sep, marks.pad))
        return jnp.where(place < 0, marks.cls, body)

    source = written(lengths[0], of_source, span_starts, count - hidden + spans)
    target = written(lengths[1], of_target, kept_starts, hidden + spans)
    return CorruptedRows(
        sources=jnp.where(count > 0, source, marks.pad), targets=jnp.where(spans > 0, target, marks.pad)
    )


def _random_parts(bits: jax.Array, items: jax.Array, parts: jax.Array, most: int) -> jax.Array:
    """int32 [most + 1]: where each of `parts` parts of `items` items begins, each of an item or more; `items` from there on.

    - `bits`: random uint32 [L]; `most`: parts that there may be.
    """
    (length,) = bits.shape
    index = jnp.arange(length, dtype=jnp.uint32)
    position_bits = (length - 1).bit_length()
    # A score for each item that a part may end with, all different, the position in its lowest bits.
    scores = jnp.where(index < items - 1, bits >> (1 + position_bits) << position_bits | index, jnp.uint32(2**32 - 1))
    chosen = jnp.sort(scores)[: most - 1]
    ends = (chosen & ((1 << position_bits) - 1)).astype(jnp.int32)
    starts = jnp.sort(jnp.where(jnp.arange(most - 1) < parts - 1, ends + 1, items))
    return jnp.concatenate([jnp.zeros(1, jnp.int32), starts, items[None]]).astype(jnp.int32)
