"""Programs that were compiled once are found again by the next start, unless the user says no."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

START = """
import logging, jax, jax.numpy as jnp
from pretrain.devices.available import use_compilation_cache
logging.basicConfig(format="%(message)s", level=logging.INFO)
jnp.ones(3).block_until_ready()  # compiled before the cache is set, as a run may do
use_compilation_cache()
events = []
jax.monitoring.register_event_listener(lambda event, **_: events.append(event))
jax.jit(lambda x: jnp.sin(x @ x))(jnp.ones((8, 8))).block_until_ready()
print("hits", events.count("/jax/compilation_cache/cache_hits"))
"""


def start(home: Path, **environment: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    always = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "XDG_CACHE_HOME": str(home), "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", START]
    done = subprocess.run(command, env={**kept, **always, **environment}, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def test_a_second_start_compiles_nothing_again(tmp_path: Path) -> None:
    first, second = start(tmp_path), start(tmp_path)
    assert f"compiled programs are kept in {tmp_path}/korean-pretrain/jax" in first
    assert "hits 0" in first
    assert "hits 0" not in second
    assert list((tmp_path / "korean-pretrain" / "jax").iterdir())


def test_it_can_be_turned_off(tmp_path: Path) -> None:
    told = start(tmp_path, JAX_ENABLE_COMPILATION_CACHE="false")
    assert "compiled programs are not kept (JAX_ENABLE_COMPILATION_CACHE)" in told
    assert not (tmp_path / "korean-pretrain").exists()


@pytest.mark.slow
def test_another_folder_can_be_named(tmp_path: Path) -> None:
    told = start(tmp_path, JAX_COMPILATION_CACHE_DIR=str(tmp_path / "mine"))
    assert f"compiled programs are kept in {tmp_path}/mine" in told
    assert list((tmp_path / "mine").iterdir())
