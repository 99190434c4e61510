"""A run that is short enough to be trained once for the tests of a file."""

import shutil
from pathlib import Path

import pytest
from tiny_run import TINY, changed, write_records

from data_pipeline.contract.run_folder import RunFolder
from pretrain.train import train


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, shared_programs: None) -> RunFolder:
    """Four steps with a checkpoint after each second."""
    run = RunFolder(tmp_path_factory.mktemp("card") / "run")
    run.path.mkdir()
    write_records(run.examples)
    train(run, "tiny", changed(TINY, max_steps=4, evaluation={"rows": 0}))
    return run


@pytest.fixture
def run(trained: RunFolder, tmp_path: Path) -> RunFolder:
    shutil.copytree(trained.path, tmp_path / "run")
    return RunFolder(tmp_path / "run")
