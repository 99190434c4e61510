"""Runs that older code began are resumed and exported by today's, with the numbers that the older code had."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from compiled_once import traced_once
from older_runs import RUNS, exported, later_metrics, recipe_of, unpack

from data_pipeline.contract.run_folder import RunFolder
from pretrain.train import train

IN_THE_FAST_SUITE = ("adamw-two_phases", "lamb-pairs", "adafactor-packed", "muon-packed")


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("older")
    with traced_once():
        yield folder, unpack(folder)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in IN_THE_FAST_SUITE else pytest.mark.slow) for name in RUNS]
)
def test_a_run_of_older_code_is_exported_and_resumed(
    name: str, older: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder, expected = older
    run = RunFolder(folder / name)
    assert exported(run, tmp_path / "export") == expected[name]["exported"]
    train(run, "tiny", recipe_of(name))
    found = later_metrics(run)
    assert [line["step"] for line in found] == [line["step"] for line in expected[name]["metrics"]]
    # A line a step, so that a line's means are the step's. Newer code may say more in it.
    for now, before in zip(found, expected[name]["metrics"], strict=True):
        assert {metric: now[metric] for metric in before} == pytest.approx(before, rel=1e-5)
