"""What whole-word masking promises: the rate, whole words, the budget, 80/10/10, and masks that only the row's key decides."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from masked_rows import (
    CLS,
    FEW,
    LENGTH,
    MANY,
    MASK,
    ORDINARY_IDS,
    PAD,
    RATE,
    SEP,
    SLOTS,
    SPECIAL_IDS,
    UNK,
    VOCABULARY,
    WIDE,
    jitted,
    masked,
    random_rows,
    step_key,
    words_of,
)

from data_pipeline.contract.errors import InputError
from pretrain.objectives.corruption.masking import MaskedRows, _choose_words, _word_scores, mask_rows, token_budgets
from pretrain.objectives.corruption.recipe import SPANBERT_SPANS, WORDS, ZIPF
from pretrain.objectives.rows import Rows, expand_rows

COLLECTIVES = re.compile("all-gather|all-reduce|reduce-scatter|collective-permute|all-to-all|collective-broadcast")


def what_the_model_sees(rows: MaskedRows) -> tuple[np.ndarray, np.ndarray]:
    """The input tokens and the labels at all predicted positions."""
    filled = np.asarray(rows.weights) > 0
    seen = np.take_along_axis(np.asarray(rows.inputs), np.asarray(rows.positions), axis=1)
    return seen[filled], np.asarray(rows.labels)[filled]


@pytest.mark.parametrize("ngrams", [WORDS, ZIPF, SPANBERT_SPANS], ids=len)
def test_realised_rate_is_within_a_fifth_of_a_point(ngrams: tuple[float, ...]) -> None:
    tokens, word_starts = random_rows(MANY, WIDE)
    weights = jitted(tokens, word_starts, step_key(0), np.arange(MANY), rate=0.15, slots=20, ngrams=ngrams).weights
    maskable = ~np.isin(tokens, SPECIAL_IDS)
    assert abs(float(weights.sum()) / maskable.sum() - 0.15) < 0.002


def test_every_position_is_masked_alike() -> None:
    # Words of one length. With mixed lengths first fit prefers short words a little, and those are commoner beside a special.
    tokens = np.full((MANY, WIDE), 500, np.uint16)
    tokens[:, 0], tokens[:, -1] = CLS, SEP
    word_starts = np.broadcast_to(np.arange(WIDE) % 3 == 1, tokens.shape)
    result = jitted(tokens, word_starts, step_key(0), np.arange(MANY), rate=0.15, slots=20)
    counts = np.bincount(np.asarray(result.positions)[np.asarray(result.weights) > 0], minlength=WIDE)
    assert counts[0] == counts[-1] == 0
    # The budget is round(0.15 x 126) = 19 tokens: six of 42 words in every row.
    expected = 6 / 42
    share = counts[1:-1] / MANY
    np.testing.assert_allclose(share.mean(), expected, atol=1e-9)
    deviation = (share - expected) / np.sqrt(expected * (1 - expected) / MANY)
    assert np.abs(deviation).max() < 4
    assert 0.5 < np.mean(deviation**2) < 1.6


@jax.jit
def scores_of(key: jax.Array, row_id: int) -> jax.Array:
    """The scores that `mask_rows` gives the words of a row."""
    return _word_scores(jax.random.bits(jax.random.fold_in(key, row_id), (3, LENGTH), jnp.uint32)[0])


row_tokens = st.lists(st.sampled_from([PAD, UNK, CLS, SEP, *range(200, 206)]), min_size=LENGTH, max_size=LENGTH)
row_starts = st.lists(st.booleans() | st.just(False), min_size=LENGTH, max_size=LENGTH)


@settings(max_examples=50, deadline=None)
@given(row_tokens, row_starts, st.integers(0, 1000))
def test_choice_is_first_fit_over_whole_words_in_the_random_order(
    tokens: list[int], starts: list[bool], row_id: int
) -> None:
    batch = jitted(np.array([tokens], np.uint16), np.array([starts]), step_key(3), np.array([row_id]))
    result = jax.tree.map(lambda field: np.asarray(field)[0], batch)

    words = words_of(tokens, starts)
    scores = np.asarray(scores_of(step_key(3), row_id))
    maskable = sum(len(word) for word in words)
    budget = min(SLOTS, max(1, round(RATE * maskable))) if maskable else 0
    expected: list[int] = []
    for word in sorted(words, key=lambda word: scores[word[0]]):
        if len(expected) + len(word) <= budget:
            expected += word
    expected.sort()

    empty = [0] * (SLOTS - len(expected))
    assert result.positions.tolist() == expected + empty
    assert result.labels.tolist() == [tokens[position] for position in expected] + empty
    assert result.weights.tolist() == [1.0] * len(expected) + empty
    untouched = np.setdiff1d(np.arange(LENGTH), expected)
    np.testing.assert_array_equal(result.inputs[untouched], np.array(tokens)[untouched])


def test_a_word_too_long_is_skipped_and_a_later_one_still_fits() -> None:
    #             CLS  [ a  a  a  a ][ b ][ c  c ][ d ] SEP
    starts = jnp.array([0, 1, 0, 0, 0, 1, 1, 0, 1, 0], bool)
    maskable = jnp.array([0, 1, 1, 1, 1, 1, 1, 1, 1, 0], bool)
    # The order is b (1 token), a (4), c (2), d (1).
    scores = jnp.array([9, 2, 8, 7, 10, 1, 3, 11, 4, 12], jnp.uint32) << 4 | jnp.arange(10, dtype=jnp.uint32)
    choose = jax.jit(jax.vmap(_choose_words, (None, None, None, 0)))
    chosen = [np.flatnonzero(row).tolist() for row in choose(maskable, starts, scores, jnp.arange(9))]
    assert chosen == [
        [],
        [5],
        [5, 8],
        [5, 6, 7],
        [5, 6, 7, 8],
        [1, 2, 3, 4, 5],
        [1, 2, 3, 4, 5, 8],
        [1, 2, 3, 4, 5, 6, 7],
        [1, 2, 3, 4, 5, 6, 7, 8],
    ]


@pytest.mark.parametrize("length", [1, 2, 512, 1000])
def test_scores_differ_even_where_the_random_bits_are_equal(length: int) -> None:
    for bits in (0, 2**32 - 1):
        scores = np.asarray(_word_scores(jnp.full(length, bits, jnp.uint32)))
        assert np.unique(scores).size == length
        assert scores.max() < 2**31


def test_budget_follows_the_rule_of_bert() -> None:
    assert token_budgets(128, 0.15, 19)[[0, 1, 10, 20, 100, 126, 128]].tolist() == [0, 1, 2, 3, 15, 19, 19]


def test_shares_are_80_10_10_and_random_tokens_are_ordinary() -> None:
    tokens, word_starts = random_rows(MANY, WIDE)
    seen, labels = what_the_model_sees(jitted(tokens, word_starts, step_key(1), np.arange(MANY), rate=0.15, slots=20))
    kept, hidden = seen == labels, seen == MASK
    others = seen[~kept & ~hidden]
    assert abs(hidden.mean() - 0.8) < 0.005
    assert abs(kept.mean() - 0.1) < 0.004
    assert np.isin(others, ORDINARY_IDS).all()
    # Each alike: the mean of the replacements is within five standard errors of the middle.
    assert abs(others.mean() - (100 + VOCABULARY) / 2) < 5 * (VOCABULARY - 100) / np.sqrt(12 * others.size)


def test_the_unit_word_draws_80_10_10_once_for_all_pieces_of_a_word() -> None:
    tokens, word_starts = random_rows(MANY, WIDE)
    rows = (tokens, word_starts, step_key(1), np.arange(MANY))
    by_token = jitted(*rows, rate=0.15, slots=20)
    result = jitted(*rows, rate=0.15, slots=20, replace_unit="word")
    for name in ("positions", "labels", "weights"):
        np.testing.assert_array_equal(getattr(result, name), getattr(by_token, name), err_msg=name)
    inputs, actions, random_pieces = np.asarray(result.inputs), [], []
    for before, after, starts, positions, weights in zip(
        tokens, inputs, word_starts, np.asarray(result.positions), np.asarray(result.weights), strict=True
    ):
        chosen = set(positions[weights > 0].tolist())
        for word in words_of(before.tolist(), starts.tolist()):
            if word[0] not in chosen:
                continue
            hidden, kept = after[word] == MASK, after[word] == before[word]
            actions.append("mask" if hidden.all() else "keep" if kept.all() else "random")
            if actions[-1] == "random":
                assert not hidden.any()
                assert np.isin(after[word], ORDINARY_IDS).all()
                random_pieces.append(after[word])
    # Within 4.5 standard errors of some 50,000 words; that a random token is the very one that was there is one in 15,000.
    shares = {action: actions.count(action) / len(actions) for action in ("mask", "random", "keep")}
    assert shares == {
        "mask": pytest.approx(0.8, abs=0.008),
        "random": pytest.approx(0.1, abs=0.006),
        "keep": pytest.approx(0.1, abs=0.006),
    }
    # Each piece of a word gets a random token of its own.
    assert np.mean([len(set(pieces)) == len(pieces) for pieces in random_pieces]) > 0.99


def test_the_unit_token_treats_the_pieces_of_a_word_apart() -> None:
    tokens, word_starts = np.full((FEW, LENGTH), 500, np.uint16), np.arange(LENGTH) % 4 == 0
    rows = (tokens, np.broadcast_to(word_starts, tokens.shape), step_key(0), np.arange(FEW))
    for unit, mixed in (("token", True), ("word", False)):
        hidden = np.asarray(jitted(*rows, replace_unit=unit).inputs).reshape(FEW, -1, 4) == MASK
        assert (hidden.any(-1) & ~hidden.all(-1)).any() == mixed, unit


def test_a_row_without_maskable_tokens_weighs_nothing() -> None:
    tokens = np.array([[CLS, SEP, CLS, SEP] + [PAD] * (LENGTH - 4)], np.uint16)
    result = jitted(tokens, np.ones((1, LENGTH), bool), step_key(0), np.arange(1))
    assert float(result.weights.sum()) == 0
    np.testing.assert_array_equal(result.inputs, tokens)


@pytest.mark.parametrize("ngrams", [WORDS, ZIPF], ids=len)
def test_a_row_is_masked_the_same_alone_and_in_any_batch(ngrams: tuple[float, ...]) -> None:
    tokens, word_starts = random_rows(FEW, LENGTH)
    row_ids, key = np.arange(1000, 1000 + FEW), step_key(5)
    whole = jitted(tokens, word_starts, key, row_ids, ngrams=ngrams)
    assert float(whole.weights.sum()) > 0

    alone = jitted(tokens[9:10], word_starts[9:10], key, row_ids[9:10], ngrams=ngrams)
    order = np.random.default_rng(0).integers(0, FEW, FEW)
    mixed = jitted(tokens[order], word_starts[order], key, row_ids[order], ngrams=ngrams)
    for in_whole, one, some in zip(whole, alone, mixed, strict=True):
        np.testing.assert_array_equal(in_whole[9:10], one)
        np.testing.assert_array_equal(np.asarray(in_whole)[order], some)


@pytest.mark.parametrize(("unit", "ngrams"), [("token", WORDS), ("word", WORDS), ("ngram", ZIPF)])
def test_eight_devices_give_the_masks_of_one_without_a_collective(unit: str, ngrams: tuple[float, ...]) -> None:
    mesh = jax.make_mesh((4, 2), ("data", "fsdp"), axis_types=(AxisType.Auto,) * 2)
    rows, everywhere = NamedSharding(mesh, PartitionSpec(("data", "fsdp"))), NamedSharding(mesh, PartitionSpec())

    def expand_and_mask(record: dict[str, jax.Array], key: jax.Array, row_ids: jax.Array) -> tuple[Rows, MaskedRows]:
        expanded = expand_rows(record, "packed", PAD)
        return expanded, masked(expanded.tokens, expanded.word_starts, key, row_ids, replace_unit=unit, ngrams=ngrams)

    tokens, word_starts = random_rows(FEW, LENGTH)
    row_ids, key = np.arange(FEW), step_key(5)
    record = {
        "tokens": tokens,
        "word_starts": np.packbits(word_starts, axis=-1, bitorder="little"),
        "segment_starts": np.packbits(tokens == CLS, axis=-1, bitorder="little"),
    }
    program = jax.jit(expand_and_mask, in_shardings=(rows, everywhere, rows), out_shardings=rows)
    compiled = program.lower(record, key, row_ids).compile()
    assert "num_partitions=8" in str(compiled.as_text())
    assert not COLLECTIVES.findall(str(compiled.as_text()))

    expanded, on_eight = program(record, key, row_ids)
    np.testing.assert_array_equal(expanded.word_starts, word_starts)
    for from_one, from_eight in zip(
        jitted(tokens, word_starts, key, row_ids, replace_unit=unit, ngrams=ngrams), on_eight, strict=True
    ):
        assert (len(from_one.sharding.device_set), len(from_eight.sharding.device_set)) == (1, 8)
        np.testing.assert_array_equal(from_one, from_eight)


def test_steps_seeds_and_rows_give_different_masks() -> None:
    # Words of one token: 8 of 48 positions, so that no two masks are equal by chance.
    tokens, word_starts = np.full((FEW, LENGTH), 500, np.uint16), np.ones((FEW, LENGTH), bool)
    keys = (step_key(0), step_key(1), step_key(0, seed=8))
    masks = {tuple(row) for key in keys for row in jitted(tokens, word_starts, key, np.arange(FEW)).positions.tolist()}
    assert len(masks) == 3 * FEW


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"max_predictions": 9}, "max-predictions 9: must be 1 to 8"),
        ({"max_predictions": 0}, "max-predictions 0"),
        ({"rate": 0.0}, "rate 0.0"),
        ({"rate": 15}, "rate 15"),
        ({"mask_share": 0.95}, "mask-share 0.95"),
        ({"random_share": -0.1}, "random-share -0.1"),
        ({"ngrams": ()}, r"ngrams \(\): must be one weight or more"),
        ({"ngrams": (0.0, 0.0)}, r"ngrams \(0.0, 0.0\)"),
        ({"ngrams": (1.0, -0.5)}, r"ngrams \(1.0, -0.5\)"),
        ({"replace_unit": "eojeol"}, "replace-unit eojeol: must be token, word or ngram"),
    ],
)
def test_settings_out_of_range_are_named(change: dict[str, Any], words: str) -> None:
    settings = {"rate": 0.15, "max_predictions": 2, "mask_share": 0.8, "random_share": 0.1} | change
    with pytest.raises(InputError, match=words):
        mask_rows(
            jnp.zeros((1, 8), jnp.int32),
            jnp.zeros((1, 8), bool),
            row_keys=step_key(0)[None],
            mask_id=MASK,
            special_ids=SPECIAL_IDS,
            ordinary_ids=jnp.asarray(ORDINARY_IDS),
            **settings,
        )


def test_a_key_whose_bits_depend_on_the_topology_is_refused() -> None:
    with pytest.raises(ValueError, match="threefry"):
        masked(jnp.zeros((1, 16), jnp.int32), jnp.zeros((1, 16), bool), jax.random.key(0, impl="rbg"), jnp.arange(1))
