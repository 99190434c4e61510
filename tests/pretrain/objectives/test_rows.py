"""Rows expand on the device to what the records' bitmaps say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from data_pipeline.contract.records import Layout
from pretrain.objectives.rows import Rows, attended_pairs, expand_rows, expand_targets, unpack_bits

PAD, CLS, SEP = 0, 2, 3


def record(tokens: list[int], word_starts: list[int], segment_starts: list[int]) -> dict[str, jax.Array]:
    """A batch of one row; the starts are given as positions."""

    def bitmap(positions: list[int]) -> jax.Array:
        flags = np.zeros(len(tokens), bool)
        flags[positions] = True
        return jnp.asarray(np.packbits(flags, bitorder="little"))[None]

    return {
        "tokens": jnp.asarray([tokens], jnp.uint16),
        "word_starts": bitmap(word_starts),
        "segment_starts": bitmap(segment_starts),
    }


@settings(max_examples=30, deadline=None)
@given(hnp.arrays(np.uint8, st.sampled_from([(3,), (2, 4), (2, 3, 2)])))
def test_bits_unpack_as_numpy_does(packed: np.ndarray) -> None:
    bits = unpack_bits(jnp.asarray(packed))
    assert bits.dtype == bool
    np.testing.assert_array_equal(bits, np.unpackbits(packed, axis=-1, bitorder="little").astype(bool))


def test_packed_positions_restart_and_segments_count() -> None:
    tokens = [CLS, 10, 11, SEP, CLS, 12, SEP, CLS, 13, 14, 15, SEP, PAD, PAD, PAD, PAD]
    rows = expand_rows(record(tokens, [1, 5, 8, 10], [0, 4, 7, 12]), "packed", PAD)
    np.testing.assert_array_equal(rows.tokens, [tokens])
    assert np.flatnonzero(rows.word_starts).tolist() == [1, 5, 8, 10]
    np.testing.assert_array_equal(rows.segments, [[1, 1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3, 4, 4, 4, 4]])
    np.testing.assert_array_equal(rows.position_ids, [[0, 1, 2, 3, 0, 1, 2, 0, 1, 2, 3, 4, 0, 1, 2, 3]])
    np.testing.assert_array_equal(rows.token_type_ids, [[0] * 16])
    assert {rows.tokens.dtype, rows.segments.dtype, rows.position_ids.dtype, rows.token_type_ids.dtype} == {
        jnp.dtype("int32")
    }


def test_sentence_pair_types_change_at_b_and_padding_is_no_segment() -> None:
    tokens = [CLS, 10, 11, SEP, 12, 13, 14, SEP, PAD, PAD, PAD, PAD, PAD, PAD, PAD, PAD]
    rows = expand_rows(record(tokens, [1, 4, 6], [0, 4]), "sentence_pairs", PAD)
    np.testing.assert_array_equal(rows.segments, [[1] * 8 + [0] * 8])
    np.testing.assert_array_equal(rows.token_type_ids[:, :8], [[0, 0, 0, 0, 1, 1, 1, 1]])
    np.testing.assert_array_equal(rows.position_ids, [list(range(16))])


def pairs_one_by_one(rows: Rows) -> np.ndarray:
    """From the definition: query and key are real tokens of the same segment."""
    segments, real = np.asarray(rows.segments), np.asarray(rows.tokens) != PAD
    same = segments[..., :, None] == segments[..., None, :]
    return (same & real[..., :, None] & real[..., None, :]).sum((-1, -2))


@pytest.mark.parametrize("layout", ["packed", "full_sentences", "sentence_pairs"])
@given(sizes=st.lists(st.integers(2, 9), min_size=1, max_size=4), padding=st.integers(0, 8))
@settings(max_examples=20, deadline=None)
def test_the_pairs_that_attend_are_those_of_each_segment(layout: Layout, sizes: list[int], padding: int) -> None:
    used = sum(sizes)
    length = -(-(used + padding) // 8) * 8
    tokens = [CLS] * used + [PAD] * (length - used)
    starts = [sum(sizes[:number]) for number in range(len(sizes))] + ([used] if used < length else [])
    segment_starts = starts if layout == "packed" else [0, sizes[0]] if layout == "sentence_pairs" else [0]
    rows = expand_rows(record(tokens, [], [start for start in segment_starts if start < length]), layout, PAD)
    assert attended_pairs(rows, PAD).tolist() == pairs_one_by_one(rows).tolist()


def test_leading_axes_change_nothing() -> None:
    tokens = [CLS, 10, 11, SEP, CLS, 12, SEP, PAD]
    flat = record(tokens, [1, 5], [0, 4, 7])
    deep = {name: jnp.broadcast_to(rows, (3, 2, *rows.shape[1:])) for name, rows in flat.items()}
    for once, many in zip(expand_rows(flat, "packed", PAD), expand_rows(deep, "packed", PAD), strict=True):
        np.testing.assert_array_equal(np.broadcast_to(once, many.shape), many)


def test_full_sentences_attend_to_the_whole_row_with_one_token_type() -> None:
    tokens = [CLS, 10, 11, SEP, 12, 13, 14, SEP, PAD, PAD, PAD, PAD, PAD, PAD, PAD, PAD]
    rows = expand_rows(record(tokens, [1, 4, 6], [0, 4]), "full_sentences", PAD)
    np.testing.assert_array_equal(rows.segments, [[1] * 8 + [0] * 8])
    np.testing.assert_array_equal(rows.token_type_ids, [[0] * 16])
    np.testing.assert_array_equal(rows.position_ids, [list(range(16))])


def test_sentence_order_rows_are_read_as_sentence_pairs() -> None:
    row = record([CLS, 10, 11, SEP, 12, 13, 14, SEP], [1, 4, 6], [0, 4])
    for pairs, order in zip(
        expand_rows(row, "sentence_pairs", PAD), expand_rows(row, "sentence_order", PAD), strict=True
    ):
        np.testing.assert_array_equal(pairs, order)


def test_the_texts_of_a_causal_row_are_one_segment_and_positions_run_through() -> None:
    tokens = [10, 11, SEP, 12, 13, SEP, 14, PAD]
    rows = expand_rows(record(tokens, [], [0, 3, 6]), "causal", PAD)
    np.testing.assert_array_equal(rows.segments, [[1] * 7 + [0]])
    np.testing.assert_array_equal(rows.position_ids, [list(range(8))])
    assert attended_pairs(rows, PAD, causal=True).tolist() == [7 * 8 // 2]


def test_a_source_and_its_target_are_texts_of_their_own() -> None:
    pair = {
        **record([CLS, 10, 11, SEP, PAD, PAD, PAD, PAD], [1], [0]),
        "target_tokens": jnp.array([[CLS, 12, SEP, *[PAD] * 5]]),
    }
    pair["target_word_starts"] = pair["word_starts"]
    source, target = expand_rows(pair, "source_target", PAD), expand_targets(pair, PAD)
    np.testing.assert_array_equal(source.segments, [[1] * 4 + [0] * 4])
    np.testing.assert_array_equal(target.segments, [[1] * 3 + [0] * 5])
    for rows in (source, target):
        np.testing.assert_array_equal(rows.position_ids, [list(range(8))])
        np.testing.assert_array_equal(rows.token_type_ids, np.zeros((1, 8)))
        np.testing.assert_array_equal(rows.word_starts, [[place == 1 for place in range(8)]])
    np.testing.assert_array_equal(target.tokens, pair["target_tokens"])


def test_another_layout_is_refused() -> None:
    with pytest.raises(ValueError, match="'spans': must be one of packed"):
        expand_rows(record([PAD] * 8, [], []), "spans", PAD)  # type: ignore[arg-type]
