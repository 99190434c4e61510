"""What a notebook calls does what the commands do."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from prepared_runs import results

from data_pipeline.api import prepare, read_rows, split_sentences
from data_pipeline.contract.errors import InputError
from data_pipeline.contract.records import Records, from_bitmap
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.recipe import DataRecipe


@pytest.fixture(scope="module")
def prepared(corpus: Path, tiny_recipe: Callable[..., DataRecipe], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("api") / "run"
    prepare(tiny_recipe(corpus / "part-*.jsonl"), folder, name="mine", workers=1)
    return folder


def test_a_recipe_is_prepared_under_its_name(prepared: Path) -> None:
    assert RunFolder(prepared).manifest()["prepare"]["recipe_name"] == "mine"
    before = results(prepared)
    prepare(os.fspath(Path(__file__).parents[2] / "configs/quickstart.py"), prepared.parent / "named", workers=1)
    assert RunFolder(prepared.parent / "named").manifest()["prepare"]["recipe_name"] == "quickstart"
    assert results(prepared) == before


def test_rows_are_read_in_order(prepared: Path) -> None:
    records = Records(prepared / "examples", "train")
    stored = records.read(range(len(records)))
    rows = list(read_rows(prepared))
    assert len(rows) == len(records)
    for index, row in enumerate(rows):
        np.testing.assert_array_equal(row["tokens"], stored["tokens"][index])
        for field in ("word_starts", "segment_starts"):
            np.testing.assert_array_equal(row[field], from_bitmap(stored[field][index]))
    [second] = read_rows(prepared, start=1, stop=2)
    np.testing.assert_array_equal(second["tokens"], rows[1]["tokens"])
    assert [*read_rows(prepared, start=len(rows))] == []


def test_rows_that_are_not_there_are_refused(prepared: Path) -> None:
    for wrong in ({"start": -1}, {"start": 10_000}, {"split": "test"}, {"length": 9}):
        with pytest.raises(InputError):
            next(read_rows(prepared, **wrong))  # type: ignore[arg-type]


def test_a_text_is_split() -> None:
    assert split_sentences("  나는 학교에 갔다. 너는 어디 갔니?\n응 그래 ") == [
        "나는 학교에 갔다.",
        "너는 어디 갔니?",
        "응 그래",
    ]
    assert split_sentences(" \n") == []
    assert split_sentences("재밌다ㅋㅋ 또 보고 싶다 내일 가자", splitter="kss_repaired") == [
        "재밌다ㅋㅋ",
        "또 보고 싶다",
        "내일 가자",
    ]
    with pytest.raises(InputError, match=r"sentences\.splitter must be .*'kss_repaired'.*, found 'kiwi'"):
        split_sentences("가.", splitter="kiwi")
