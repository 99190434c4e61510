"""What every test of a mistake shares: running a command, reading its one sentence, a disk of a chosen size, a tiny corpus."""

import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
WRONG_INPUT, WORK_FAILED = 2, 1


@dataclass(frozen=True)
class Ran:
    """A command that ended: its exit code and what it printed."""

    code: int
    out: str
    error: str

    def sentence(self, code: int) -> str:
        """The one sentence of a command that failed as it should: this exit code, a single `error:` line, no traceback."""
        assert "Traceback" not in self.out + self.error, self.error
        lines = [line for line in (self.out + self.error).splitlines() if "error:" in line]
        assert len(lines) == 1, f"{self.out}{self.error}"
        assert lines[0].startswith("error: "), lines[0]
        assert self.error.splitlines()[-1] == lines[0], f"something follows the sentence: {self.error}"
        assert self.code == code, f"exit code {self.code}: {lines[0]}"
        return lines[0].removeprefix("error: ")

    def success(self) -> "Ran":
        """Itself, if the command did its work."""
        assert self.code == 0, f"exit code {self.code}: {self.out}{self.error}"
        return self


def nothing() -> None:
    """Brings no mistake about, and mends none: it stands in the command."""


@dataclass(frozen=True)
class Mistake:
    """Something that a person or a machine gets wrong, and its mend.

    - `message`: the whole sentence after `error: `, as a regular expression for `re.fullmatch`.
    - `make`: brings the mistake about; the working directory is the workplace.
    - `mend`: undoes it; None writes the workplace anew.
    - `code`: the exit code.
    - `flags`: what follows the recipe on the command line; `mended_flags`: after the mend, where the mistake stands there.
    - `early`: it is found before any work: no corpus folder is there afterwards.
    """

    name: str
    message: str
    make: Callable[[], object] = nothing
    mend: Callable[[], object] | None = None
    code: int = WRONG_INPUT
    flags: tuple[object, ...] = ()
    mended_flags: tuple[object, ...] | None = None
    early: bool = False


def run_process(
    *arguments: object, cwd: Path | None = None, environment: Mapping[str, str] | None = None, timeout: float = 300
) -> Ran:
    """`python -m ARGUMENTS` in a process of its own; `environment` is added to this one's."""
    done = subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        capture_output=True, text=True, timeout=timeout, cwd=cwd, env=process_environment(environment),
    )  # fmt: skip
    return Ran(done.returncode, done.stdout, done.stderr)


def prepare_command(*flags: object, run_dir: Path | str = "run", workers: int = 1) -> tuple[object, ...]:
    """The words after `python -m` that prepare the tiny recipe in the working directory."""
    return ("data_pipeline", "prepare", RECIPE_FILE, "--run-dir", run_dir, "--workers", workers, *flags)


def process_environment(added: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a command: this one's, with the checkout importable from any folder."""
    environment = {**os.environ, "COLUMNS": "200", **(added or {})}
    paths = [str(ROOT), environment.get("PYTHONPATH", "")]
    if added and "PYTHONPATH" in added:
        paths.reverse()  # what a test puts before the checkout stays there
    return {**environment, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


class SmallDisk:
    """A real tmpfs of a chosen size, in a mount namespace of its own: it is gone when the holder is, whatever happens.

    `path` leads into it from here. Raises OSError where this machine allows neither root nor user namespaces to mount.
    """

    def __init__(self, mount_point: Path, size: str) -> None:
        self._mount_point = mount_point
        mount_point.mkdir(parents=True)
        as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
        script = 'mount -t tmpfs -o size="$1",mode=755 tmpfs "$2" && echo mounted && exec cat'
        command = ["unshare", "--mount", *as_root, "sh", "-c", script, "sh", size, str(mount_point)]
        self._holder = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self._holder.stdout is not None
        answer = self._holder.stdout.readline()
        if answer != "mounted\n":
            self.close()
            raise OSError(f"no tmpfs can be mounted here ({answer.strip()}); run as root, or allow user namespaces")
        self.path = Path(f"/proc/{self._holder.pid}/root{mount_point.resolve()}")

    def resize(self, size: str) -> None:
        """Gives the disk another size, as `16m` or `200k`; what is on it stays."""
        self._remount(f"size={size}")

    def read_only(self, yes: bool) -> None:
        """Lets nobody write, not even root; or lets them again."""
        self._remount("ro" if yes else "rw")

    def free_bytes(self) -> int:
        state = os.statvfs(self.path)
        return state.f_bavail * state.f_frsize

    def _remount(self, option: str) -> None:
        as_root = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        enter = ["nsenter", "--target", str(self._holder.pid), "--mount", *as_root]
        # With source and target, or mount adds the present options, of which a user namespace may not set all again.
        mount = ["mount", "-t", "tmpfs", "-o", f"remount,{option}", "tmpfs", str(self._mount_point)]
        subprocess.run([*enter, *mount], check=True)

    def close(self) -> None:
        assert self._holder.stdin is not None
        with suppress(BrokenPipeError):
            self._holder.stdin.close()
        self._holder.wait(timeout=30)


def snapshot(folder: Path) -> dict[str, str]:
    """Every file below a folder by the hash of its content; nothing where the folder is missing."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def assert_only_whole(run_dir: Path, *, ran_before: bool = False) -> None:
    """What a later run would trust is whole: no temporary file, no damaged output, no attempt without its done-record.

    - `ran_before`: attempts of an earlier run may wait there for the end of their stage.
    """
    assert [path for path in run_dir.rglob(".*") if path.suffix != ".lock" and path.name != ".lock"] == []
    for stage in (run_dir / "corpus").glob("*/"):
        attempts = set()
        for path in (stage / "done").glob("*"):
            record = json.loads(path.read_bytes())
            attempts.add(record["attempt"])
            outputs = {name: digest for name, (_, digest) in record["outputs"].items()}
            assert snapshot(stage / "data" / record["attempt"]) == outputs, path
        assert ran_before or {path.name for path in (stage / "data").glob("*")} <= attempts, stage


def results(run_dir: Path) -> dict[str, str]:
    """What training and report read of a prepared run folder, by content."""
    found = {
        f"{part}/{name}": digest
        for part in ("vocabulary", "examples")
        for name, digest in snapshot(run_dir / part).items()
    }
    report = run_dir / "corpus" / "report.json"
    return {**found, "corpus/report.json": hashlib.sha256(report.read_bytes()).hexdigest()}


NOUNS = ["할머니", "동생", "선생님", "이웃", "막내", "회장", "요리사", "기사", "교수", "시인"]
PLACES = ["시장", "도서관", "운동장", "바닷가", "옥상", "골목", "정류장", "부엌", "공원", "강가"]
THINGS = ["사과", "편지", "자전거", "찌개", "사진", "우산", "공책", "풍선", "수건", "모자"]
VERBS = ["샀습니다", "찾았어요", "고쳤다", "놓쳤습니다", "주었다", "보았어요", "들고 왔다"]


def documents(number: int, seed: int = 0) -> list[str]:
    """Short Korean texts of three sentences each, all different."""
    draw = random.Random(seed)
    return [
        " ".join(
            f"{draw.choice(NOUNS)}가 {draw.choice(PLACES)}에서 {draw.choice(THINGS)}를 {draw.randrange(2, 99)}번 {draw.choice(VERBS)}."
            for _ in range(3)
        )
        for _ in range(number)
    ]


def write_json_lines(path: Path, texts: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts), encoding="utf-8")
    return path


RECIPE = """from data_pipeline.recipe import *
from pretrain.models.bert.config import BertConfig
from pretrain.recipe import *

data = DataRecipe(
    sources=(Source("jsonl", "corpus/*.jsonl"),),
    evaluation_fraction=0.1,
    length=LengthFilter(min_chars=5),
    vocabulary=Vocabulary(size=220, unused=3, character_coverage=1.0, min_count=1),
    examples=Packed(length=64),
)
training = TrainingRecipe(
    model=BertConfig(2, 32, 2, 64, max_position_embeddings=64, hidden_dropout_prob=0.0),
    optimizer=Optimizer(learning_rate=1e-3, warmup_steps=2),
    checkpoints=Checkpoints(every_steps=2, every_minutes=0),
    evaluation=Evaluation(every_steps=4, rows=16),
    global_batch_size=8,
    max_steps=4,
    compute_dtype="float32",
    log_every_steps=1,
)
"""
"""A recipe small enough to prepare and train in seconds; for `RECIPE_FILE` in a folder made by `write_workplace`."""
RECIPE_FILE = "tiny.py"


def write_workplace(folder: Path) -> Path:
    """A folder with `tiny.py`, and its corpus of two files in `corpus/`; commands run here."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RECIPE_FILE).write_text(RECIPE, encoding="utf-8")
    for number in range(2):
        write_json_lines(folder / "corpus" / f"part-{number}.jsonl", documents(24, seed=number))
    return folder
