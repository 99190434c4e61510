"""JAX tests run on eight virtual CPU devices, and keep what they compile for all processes of the session."""

import gc
import importlib.metadata
import importlib.util
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

# Machines are busy: how long an example takes is no promise.
settings.register_profile("without_deadline", deadline=None)
settings.load_profile("without_deadline")
# What JAX has traced stays: the oldest generation grows to millions of objects, and going through it was a twelfth of the time.
gc.set_threshold(*gc.get_threshold()[:2], 1000)
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Compiling is most of what the tests do. A small train step takes 2 s instead of 20; the numbers are the same within rounding.
# `XLA_FLAGS=` runs the tests as users train.
FLAGS = [
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
    "--xla_cpu_parallel_codegen_split_count=1",
]
WITH_JAX = importlib.util.find_spec("jax") is not None  # the data room is tested without JAX as well
if WITH_JAX:
    if importlib.metadata.version("jaxlib").startswith("0.10."):
        FLAGS.append("--xla_cpu_use_fusion_emitters=false")  # later ones do not have it, and end the process
    os.environ.setdefault("XLA_FLAGS", " ".join(FLAGS))
    import jax

    jax.config.update("jax_num_cpu_devices", 8)  # before the first device is asked for


@pytest.fixture(autouse=True, scope="session")
def compiled_programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Every program is compiled once a session, and nothing is left in the user's cache."""
    if not WITH_JAX:
        yield
        return
    from compiled_once import compilation_cache

    of_worker = tmp_path_factory.getbasetemp()
    of_session = of_worker.parent if "PYTEST_XDIST_WORKER" in os.environ else of_worker
    with compilation_cache(of_session / "compiled"):
        yield


LONGEST = (
    "test_main_job.py",
    "test_kill_anywhere.py",
    "test_processes.py",
    "test_step.py",
    "test_launch_run.py",
    "test_every_family.py",
)


def pytest_configure(config: pytest.Config) -> None:
    config.option.loadscopereorder = False  # xdist would begin with the files of many tests


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest come first, so that no worker has to wait for one of them at the end."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONGEST)))
