"""A notice that one machine goes stops all processes at one step, saved, through JAX's preemption service."""

import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from data_pipeline.contract.run_folder import RunFolder
from pretrain.checkpoints.verify import fault, list_steps, step_folder
from pretrain.monitoring.metrics import METRICS_FILE

CHILD = """
    import logging, sys
    import jax

    process, port, tests, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", 1)
    jax.distributed.initialize(f"localhost:{port}", num_processes=2, process_id=process)
    sys.path.insert(0, tests)
    from tiny_run import TINY, changed
    from data_pipeline.contract.errors import run_command
    from data_pipeline.contract.run_folder import RunFolder
    from pretrain.train import train

    recipe = changed(
        TINY,
        max_steps=100_000,
        stop_after_minutes=4.0,  # should nobody be there to send the signal
        checkpoints={"every_steps": 0},
        evaluation={"every_steps": 0},
    )
    run_command(lambda: train(RunFolder(folder), "tiny", recipe))
"""


STEPS = """
    import sys, time
    import jax

    process, port = int(sys.argv[1]), sys.argv[2]
    jax.config.update("jax_platforms", "cpu")
    jax.distributed.initialize(f"localhost:{port}", num_processes=2, process_id=process)
    from pretrain.devices.preemption import Notice

    with Notice() as notice:
        print("begun", flush=True)
        for step in range(1, 2000):
            time.sleep(0.01 + 0.02 * process)
            if notice.stops_after(step):
                print(step, flush=True)
                break
"""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        return int(listener.getsockname()[1])


def test_a_signal_to_one_process_is_noticed_by_all_at_the_same_step() -> None:
    command = [sys.executable, "-c", textwrap.dedent(STEPS)]
    port = str(free_port())
    processes = [
        subprocess.Popen([*command, str(number), port], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for number in range(2)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n", process.communicate()[1]
        processes[1].send_signal(signal.SIGTERM)
        steps = [process.communicate(timeout=120)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert int(steps[0]) == int(steps[1])
    assert [process.returncode for process in processes] == [0, 0]


@pytest.mark.slow
@pytest.mark.usefixtures("shared_programs")
def test_sigterm_to_one_of_two_processes_saves_one_step_and_ends_both_with_the_code_that_says_so(
    new_run: Callable[..., RunFolder],
) -> None:
    run = new_run()
    arguments = [str(free_port()), str(Path(__file__).parents[2] / "support"), str(run.path)]
    command = [sys.executable, "-c", textwrap.dedent(CHILD)]
    processes = [
        subprocess.Popen([*command, str(number), *arguments], stderr=subprocess.PIPE, text=True) for number in range(2)
    ]
    try:
        lines = run.metrics / METRICS_FILE
        deadline = time.monotonic() + 200
        while not (lines.exists() and lines.read_bytes().count(b"\n") >= 3):
            assert all(process.poll() is None for process in processes), "training ended by itself"
            assert time.monotonic() < deadline, "training has not begun"
            time.sleep(0.1)
        processes[1].send_signal(signal.SIGTERM)
        errors = [process.communicate(timeout=60)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [os.EX_TEMPFAIL] * 2, errors
    (step,) = list_steps(run.checkpoints)
    assert fault(step_folder(run.checkpoints, step)) is None
    for error in errors:
        assert re.search(rf"error: stopped by SIGTERM at step {step}, which is saved", error)
