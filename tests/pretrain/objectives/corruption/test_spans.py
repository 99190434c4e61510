"""Span corruption: nothing is lost, sentinels are in order, the share is right, and a row's key alone decides."""

from functools import cache
from itertools import pairwise

import jax
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from pretrain.devices.sharding import make_mesh
from pretrain.objectives.corruption.spans import CorruptedRows, Marks, corrupt_spans
from pretrain.objectives.span_corruption.recipe import SpanCorruption
from pretrain.recipe import Mesh

LENGTH, ROWS = 64, 64
PAD, CLS, SEP, TEXT = 1, 0, 2, 20
MARKS = Marks(PAD, CLS, SEP)
RECIPE = SpanCorruption()
LENGTHS = RECIPE.lengths(LENGTH)
SENTINELS = tuple(range(5, 5 + LENGTHS.sentinels))


@cache
def rows() -> np.ndarray:
    """Rows of 0, 1, 2, 3, ... tokens of text that all differ, the long ones with a [SEP] inside."""
    found = np.full((ROWS, LENGTH), PAD)
    for number, row in enumerate(found):
        text = np.arange(TEXT, TEXT + min(number, LENGTH - 3)).tolist()
        written = [CLS, *text[:10], *([SEP] if number > 10 else []), *text[10:], SEP] if number else []
        row[: len(written)] = written
    return found


@cache
def corrupted(seed: int = 0) -> CorruptedRows:
    made = jax.jit(corrupt)(rows(), jax.random.split(jax.random.key(seed), ROWS))
    return CorruptedRows(*map(np.asarray, made))


def corrupt(tokens: jax.Array, keys: jax.Array) -> CorruptedRows:
    return corrupt_spans(
        tokens,
        row_keys=keys,
        noise=[RECIPE.noise(count) for count in range(LENGTH + 1)],
        lengths=LENGTHS[:2],
        sentinels=SENTINELS,
        marks=MARKS,
    )


def inside(row: np.ndarray) -> list[int]:
    """What a side says between its [CLS] and its [SEP], behind which there is padding alone."""
    if not (row != PAD).any():
        return []
    end = row.tolist().index(SEP)
    assert row[0] == CLS
    assert (row[end + 1 :] == PAD).all()
    return row[1:end].tolist()


@pytest.mark.parametrize("seed", range(5))
def test_sources_and_targets_restore_the_text_and_each_sentinel_is_once_on_each_side_in_order(seed: int) -> None:
    for number, (tokens, source, target) in enumerate(zip(rows(), *corrupted(seed), strict=True)):
        text = [token for token in tokens.tolist() if token >= TEXT]
        noise, spans = RECIPE.noise(len(text))
        kept, told = inside(source), inside(target)
        used = list(SENTINELS[:spans])
        assert [token for token in kept if token < TEXT] == used, number
        assert [token for token in told if token < TEXT] == used, number
        assert len(told) == noise + spans
        places = [*map(told.index, used), len(told)]
        of = {told[place]: told[place + 1 : end] for place, end in pairwise(places)}
        assert all(of.values()), "no span is empty"
        restored = [token for each in kept for token in of.get(each, [each])]
        assert restored == text, number
        if spans:
            assert kept[0] >= TEXT, "a stretch that stays comes first"
            assert not any(kept[kept.index(one) + 1] in used for one in used[:-1]), "stretches between spans"


def test_no_row_has_more_than_fits_and_the_longest_fill_both_sides() -> None:
    made = corrupted()
    assert made.sources.shape == (ROWS, LENGTHS.source)
    assert made.targets.shape == (ROWS, LENGTHS.target)
    for side in made:
        assert (side != PAD).sum(-1).max() > side.shape[1] - 8


def test_every_token_but_the_first_is_as_often_in_a_span() -> None:
    tokens = np.full((4000, 42), PAD)
    tokens[:] = [CLS, *range(TEXT, TEXT + 40), SEP]
    made = jax.jit(
        lambda keys: corrupt_spans(
            tokens,
            row_keys=keys,
            noise=[RECIPE.noise(count) for count in range(43)],
            lengths=(48, 16),
            sentinels=SENTINELS,
            marks=MARKS,
        )
    )(jax.random.split(jax.random.key(3), len(tokens)))
    share = np.bincount(np.asarray(made.targets).ravel(), minlength=TEXT + 40)[TEXT:] / len(tokens)
    assert share.mean() == pytest.approx(6 / 40)  # 15 % of 40
    assert share[0] == 0
    # Each division is equally likely: of C(33, 1) x C(5, 1), as many as have the token in a span.
    divisions = [[kept <= place < kept + span or place >= 34 + span for place in range(40)] for kept in range(1, 34) for span in range(1, 6)]  # fmt: skip
    np.testing.assert_allclose(share, np.mean(divisions, 0), atol=0.03)


def test_a_rows_key_decides_on_one_device_and_on_eight() -> None:
    mesh = make_mesh(Mesh(data=8), jax.devices()[:8])
    split = NamedSharding(mesh, PartitionSpec("data"))
    keys = jax.random.split(jax.random.key(0), ROWS)
    order = np.random.default_rng(0).permutation(ROWS)
    made = jax.jit(corrupt)(jax.device_put(rows()[order], split), jax.device_put(keys[order], split))
    for found, expected in zip(made, corrupted(), strict=True):
        np.testing.assert_array_equal(found, expected[order])


def test_the_lengths_are_those_of_the_paper() -> None:
    # 568 tokens become 512 with an end, and their targets 114 (random_spans_helper of 512, 0.15 and 3); here [CLS] is kept and begins.
    assert RECIPE.noise(568) == (85, 28)
    assert RECIPE.lengths(570)[:2] == (-(-513 // 8) * 8, -(-115 // 8) * 8)
    for length in (8, 64, 128, 568):
        found = RECIPE.lengths(length)
        for count in range(length - 1):
            noise, spans = RECIPE.noise(count)
            assert count - noise + spans + 2 <= found.source
            assert noise + spans + 2 <= found.target
            assert spans <= found.sentinels


def test_other_keys_are_refused() -> None:
    with pytest.raises(ValueError, match="spans need threefry2x32 keys, not rbg"):
        corrupt(rows(), jax.random.split(jax.random.key(0, impl="rbg"), ROWS))
