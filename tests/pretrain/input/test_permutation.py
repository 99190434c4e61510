"""The order of rows: grain's, as runs of older code read them, whether grain is installed or not."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pretrain.input.permutation import MOST_ROWS, shuffled

SIZES = (
    1,
    2,
    3,
    7,
    1000,
    2**16,
    2**16 + 1,
    2**17 + 1,
    2**20 - 1,
    2**20,
    2**20 + 1,
    2**20 + 2,
    2**31 - 1,
    2**31 + 5,
    2**33 + 7,
    MOST_ROWS,
)
SEEDS = (0, 1, 2**32 - 1)
OF_GRAIN = {
    (1, 0): [0, 0, 0, 0, 0, 0],
    (2, 0): [1, 0, 0, 0, 0, 0],
    (2, 2**32 - 1): [1, 0, 1, 0, 1, 1],
    (3, 2**32 - 1): [1, 2, 0, 0, 2, 2],
    (7, 0): [1, 2, 4, 0, 5, 2],
    (7, 2**32 - 1): [5, 3, 6, 0, 5, 6],
    (1000, 0): [297, 371, 706, 181, 473, 309],
    (1000, 2**32 - 1): [746, 446, 294, 311, 448, 357],
    (2**16, 0): [32006, 13422, 49000, 24722, 22050, 56805],
    (2**20 - 1, 0): [767142, 716123, 534173, 650027, 882585, 370497],
    (2**20 - 1, 2**32 - 1): [665043, 992347, 632817, 330134, 377508, 94118],
    (2**20 + 1, 0): [767142, 716123, 534173, 767142, 882585, 261784],
    (2**31 + 5, 0): [204453489, 1166124263, 854024535, 1970318748, 559584216, 346168195],
    (2**31 + 5, 2**32 - 1): [587683234, 28626356, 1105649979, 1225501820, 636441495, 1292922459],
}
"""By size n and seed, what grain 0.2.18 has at the positions 0, 1, 2, n - 1, n and 5 n + n // 2."""


@pytest.mark.parametrize(("size", "seed"), OF_GRAIN)
def test_the_order_is_the_one_that_it_always_was(size: int, seed: int) -> None:
    positions = np.array([0, 1, 2, size - 1, size, 5 * size + size // 2])
    assert shuffled(positions, size, seed).tolist() == OF_GRAIN[size, seed]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("size", SIZES)
def test_the_order_is_grains(size: int, seed: int) -> None:
    """At the ends of epochs, inside of the first six, and far beyond, where the sum of seed and epoch leaves 32 bits."""
    grain = pytest.importorskip("grain")
    order = grain.MapDataset.range(size).seed(seed).shuffle().repeat(None)
    ends = np.arange(6) * size
    inside = np.random.default_rng(0).integers(0, 6 * size, 20)
    far = size * min(2**32, 2**61 // size) + np.arange(3)
    positions = np.concatenate([ends, ends + size - 1, inside, far])
    assert shuffled(positions, size, seed).tolist() == [order[int(position)] for position in positions]


@settings(max_examples=40, deadline=None)
@given(
    st.one_of(st.integers(1, 300), st.integers(1, 2**18)).filter(lambda size: size != 2**16 + 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**20),
)
@example(2**16, 0, 0)
@example(2**16 + 2, 0, 0)
@example(2**17 + 1, 0, 0)
@example(2**18, 0, 0)
def test_every_epoch_holds_every_row_once(size: int, seed: int, epoch: int) -> None:
    rows = shuffled(epoch * size + np.arange(size), size, seed)
    assert (np.bincount(rows, minlength=size) == 1).all()


def test_grains_gap_is_known() -> None:
    """Of 2**16 + 1 rows one is never read; kept, because older runs read them so."""
    rows = np.bincount(shuffled(np.arange(2**16 + 1), 2**16 + 1, 0), minlength=2**16 + 1)
    assert np.flatnonzero(rows == 0).tolist() == [2**16]
    assert np.flatnonzero(rows > 1).size == 1


def test_a_row_depends_on_its_position_alone() -> None:
    size, positions = 70_000, np.random.default_rng(0).permutation(200_000)[:500]
    together = shuffled(positions, size, 3)
    assert together.tolist() == [int(shuffled(np.array([position]), size, 3)[0]) for position in positions]
    assert len(set(shuffled(np.arange(3) * size, size, 3).tolist())) == 3, "each epoch has an order of its own"
    assert shuffled(positions, size, 4).tolist() != together.tolist()


@pytest.mark.parametrize(("size", "seed"), [(0, 0), (MOST_ROWS + 1, 0), (5, -1), (5, 2**32)])
def test_what_has_no_order_is_refused(size: int, seed: int) -> None:
    with pytest.raises(ValueError, match="must be 1 to"):
        shuffled(np.arange(3), size, seed)
