"""From a record, as the host sends it, to what a model reads: bits, segments and positions, expanded on the device."""

from collections.abc import Mapping
from typing import NamedTuple, get_args

import jax
import jax.numpy as jnp

from data_pipeline.contract.records import PAIRS, Layout


class Rows(NamedTuple):
    """What a model reads, every field [..., L].

    - `tokens`: int32.
    - `word_starts`: bool, true where a token starts a word.
    - `segments`: int32; a token attends to the tokens of its own segment.
    - `position_ids`, `token_type_ids`: int32, rows of those embedding tables.
    """

    tokens: jax.Array
    word_starts: jax.Array
    segments: jax.Array
    position_ids: jax.Array
    token_type_ids: jax.Array


def expand_rows(record: Mapping[str, jax.Array], layout: Layout, pad_id: int) -> Rows:
    """Expands the bitmaps of records (`data_pipeline.contract.records`) into the arrays that a model reads.

    - `record`: `tokens` uint16 or uint32 [..., L]; `word_starts` and `segment_starts` uint8 [..., L / 8].
    - `layout`: `packed`: segments count from 1, the padding is a segment of its own, positions restart in each, token
      types are 0. Others: the row is segment 1, its padding segment 0, positions run through; token types are 0, but
      1 from B on in `sentence_pairs` and `sentence_order`. So the texts of a `causal` row see each other. Of `source_target` it is the
      source that is expanded; see `expand_targets`.
    - `pad_id`: the token that pads a row; it never stands for text.

    Raises ValueError for a layout that it does not know.
    """
    tokens = record["tokens"].astype(jnp.int32)
    starts = unpack_bits(record["segment_starts"])
    index = jnp.broadcast_to(jnp.arange(tokens.shape[-1], dtype=jnp.int32), tokens.shape)
    count = jnp.cumsum(starts, axis=-1, dtype=jnp.int32)
    if layout == "packed":
        segments = count
        position_ids = index - jax.lax.cummax(jnp.where(starts, index, 0), axis=tokens.ndim - 1)
        token_type_ids = jnp.zeros_like(tokens)
    elif layout in (*PAIRS, "full_sentences", "causal", "source_target"):
        segments = (tokens != pad_id).astype(jnp.int32)
        position_ids = index
        token_type_ids = count - 1 if layout in PAIRS else jnp.zeros_like(tokens)
    else:
        raise ValueError(f"layout {layout!r}: must be one of {', '.join(get_args(Layout))}")
    return Rows(tokens, unpack_bits(record["word_starts"]), segments, position_ids, token_type_ids)


def expand_targets(record: Mapping[str, jax.Array], pad_id: int) -> Rows:
    """Expands the targets of `source_target` records: each a text of segment 1, its padding segment 0.

    - `record`: `target_tokens` uint16 or uint32 [..., T]; `target_word_starts` uint8 [..., T / 8].
    """
    return single_texts(record["target_tokens"].astype(jnp.int32), unpack_bits(record["target_word_starts"]), pad_id)


def single_texts(tokens: jax.Array, word_starts: jax.Array, pad_id: int) -> Rows:
    """Rows int32 [..., L] that are a text each, of segment 1, its padding segment 0."""
    index = jnp.broadcast_to(jnp.arange(tokens.shape[-1], dtype=jnp.int32), tokens.shape)
    segments = (tokens != pad_id).astype(jnp.int32)
    return Rows(tokens, word_starts, segments, index, jnp.zeros_like(tokens))


def attended_pairs(rows: Rows, pad_id: int, *, causal: bool = False) -> jax.Array:
    """int32 [...]: pairs of a query and a key of one segment, both real tokens, in rows [..., L].

    - `causal`: a query has the keys up to itself only.

    The token at position p of its segment adds 2 p + 1 pairs to those of the p tokens before it: n tokens make n x n. Causal it
    adds p + 1.
    """
    added = rows.position_ids + 1 if causal else 2 * rows.position_ids + 1
    return jnp.where(rows.tokens != pad_id, added, 0).sum(-1)


def unpack_bits(packed: jax.Array) -> jax.Array:
    """uint8 [..., N] -> bool [..., 8 N]: bit i % 8 of byte i // 8, as `numpy.unpackbits(bitorder="little")`."""
    bits = packed[..., None] >> jnp.arange(8, dtype=jnp.uint8) & 1
    return bits.reshape(*packed.shape[:-1], 8 * packed.shape[-1]).astype(bool)
