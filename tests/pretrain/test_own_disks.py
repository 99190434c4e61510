"""Several hosts, each with a disk of its own: process 0 writes and reads the checkpoints, the others get the state from it."""

import json
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tiny_run import untimed

from data_pipeline.contract.run_folder import RunFolder
from pretrain.checkpoints.verify import fault, list_steps, step_folder

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("shared_programs")]

SERVER = """
    import json, os, signal, sys
    import jax

    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", 1)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    sys.path.insert(0, sys.argv[1])
    from pathlib import Path
    from tiny_run import TINY, changed
    from data_pipeline.contract.run_folder import RunFolder
    from pretrain import train as training
    from pretrain.checkpoints.store import CheckpointStore
    import tensorboardX.proto.event_pb2

    RECIPE = changed(TINY, evaluation={"every_steps": 0})

    def process(number, folder, port, mesh, dies_at):
        jax.distributed.initialize(f"localhost:{port}", num_processes=2, process_id=number)
        save = CheckpointStore.save

        def save_or_die(self, step, *arguments):
            if number == 1 and step == dies_at:
                os.kill(os.getpid(), signal.SIGKILL)
            save(self, step, *arguments)

        CheckpointStore.save = save_or_die
        training.train(RunFolder(folder), "tiny", changed(RECIPE, mesh=mesh))

    # Two children are forked for each run, so that imports are paid once; no device has been asked for before.
    for line in sys.stdin:
        folders, *what = json.loads(line)
        children = {}
        for number, folder in enumerate(folders):
            child = os.fork()
            if not child:
                os.dup2(2, 1)  # gloo talks
                process(number, Path(folder), *what)
                jax.distributed.shutdown()
                os._exit(0)
            children[child] = number
        codes = {}
        while children:
            child, status = os.wait()
            codes[children.pop(child)] = code = os.waitstatus_to_exitcode(status)
            if code:  # as the launcher does: the others would wait for it
                for other in children:
                    os.kill(other, signal.SIGKILL)
        print(json.dumps([codes[0], codes[1]]), flush=True)
"""
Train = Callable[..., list[int]]


@pytest.fixture(scope="module")
def train(shared_programs: None) -> Iterator[Train]:
    """Trains 6 steps with two processes, each in its folder, a checkpoint after every second; returns their exit codes."""
    command = [sys.executable, "-c", textwrap.dedent(SERVER), str(Path(__file__).parents[1] / "support")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None

        def run(folders: list[RunFolder], mesh: dict[str, int], dies_at: int = 0) -> list[int]:
            with socket.socket() as free:
                free.bind(("localhost", 0))
                port = free.getsockname()[1]
            server.stdin.write(json.dumps([[str(each.path) for each in folders], port, mesh, dies_at]) + "\n")
            server.stdin.flush()
            return [int(code) for code in json.loads(server.stdout.readline())]

        yield run
        server.stdin.close()


@pytest.mark.parametrize(
    "mesh",
    [
        pytest.param({}, id="state on every host"),
        pytest.param({"data": 1, "fsdp": 2}, id="state split over the hosts"),
    ],
)
def test_two_disks_give_the_losses_of_one_folder_also_after_a_kill_and_on_a_new_host(
    train: Train, new_run: Callable[..., RunFolder], mesh: dict[str, int]
) -> None:
    together = new_run("one_folder")
    assert train([together, together], mesh) == [0, 0]
    first, second = new_run("disk_0"), new_run("disk_1")
    assert train([first, second], mesh, dies_at=4) == [-9, -9]
    saved = list_steps(first.checkpoints)
    assert fault(step_folder(first.checkpoints, saved[0])) is None, "one is whole before the next begins"
    assert not second.checkpoints.exists()
    assert train([first, new_run("disk_of_a_new_host")], mesh) == [0, 0]
    assert untimed(first) == untimed(together)
    parts = first.manifest()["train"]["parts"]
    assert [part["stop_step"] for part in parts][-1] == 6
    assert parts[-1]["start_step"] in (2, 4), "gone on, not begun again"
    for step in list_steps(together.checkpoints):
        assert fault(step_folder(first.checkpoints, step)) is None
