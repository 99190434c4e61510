"""Devices that are not there or that somebody else holds: one sentence, the same from every command, with process and command."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import pytest
from harness import WORK_FAILED, WRONG_INPUT, process_environment, run_process
from training_runs import EXPORT, TRAIN, Run, fails, losses

from data_pipeline.contract.errors import InputError, WorkError
from pretrain.devices import available as devices
from pretrain.devices.holders import DEVICE_NODES, existing
from pretrain.devices.smoke_test import check_devices

INSPECT, FILL = ("pretrain", "inspect", "run"), ("pretrain", "fill", "run")
IN_USE = (  # as libtpu says it (openxla/xla, tpu_initialize_util.cc) and JAX passes it on (jax/_src/xla_bridge.py)
    "Unable to initialize backend 'tpu': ABORTED: The TPU is already in use by process with pid {pid}. Not attempting to "
    "load libtpu.so in this process. (set JAX_PLATFORMS='' to automatically choose an available backend)"
)
BUSY = (
    "Unable to initialize backend 'tpu': FAILED_PRECONDITION: TPU initialization failed: open(/dev/vfio/0): Device or resource "
    "busy: Device or resource busy; Couldn't open iommu group /dev/vfio/0 (set JAX_PLATFORMS='' to automatically choose an "
    "available backend)"
)
HOLD = "import sys; file = open(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
LOCK = "import fcntl, sys; file = open(sys.argv[1], 'r+'); fcntl.lockf(file, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()"

Hold = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def hold() -> Iterator[Hold]:
    """Starts a process that opens a file and keeps it until the test ends."""
    holders: list[subprocess.Popen[str]] = []

    def start(file: Path, program: str = HOLD, **options: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", program, str(file)]
        holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options)
        holders.append(holder)
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        return holder

    yield start
    for holder in holders:
        assert holder.stdin is not None
        holder.stdin.close()
        holder.wait(timeout=30)


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that stands for /dev/accel0, on a machine without other accelerators."""
    monkeypatch.setattr(devices, "DEVICE_NODES", (f"{tmp_path}/dev/accel[0-9]*",))
    monkeypatch.setattr(devices, "LOCK_FILES", (f"{tmp_path}/libtpu_lockfile",))
    path = tmp_path / "dev" / "accel0"
    path.parent.mkdir()
    path.touch()
    return path


def jax_raises(patch: pytest.MonkeyPatch, message: str) -> None:
    def devices_of_jax(*_: object) -> list[jax.Device]:
        raise RuntimeError(message)

    patch.setattr(jax, "devices", devices_of_jax)


def held(holder: subprocess.Popen[str], file: Path) -> str:
    command = re.escape(" ".join(map(str, holder.args))[:200])  # type: ignore[arg-type]
    return rf"process {holder.pid} \({command}\) holds {re.escape(str(file))}"


INSTEAD = r": wait for it or stop it, or set JAX_PLATFORMS=cpu to compute without"


def test_every_command_names_the_process_that_holds_the_device(
    trained: Path, run_command_line: Run, never_failed: Path, node: Path, hold: Hold
) -> None:
    holder = hold(node)
    reason = (
        rf"Unable to initialize backend 'tpu': ABORTED: The TPU is already in use by process with pid {holder.pid}. "
        "Not attempting to load libtpu.so in this process"
    )
    message = rf"no device answers \({reason}\); {held(holder, node)}{INSTEAD}"
    with pytest.MonkeyPatch.context() as patch:
        jax_raises(patch, IN_USE.format(pid=holder.pid))
        for command in (TRAIN, (*EXPORT, "--step", 2), INSPECT, FILL):
            fails(run_command_line, command, message, WORK_FAILED)
        with pytest.raises(WorkError) as error:
            check_devices()
        assert re.fullmatch(message, str(error.value))
    for command in (TRAIN, (*EXPORT, "--step", 2), INSPECT, FILL):
        run_command_line(*command).success()
    assert losses(trained) == losses(never_failed / "run")


def sentence_of(patch: pytest.MonkeyPatch, message: str) -> str:
    jax_raises(patch, message)
    with pytest.raises(WorkError) as error:
        devices.available_devices()
    return str(error.value)


def test_a_busy_device_of_which_the_backend_names_no_process(
    monkeypatch: pytest.MonkeyPatch, node: Path, hold: Hold
) -> None:
    holder = hold(node)
    sentence = sentence_of(monkeypatch, BUSY)
    assert re.fullmatch(rf"no device answers \(.* Couldn't open .*\); {held(holder, node)}{INSTEAD}", sentence)
    assert "set JAX_PLATFORMS=''" not in sentence


def test_the_process_that_the_backend_names_is_told_with_its_command(
    monkeypatch: pytest.MonkeyPatch, node: Path, hold: Hold, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.touch()
    holder = hold(elsewhere)
    assert re.search(held(holder, Path("the TPU")) + INSTEAD, sentence_of(monkeypatch, IN_USE.format(pid=holder.pid)))
    gone = sentence_of(monkeypatch, IN_USE.format(pid=2**22 + 1))
    assert f"process {2**22 + 1} (its command cannot be seen) holds the TPU" in gone


def test_the_lock_of_libtpu_names_its_process(
    monkeypatch: pytest.MonkeyPatch, node: Path, hold: Hold, tmp_path: Path
) -> None:
    lock = tmp_path / "libtpu_lockfile"
    lock.touch()
    holder = hold(lock, LOCK)
    internal = (
        "Unable to initialize backend 'tpu': ABORTED: Internal error when accessing libtpu multi-process lockfile."
    )
    assert re.search(held(holder, lock) + INSTEAD, sentence_of(monkeypatch, internal))


AS_SOMEBODY = """
import os, sys
from pretrain.devices.holders import find_holders
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
holders, all_seen = find_holders(sys.argv[1:])
print(all_seen, [holder.pid for holder in holders])
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take another user's part")
def test_of_another_users_process_the_lock_is_seen_and_the_open_file_is_not(hold: Hold) -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to others
        os.chmod(folder, 0o755)
        node, lock = Path(folder, "accel0"), Path(folder, "libtpu_lockfile")
        for file in (node, lock):
            file.touch()
        hold(node)
        locker = hold(lock, LOCK)
        seen = subprocess.run(
            [sys.executable, "-c", AS_SOMEBODY, str(node), str(lock)],
            capture_output=True, text=True, check=True, env=process_environment(),
        )  # fmt: skip
        assert seen.stdout == f"False [{locker.pid}]\n"


def test_what_cannot_be_seen_is_said_with_the_command_that_shows_it(
    monkeypatch: pytest.MonkeyPatch, node: Path
) -> None:
    monkeypatch.setattr(devices, "find_holders", lambda _: ([], False))
    ending = f"no process of yours holds {node}; `sudo lsof -w {node}` shows those of other users"
    assert sentence_of(monkeypatch, BUSY).endswith(ending)
    monkeypatch.setattr(devices, "find_holders", lambda _: ([], True))
    ending = f"no process holds {node}; restart the machine, or set JAX_PLATFORMS=cpu to compute without"
    assert sentence_of(monkeypatch, BUSY).endswith(ending)
    not_installed = "Unable to initialize backend 'tpu': INTERNAL: Failed to open libtpu.so: libtpu.so: cannot open shared object file: No such file or directory"  # fmt: skip
    assert sentence_of(monkeypatch, not_installed).endswith(
        "; install JAX for the accelerator (./run_tpu.sh --install-only does)"
    )


def test_an_accelerator_is_not_quietly_left_idle(monkeypatch: pytest.MonkeyPatch, node: Path, hold: Hold) -> None:
    assert devices.available_devices()[0].platform == "cpu"  # JAX_PLATFORMS=cpu: it is meant
    monkeypatch.setattr(devices, "platforms_asked_for", lambda: "")
    mend = r"; install JAX for the accelerator \(.*\), or set JAX_PLATFORMS=cpu to compute on the CPU"
    with pytest.raises(WorkError, match=rf"this machine has {node}, but JAX found the CPU only{mend}"):
        devices.available_devices()
    holder = hold(node)
    with pytest.raises(WorkError, match=rf"the CPU only \({held(holder, node)}\){mend}"):
        devices.available_devices()
    node.unlink()
    assert devices.available_devices()[0].platform == "cpu"


def test_every_module_takes_its_devices_from_one_function() -> None:
    asks = re.compile(r"jax\.(local_)?devices\(|jax\.(local_)?device_count\(|jax\.default_backend\(")
    room = Path(devices.__file__).parents[1]
    found = {path.relative_to(room).as_posix() for path in room.rglob("*.py") if asks.search(path.read_text())}
    assert found == {"devices/available.py", "devices/smoke_test.py"}


NO_ACCELERATOR = r"this machine has no TPU and no NVIDIA GPU; set JAX_PLATFORMS=cpu to compute on the CPU"


@pytest.mark.skipif(bool(existing(DEVICE_NODES)), reason="this machine has an accelerator")
@pytest.mark.parametrize(
    ("platforms", "code", "message"),
    [
        ("tpu", WORK_FAILED, rf"no device answers \(Unable to initialize backend 'tpu': .*\); {NO_ACCELERATOR}"),
        (
            "nonsense",
            WRONG_INPUT,
            r"JAX_PLATFORMS=nonsense: the JAX installed here knows cpu, tpu.*, not nonsense; set JAX_PLATFORMS to one of these, "
            r"or install JAX for the accelerator \(.*\)",
        ),
    ],
)
def test_a_platform_without_devices_is_one_sentence_of_a_real_process(platforms: str, code: int, message: str) -> None:
    sentence = run_process("pretrain.devices.smoke_test", environment={"JAX_PLATFORMS": platforms}).sentence(code)
    assert re.fullmatch(message, sentence), sentence


@pytest.mark.skipif(bool(existing(DEVICE_NODES)), reason="this machine has an accelerator")
def test_train_says_of_missing_devices_what_the_device_check_says(
    prepared: Path, run_command_line: Run, never_failed: Path
) -> None:
    for command in (("pretrain.devices.smoke_test",), TRAIN):
        sentence = run_process(*command, environment={"JAX_PLATFORMS": "cuda"}).sentence(WORK_FAILED)
        assert sentence == f"no device answers (JAX found none for JAX_PLATFORMS=cuda); {NO_ACCELERATOR}"
    run_command_line(*TRAIN).success()
    assert losses(prepared) == losses(never_failed / "run")


def test_an_unknown_platform_is_the_users_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "platforms_asked_for", lambda: "cuda")
    jax_raises(monkeypatch, "Unable to initialize backend 'cuda': Backend 'cuda' is not in the list of known backends: ['cpu', 'tpu'].")  # fmt: skip
    with pytest.raises(InputError, match=r"JAX_PLATFORMS=cuda: the JAX installed here knows cpu, tpu, not cuda; .*"):
        devices.available_devices()
