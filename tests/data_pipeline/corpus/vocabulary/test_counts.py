"""Tables add up on disk to what one counter in memory would hold, and in far less memory."""

import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_pipeline.corpus.vocabulary import counts
from data_pipeline.corpus.vocabulary.counts import Count, CountTable, added, write_sum, write_table

WORDS = st.text(st.characters(exclude_categories=["Cs", "Zs", "Zl", "Zp", "Cc"]), min_size=1, max_size=4)
TABLES = st.lists(st.dictionaries(WORDS, st.integers(1, 2**50), max_size=8), max_size=12)


@given(tables=TABLES)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_tables_on_disk_add_up_whatever_their_number_and_order(
    tables: list[dict[str, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    total = sum(map(Counter, tables), Counter[str]())
    written = [write_table(tmp_path / str(number), sorted(table.items())) for number, table in enumerate(tables)]
    for most in (2, 3, 64):
        monkeypatch.setattr(counts, "MOST_AT_ONCE", most)
        for order in (written, written[::-1]):
            assert list(write_sum(tmp_path / "sum", order)) == sorted(total.items())


def test_nothing_is_left_beside_the_sum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "MOST_AT_ONCE", 2)
    tables = [write_table(tmp_path / f"table-{number}", [("가", number)]) for number in range(9)]
    write_sum(tmp_path / "sum", tables)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["sum", *(f"table-{n}" for n in range(9))])


def test_a_table_is_read_anew_by_each_iteration(tmp_path: Path) -> None:
    table = CountTable(write_table(tmp_path / "table", [("가", 1), ("나", 2)]).path)
    assert list(table) == list(table) == [("가", 1), ("나", 2)]


def test_tables_are_added_up_in_a_fraction_of_the_memory_of_a_counter(tmp_path: Path) -> None:
    def texts(number: int) -> Iterator[Count]:
        return ((f"{text:07d}", 2**33 + text) for text in range(number, 80_000, 8))

    def peak_of(work: Callable[[], Counter[str] | CountTable]) -> int:
        tracemalloc.start()
        kept = work()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert sum(1 for _ in kept) == 80_000
        return peak

    tables = [write_table(tmp_path / str(number), texts(number)) for number in range(8)]
    on_disk = peak_of(lambda: write_sum(tmp_path / "sum", tables))
    in_memory = peak_of(lambda: Counter(dict(added(tables))))
    assert on_disk < 1_000_000 < 8_000_000 < in_memory
