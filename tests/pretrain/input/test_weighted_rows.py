"""Categories are read as often as a phase says, each row of them alike, and a run says where it cannot."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_run import LENGTH, TINY, changed, write_records

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.records import Records
from pretrain.devices.sharding import batch_sharding, make_mesh
from pretrain.input.phases import Phases
from pretrain.input.schedule import rows_left_out, stretches
from pretrain.input.weighted_rows import WeightedRows
from pretrain.recipe import Mesh, Phase
from pretrain.recipe_checks import check

IN_TURN = (("web", 10), ("wiki", 30), ("web", 10))
"""Two parts of a corpus have web text."""
LAST = (("web", 0.0), ("wiki", 1.5))
PHASES = (Phase(LENGTH, 0.5), Phase(LENGTH, 0.5, category_weights=LAST))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("categories") / "examples"
    write_records(folder, categories={"train": IN_TURN})
    return folder


@pytest.fixture(scope="module")
def records(folder: Path) -> Records:
    return Records(folder, "train")


@pytest.mark.parametrize(
    ("weights", "web", "wiki"),
    [
        ((("web", 2.5),), {2: 10, 3: 10}, {1: 30}),
        ((("wiki", 0.5), ("web", 3)), {3: 20}, {1: 15}),
        (LAST, {}, {1: 15, 2: 15}),
    ],
)
def test_rows_are_read_as_often_as_their_category_weighs(
    weights: tuple[tuple[str, float], ...], web: dict[int, int], wiki: dict[int, int], records: Records
) -> None:
    rows = WeightedRows(records, weights)
    read = Counter(rows.records_at(range(len(rows))).tolist())
    is_wiki = {number: 10 <= number < 40 for number in read}
    assert Counter(times for number, times in read.items() if not is_wiki[number]) == web
    assert Counter(times for number, times in read.items() if is_wiki[number]) == wiki
    numbers = np.array([0, len(rows) // 2, len(rows) - 1])
    for name, values in rows.read(numbers).items():
        np.testing.assert_array_equal(values, records.read(rows.records_at(numbers))[name])


def test_a_share_of_a_category_is_spread_over_all_its_rows(records: Records) -> None:
    rows = WeightedRows(records, (("wiki", 0.5), ("web", 0.0)))
    assert rows.records_at(range(len(rows))).tolist() == list(range(10, 40, 2))


def test_a_phase_reads_its_own_mixture(folder: Path) -> None:
    recipe = changed(TINY, phases=PHASES)
    phases = Phases(folder, recipe, batch_sharding(make_mesh(Mesh())))
    first, last = (phase.batches for phase in phases.all)
    assert (len(first.source), len(last.source)) == (50, 45)
    assert isinstance(last.source, WeightedRows)
    read = last.source.records_at(last.record_indices(recipe.max_steps - 1, np.arange(16)))
    assert ((read >= 10) & (read < 40)).all()
    schedule = stretches(recipe)
    assert [stretch.first_row for stretch in schedule] == [0, 0], "another mixture is another sequence"
    assert rows_left_out(schedule, 1, [[0, 1]]) == ((0, 0),), "of which no batch of the first was read"


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ((("new", 2.0),), r"no row is of the category 'new' \(found: web, wiki\)"),
        ((("web", 0.0), ("wiki", 0.0)), "leave no row to train on"),
    ],
)
def test_weights_that_do_not_fit_the_records_are_refused(weights: Any, said: str, records: Records) -> None:
    with pytest.raises(InputError, match=said):
        WeightedRows(records, weights)


def test_records_that_do_not_keep_categories_apart_are_refused(tmp_path: Path) -> None:
    write_records(tmp_path / "examples")
    with pytest.raises(InputError, match="do not keep categories apart; prepare with"):
        WeightedRows(Records(tmp_path / "examples", "train"), LAST)


@pytest.mark.parametrize("weights", [(("web", -1.0),), (("web", 1.0), ("web", 2.0))])
def test_a_weight_below_zero_and_a_category_named_twice_are_refused(weights: Any) -> None:
    with pytest.raises(InputError, match=r"phases\.0\.category_weights .* a weight of 0 or more for each category"):
        check(changed(TINY, phases=(Phase(LENGTH, 1.0, category_weights=weights),)))
