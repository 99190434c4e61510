"""Fixtures of the training side: shared programs, records, run folders."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from compiled_once import traced_once
from tiny_run import TINY, write_records

from data_pipeline.contract.run_folder import RunFolder
from pretrain.recipe import TrainingRecipe


@pytest.fixture(scope="module")
def shared_programs() -> Iterator[None]:
    """The runs of one recipe share their programs."""
    with traced_once():
        yield


@pytest.fixture(scope="session")
def records_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("records") / "examples"
    write_records(folder)
    return folder


@pytest.fixture(scope="session")
def pairs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs") / "examples"
    write_records(folder, layout="sentence_pairs")
    return folder


@pytest.fixture
def new_run(tmp_path: Path) -> Callable[..., RunFolder]:
    """Makes a run folder that holds records and nothing else."""

    def make(name: str = "run", **options: Any) -> RunFolder:
        run = RunFolder(tmp_path / name)
        run.path.mkdir()
        write_records(run.examples, **options)
        return run

    return make


@pytest.fixture
def tiny() -> TrainingRecipe:
    return TINY
