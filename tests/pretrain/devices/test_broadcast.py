"""A checkpoint of two processes lies on the first one's disk alone, and both get every bit of it back."""

import socket
import subprocess
import sys
import textwrap
from pathlib import Path

from pretrain.checkpoints.verify import fault, step_folder

PROCESS = """
    import sys
    from pathlib import Path
    import jax
    import numpy as np

    process, port, folder = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", 2)
    jax.distributed.initialize(f"localhost:{port}", num_processes=2, process_id=process)
    from jax.sharding import PartitionSpec
    from pretrain.checkpoints.store import CheckpointStore
    from pretrain.devices.broadcast import placed
    from pretrain.recipe import Mesh
    from pretrain.devices.sharding import NamedSharding, make_mesh

    mesh = make_mesh(Mesh(data=1, fsdp=4))
    table = np.random.default_rng(0).standard_normal((8, 3)).astype(np.float32)
    values = {
        "params": {"table": table},
        "optimizer": ({"mu": np.array([-0.0, np.inf, np.nan, 1e-42], np.float32)},),
        "step": np.asarray(np.int32(4)),
    }
    split = {"params": {"table": "fsdp"}, "optimizer": ({"mu": None},), "step": None}
    abstract = jax.tree.map(
        lambda value, axis: jax.ShapeDtypeStruct(
            value.shape, value.dtype, sharding=NamedSharding(mesh, PartitionSpec(axis) if axis else PartitionSpec())
        ),
        values, split, is_leaf=lambda leaf: leaf is None,
    )
    with jax.set_mesh(mesh), CheckpointStore(folder, keep=1) as checkpoints:
        assert checkpoints.newest_valid() is None
        checkpoints.save(4, placed(values, abstract), {"what": "글"})
    with CheckpointStore(folder, keep=1) as checkpoints:
        assert checkpoints.newest_valid() == (4, {"step": 4, "what": "글"})
        restored = checkpoints.restore(4, abstract)

    def compare(array, like, value):
        assert array.sharding == like.sharding, (array.sharding, like.sharding)
        for shard in array.addressable_shards:
            assert np.asarray(shard.data).tobytes() == np.ascontiguousarray(value[shard.index]).tobytes()

    jax.tree.map(compare, restored, abstract, values)
    jax.distributed.shutdown()
"""


def test_a_state_split_over_two_disks_is_saved_on_one_and_restored_on_both(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-c", textwrap.dedent(PROCESS)]
    processes = [
        subprocess.Popen([*command, str(number), port, str(tmp_path / str(number))], stderr=subprocess.PIPE, text=True)
        for number in range(2)
    ]
    try:
        errors = [process.communicate(timeout=200)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], "\n".join(errors)
    assert fault(step_folder(tmp_path / "0", 4)) is None
    assert not (tmp_path / "1").exists()
