"""Fixtures of the training side: compiled programs kept for a session, records, run folders."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import pytest
from tiny_run import TINY, write_records

from data_pipeline.contract.run_folder import RunFolder
from pretrain.recipe import TrainingRecipe


@pytest.fixture(autouse=True, scope="session")
def compiled_programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Runs of the same recipe compile once a session, and nothing is left in the user's cache."""
    before = jax.config.values["jax_compilation_cache_dir"]
    folder = str(tmp_path_factory.mktemp("compiled"))
    jax.config.update("jax_compilation_cache_dir", folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", folder)
        yield
    jax.config.update("jax_compilation_cache_dir", before)


@pytest.fixture(scope="module")
def fast_to_compile() -> Iterator[None]:
    """XLA compiles in a third of the time; here and, by the environment, in child processes."""
    jax.config.update("jax_disable_most_optimizations", True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
        yield
    jax.config.update("jax_disable_most_optimizations", False)


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
