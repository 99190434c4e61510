import errno
import logging
import os
import re
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from data_pipeline.contract.errors import WorkError
from pretrain.checkpoints.restore import restore_params
from pretrain.checkpoints.store import CheckpointStore
from pretrain.checkpoints.verify import MANIFEST, fault, list_steps, newest_valid, step_folder
from pretrain.devices.sharding import make_mesh
from pretrain.recipe import Mesh


def state_at(step: int, size: int = 1024) -> dict[str, Any]:
    rows = NamedSharding(make_mesh(Mesh()), PartitionSpec("data"))
    table = jax.device_put(jnp.arange(8.0 * size).reshape(8, size) + step, rows)
    return {"params": {"a": {"table": table}}, "optimizer": ({"mu": table + 0.5},), "step": jnp.int32(step)}


def write(folder: Path, *steps: int, keep: int = 9) -> CheckpointStore:
    with CheckpointStore(folder, keep) as checkpoints:
        for step in steps:
            checkpoints.save(step, state_at(step), {"rows_seen": 16 * step})
    return checkpoints


def data_file(checkpoint: Path) -> Path:
    return max(
        (path for path in (checkpoint / "params").rglob("*") if path.is_file()), key=lambda path: path.stat().st_size
    )


def flip_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_checkpoint_comes_back_bit_for_bit_on_another_mesh(tmp_path: Path) -> None:
    checkpoints = write(tmp_path, 3)
    fsdp = NamedSharding(make_mesh(Mesh(2, 2, 2)), PartitionSpec("fsdp", "tensor"))
    abstract = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), state_at(0)
    )
    abstract["params"]["a"]["table"] = dataclass_with(abstract["params"]["a"]["table"], fsdp)
    restored = checkpoints.restore(3, abstract)
    assert restored["params"]["a"]["table"].sharding == fsdp
    jax.tree.map(np.testing.assert_array_equal, restored, state_at(3))
    assert checkpoints.newest_valid() == (3, {"step": 3, "rows_seen": 48})


def test_an_array_that_every_device_has_comes_back_from_the_part_that_each_wrote(tmp_path: Path) -> None:
    everywhere = NamedSharding(make_mesh(Mesh()), PartitionSpec())
    table = jax.device_put(jnp.arange(80.0).reshape(5, 16), everywhere)  # parts of two columns
    state = {"params": {"table": table}, "optimizer": {"mu": table + 0.5}, "step": jnp.int32(1)}
    with CheckpointStore(tmp_path, 1) as checkpoints:
        checkpoints.save(1, state, {})
    restored = checkpoints.restore(1, jax.eval_shape(lambda: state))
    jax.tree.map(np.testing.assert_array_equal, restored, state)


def dataclass_with(leaf: jax.ShapeDtypeStruct, sharding: NamedSharding) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)


def test_what_is_saved_is_the_state_at_the_save_though_it_is_donated_at_once(tmp_path: Path) -> None:
    add = jax.jit(lambda state: jax.tree.map(lambda leaf: leaf + 1, state), donate_argnums=0)
    state = state_at(1, size=100_000)
    with CheckpointStore(tmp_path, 1) as checkpoints:
        checkpoints.save(1, state, {})
        for _ in range(5):
            state = add(state)
    np.testing.assert_array_equal(restore_params(step_folder(tmp_path, 1))["a"]["table"][0, :3], [1, 2, 3])


def test_parameters_are_restored_without_the_optimizer(tmp_path: Path) -> None:
    write(tmp_path, 5)
    params = restore_params(step_folder(tmp_path, 5))
    assert isinstance(params["a"]["table"], np.ndarray)
    np.testing.assert_array_equal(params["a"]["table"], state_at(5)["params"]["a"]["table"])


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "differs from its hash": lambda checkpoint: flip_bit(data_file(checkpoint)),
    "bytes": lambda checkpoint: data_file(checkpoint).write_bytes(data_file(checkpoint).read_bytes()[:-1]),
    "is missing": lambda checkpoint: data_file(checkpoint).unlink(),
    "has no manifest.json": lambda checkpoint: (checkpoint / MANIFEST).unlink(),
    "its own hash|not readable": lambda checkpoint: flip_bit(checkpoint / MANIFEST),
}


@pytest.mark.parametrize("words", DAMAGE)
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(
    tmp_path: Path, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints = write(tmp_path, 1, 2)
    DAMAGE[words](step_folder(tmp_path, 2))
    with caplog.at_level(logging.WARNING):
        found = checkpoints.newest_valid()
    assert found is not None
    assert found[0] == 1
    (line,) = [record.getMessage() for record in caplog.records if record.module == "verify"]
    assert "00000002: skipped" in line
    assert re.search(words, line)


def test_where_no_checkpoint_is_valid_the_run_stops(tmp_path: Path) -> None:
    checkpoints = write(tmp_path, 1)
    for damage in (flip_bit, Path.unlink):
        damage(step_folder(tmp_path, 1) / MANIFEST)
        with pytest.raises(WorkError, match="none is valid"):
            checkpoints.newest_valid()


def test_what_a_killed_first_save_left_is_named_and_removed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("00000002", "00000004.orbax-checkpoint-tmp"):
        (tmp_path / name / "params").mkdir(parents=True)
    with caplog.at_level(logging.WARNING):
        assert CheckpointStore(tmp_path, 1).newest_valid() is None
    assert list(tmp_path.iterdir()) == []
    assert all(name in caplog.text for name in ("00000002: removed", "tmp: removed"))


def test_the_newest_are_kept_and_an_invalid_later_one_does_not_count(tmp_path: Path) -> None:
    write(tmp_path, 1, 2, 3, 4, 9)
    flip_bit(data_file(step_folder(tmp_path, 9)))
    with CheckpointStore(tmp_path, 2) as checkpoints:
        assert checkpoints.newest_valid() == (4, {"step": 4, "rows_seen": 64})
        checkpoints.save(5, state_at(5), {})
    assert list_steps(tmp_path) == [4, 5]
    assert [fault(step_folder(tmp_path, step)) for step in (4, 5)] == [None, None]


def test_a_step_whose_checkpoint_is_invalid_can_be_saved_again(tmp_path: Path) -> None:
    write(tmp_path, 1, 2)
    flip_bit(data_file(step_folder(tmp_path, 2)))
    assert write(tmp_path, 2).newest_valid() == (2, {"step": 2, "rows_seen": 32})


def test_a_save_that_finds_no_room_for_what_goes_with_it_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manifest and the note of the newest step are written last."""
    checkpoints = write(tmp_path, 1)

    def replace(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", replace)
    checkpoints.save(2, state_at(2), {})
    with pytest.raises(WorkError, match=r"00000002: this checkpoint could not be written \(No space left on device\)"):
        checkpoints.finish()


def test_a_save_that_finds_no_room_names_the_folder(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    checkpoints = write(tmp_path, 1)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, hard))
        random = np.random.default_rng(0).random((8, 200_000), np.float32)
        state = {**state_at(2), "params": {"a": {"table": jnp.asarray(random)}}}
        checkpoints.save(2, state, {})
        with pytest.raises(WorkError, match="00000002: this checkpoint could not be written"):
            checkpoints.finish()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    # Not the method, which removes what the save left: threads of this process may still write there.
    assert newest_valid(tmp_path) == (1, {"step": 1, "rows_seen": 16})
