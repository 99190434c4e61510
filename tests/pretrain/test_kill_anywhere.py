"""kill -9 at random moments: what was computed is what an uninterrupted run computes."""

import json
import os
import random
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_run import untimed

from data_pipeline.contract.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("shared_programs")

SERVER = """
    import hashlib, json, os, signal, sys, threading, time
    import jax

    os.environ["JAX_PLATFORMS"] = "cpu"
    jax.config.update("jax_num_cpu_devices", 2)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    sys.path.insert(0, sys.argv[1])
    from tiny_run import TINY, changed
    from data_pipeline.contract.run_folder import RunFolder
    from pretrain.input.batches import TrainingBatches
    from pretrain import train as training
    from pretrain.checkpoints.store import CheckpointStore
    import tensorboardX.proto.event_pb2

    RECIPE = changed(TINY, model={"hidden_dropout_prob": 0.1}, max_steps=12)
    run, masks_of = None, None

    # Every batch and its masks are written down as they are made: step and hash.
    make_job, make_batch = training.make_job, TrainingBatches.__call__

    def job_kept(*arguments):
        global masks_of
        job = make_job(*arguments)
        masks_of = jax.jit(lambda batch: job.phases[0].prepare(batch, 0))
        return job

    def batch_noted(self, step):
        batch = make_batch(self, step)
        masked = jax.device_get(masks_of(batch))
        digest = hashlib.sha256(b"".join(masked[name].tobytes() for name in sorted(masked))).hexdigest()
        with open(run / "batches.jsonl", "a") as notes:
            notes.write(json.dumps([step, digest]) + "\\n")
        return batch

    training.make_job, TrainingBatches.__call__ = job_kept, batch_noted

    def die_in(seconds):
        threading.Thread(target=lambda: (time.sleep(seconds), os.kill(os.getpid(), signal.SIGKILL)), daemon=True).start()

    def train(folder, what, moment):
        global run
        run = folder
        if what == "from the first step on":
            enter = training.Prefetched.__enter__
            training.Prefetched.__enter__ = lambda self: (die_in(moment), enter(self))[1]
        elif what == "from a save on":
            save = CheckpointStore.save
            CheckpointStore.save = lambda self, *arguments: (die_in(moment), save(self, *arguments))[1]
        training.train(RunFolder(folder), "tiny", RECIPE)

    # A child is forked for each run, so that imports are paid once; no device has been asked for before.
    from pathlib import Path
    for line in sys.stdin:
        folder, what, moment = json.loads(line)
        child = os.fork()
        if not child:
            train(Path(folder), what, moment)
            sys.stdout.flush()
            os._exit(0)
        print(json.dumps(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])), flush=True)
"""
Train = Callable[..., int]


@pytest.fixture(scope="module")
def train(shared_programs: None, tmp_path_factory: pytest.TempPathFactory) -> Train:  # type: ignore[misc]
    """Trains 12 steps in a process of its own, checkpoints after every second; returns its exit code."""
    command = [sys.executable, "-c", textwrap.dedent(SERVER), str(Path(__file__).parents[1] / "support")]
    # A cache of its own: whoever is killed may leave half a program there.
    environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.mktemp("compiled"))}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) as server:
        assert server.stdin is not None
        assert server.stdout is not None

        def run(folder: RunFolder, what: str = "", moment: float = 0) -> int:
            server.stdin.write(json.dumps([str(folder.path), what, moment]) + "\n")
            server.stdin.flush()
            return int(json.loads(server.stdout.readline()))

        yield run
        server.stdin.close()


def batches(run: RunFolder) -> dict[int, set[str]]:
    """The hashes of all batches that were made for each step, masks included."""
    found: dict[int, set[str]] = {}
    for line in (run.path / "batches.jsonl").read_text().splitlines():
        step, digest = json.loads(line)
        found.setdefault(step, set()).add(digest)
    return found


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_a_run_killed_at_random_moments_is_the_uninterrupted_run(
    train: Train, new_run: Callable[..., RunFolder], kills: int
) -> None:
    whole = new_run("whole")
    assert train(whole) == 0
    draw = random.Random(kills)
    killed, trials = 0, 0
    while killed < kills:
        trials += 1
        assert trials <= 3 * kills, "the runs end before they are killed"
        run = new_run(f"killed-{trials}")
        code = -9
        while code == -9 and killed < kills:
            # A save takes some 0.2 s, a step 0.02 s.
            moment = draw.choice(
                [("from the first step on", draw.uniform(0, 2)), ("from a save on", draw.uniform(0, 0.3))]
            )
            code = train(run, *moment)
            assert code in (0, -9)
            killed += code == -9
        assert train(run) == 0
        assert untimed(run) == untimed(whole)
        assert batches(run) == batches(whole)
    assert all(len(digests) == 1 for digests in batches(whole).values())
