"""Programs that several tests train with are compiled once: kept in a folder for all processes, and in this one as they are."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import pytest


@contextmanager
def compilation_cache(folder: Path) -> Iterator[None]:
    """Keeps every program in `folder`, for child processes too, and none in the user's cache."""
    settings = {
        "jax_compilation_cache_dir": str(folder),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        # No limit: with one, JAX goes through the whole folder, locked, for each program that it keeps. What a process reads
        # while another writes it does not decompress: JAX warns and compiles.
        "jax_compilation_cache_max_size": -1,
    }
    before = {name: jax.config.values[name] for name in settings}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            jax.config.update(name, value)
            patch.setenv(name.upper(), str(value))
        yield
    for name, value in before.items():
        jax.config.update(name, value)


_made: dict[str, Any] = {}


def once(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with what it returned remembered by the text of its arguments."""

    def call(*arguments: Any) -> Any:
        key = repr((function, arguments))
        if key not in _made:
            _made[key] = function(*arguments)
        return _made[key]

    return call


@contextmanager
def traced_once() -> Iterator[None]:
    """All runs of a recipe on the same records share their programs: tracing them takes longer than to train.

    And arrays are saved whole: by default orbax compiles a program for each device's part of each shape (test_checkpoints.py).
    """
    import orbax.checkpoint as ocp

    from pretrain import loop
    from pretrain.monitoring.predictions import PredictionSample

    make_sample = PredictionSample.__init__

    def make_sample_once(self: Any, objective: Any, *others: Any) -> None:
        make_sample(self, objective, *others)
        self._predict = _made.setdefault(repr((make_sample, objective, others[-1])), self._predict)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "make_steps", once(loop.make_steps))
        patch.setattr(loop, "compile_train_step", once(loop.compile_train_step))
        patch.setattr(PredictionSample, "__init__", make_sample_once)
        patch.setattr(ocp.type_handlers.get_type_handler(jax.Array), "_use_replica_parallel", False)
        yield
