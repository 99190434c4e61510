"""A world for run_tpu.sh without TPUs: gcloud, ssh and scp on the PATH that run everything here, in a folder a worker."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FAKES = ROOT / "tests" / "pretrain" / "launch" / "fakes"
QUICK = {
    "POLL_SECONDS": "0.2",
    "OTHERS_SECONDS": "1",
    "STATE_SECONDS": "0.2",
    "REFUSED_SECONDS": "0.2",
    "WATCH_SECONDS": "0.5",
    "RECORDS_SECONDS": "0.2",
    "NEEDED_GB": "0",
    "STOP_SECONDS": "20",
    "UNATTENDED_FOLDER": "korean-pretrain",  # below a worker's home
    "RESTART_SECONDS": "0.2",
    "LOG_SECONDS": "0.2",
}
STORE = "gs://bucket/runs"
CHECKOUT = (
    "run_tpu.sh",
    "setup.cfg",
    "pyproject.toml",
    "constraints.txt",
    "README.md",
    "LICENSE",
    "configs",
    "pretrain/launch",
)


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    error: str

    def sentence(self, code: int) -> str:
        """What a command that failed with this code said last after `error: `."""
        assert self.code == code, f"exit code {self.code}: {self.out}{self.error}"
        last = [line for line in self.error.splitlines() if line.startswith("error: ")]
        assert last, self.error
        return last[-1].removeprefix("error: ")


class World:
    """Slices, hosts and buckets below a folder; `script` is what happens (see fakes/gcloud)."""

    def __init__(self, folder: Path) -> None:
        self.fake, self.home, self.checkout = folder / "fake", folder / "home", folder / "checkout"
        binaries = self.fake / "image" / "korean-pretrain" / ".venv" / "bin"
        binaries.mkdir(parents=True)
        self.home.mkdir()
        (self.checkout / "data_pipeline").mkdir(parents=True)
        for name in CHECKOUT:
            source = ROOT / name
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, self.checkout / name)
        shutil.copy(FAKES / "python", binaries / "python")
        self.script()
        self.steps(3)

    def script(self, **what_happens: object) -> None:
        (self.fake / "script.json").write_text(json.dumps(what_happens))

    def steps(self, number: int) -> None:
        (self.fake / "STEPS").write_text(str(number))

    def hosts(self, number: int, network: str = "10.0.0.") -> Path:
        """Machines that are there already, and the file that names them."""
        names = [f"{network}{worker + 1}" for worker in range(number)]
        for name in names:
            shutil.copytree(self.fake / "image", self.fake / "hosts" / name, symlinks=True)
        path = self.home / "hosts.txt"
        path.write_text("# worker 0 first\n" + "".join(f"tpu@{name}\n" for name in names))
        return path

    def git(self, *arguments: str) -> None:
        """A git command in the checkout, which is no repository before `git("init")`."""
        who = ("-c", "user.name=t", "-c", "user.email=t@t")
        subprocess.run(["git", "-C", self.checkout, *who, *arguments], check=True, capture_output=True)

    def venv(self) -> None:
        """Gives the checkout a .venv/, libtpu included."""
        libtpu = self.checkout / ".venv" / "lib" / "python3.11" / "site-packages" / "libtpu" / "libtpu.so"
        for path in (libtpu, self.checkout / ".venv" / "bin" / "python"):
            path.parent.mkdir(parents=True)
        libtpu.touch()
        shutil.copy(FAKES / "python", self.checkout / ".venv" / "bin")

    def booked(self) -> list[str]:
        """The zones in which a slice is booked, by the other side's word."""
        return sorted(path.stem for path in (self.fake / "slices").glob("*.json"))

    def worker(self, number: int) -> Path:
        """The checkout on a worker."""
        return self.fake / "hosts" / f"10.0.0.{number + 1}" / "korean-pretrain"

    def bucket(self) -> Path:
        return self.fake / "buckets" / "bucket" / "runs"

    def environment(self, **more: str) -> dict[str, str]:
        return {
            **os.environ,
            **QUICK,
            "FAKE": str(self.fake),
            "PATH": f"{FAKES}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            **more,
        }

    def run(self, *arguments: object, **environment: str) -> Said:
        """run_tpu.sh to its end."""
        done = subprocess.run(
            [self.checkout / "run_tpu.sh", *map(str, arguments)],
            cwd=self.home, env=self.environment(**environment), capture_output=True, text=True, timeout=240,
        )  # fmt: skip
        return Said(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def running(self, *arguments: object, **environment: str) -> Iterator["subprocess.Popen[str]"]:
        """run_tpu.sh while the block runs; then its laptop is closed."""
        with subprocess.Popen(
            [self.checkout / "run_tpu.sh", *map(str, arguments)],
            cwd=self.home, env=self.environment(**environment), text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            # As from a terminal: a suite in the background ignores it, and no shell can trap what it was begun ignoring.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        ) as process:  # fmt: skip
            try:
                yield process
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def calls(self) -> list[str]:
        """Every call of gcloud, ssh and scp so far."""
        path = self.fake / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def wait_for(self, what: Path, seconds: float = 20, of: "subprocess.Popen[str] | None" = None) -> None:
        """Returns when a file is there; fails at once where the process that should bring it ended."""
        end = time.monotonic() + seconds
        while not what.exists():
            assert of is None or of.poll() is None, f"{what} never came: {self.logs()}"
            assert time.monotonic() < end, f"{what} never came: {self.logs()}"
            time.sleep(0.05)

    def logs(self) -> str:
        return "".join(path.read_text() for path in self.fake.glob("hosts/*/korean-pretrain/runs/.host/log"))

    def close(self) -> None:
        """Ends what still runs on the workers."""
        boots = self.fake / "boots"
        for pid in boots.read_text().split() if boots.exists() else ():
            with suppress(ProcessLookupError):
                os.killpg(int(pid), signal.SIGKILL)
        for path in self.fake.glob("hosts/*/korean-pretrain/runs/.host/pid"):
            with suppress(ProcessLookupError, ValueError):
                os.killpg(int(path.read_text()), signal.SIGKILL)


PARTS = "source common.sh; source machine.sh; source install.sh; source store.sh; "


def shell(world: World, script: str, **environment: str) -> Said:
    """A script in the home of a world, with the parts of the launcher that hosts have."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"cd {ROOT}/pretrain/launch; {PARTS} cd {world.home}; {script}"],
        env=world.environment(root=str(world.home), **environment), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return Said(done.returncode, done.stdout, done.stderr)
