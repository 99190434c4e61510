"""The idempotent shard task: run, commit, done-record.

A task writes into a folder of its own attempt, makes it durable, and commits by one atomic file, the done-record, which
names the attempt's files with size and SHA-256, the counts, and a fingerprint of inputs, parameters and code. Readers
trust done-records only, so a kill, a retry or two attempts at once neither lose nor double anything.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from data_pipeline.contract.errors import machine_error
from data_pipeline.contract.named_functions import module_of, name_of, named_function
from data_pipeline.contract.storage import InputFile, read_json, sha256_of_file, sync_file, sync_folder, write_json
from data_pipeline.tasks.cost import Cost, Meter
from data_pipeline.tasks.fingerprint import code_fingerprint
from data_pipeline.tasks.shared_files import SharedFiles


@dataclass(frozen=True)
class Output:
    """A file that a done task left: its path, size in bytes and SHA-256."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class ShardTask:
    """One unit of corpus work; plain data, so that any engine can ship it.

    - `stage`, `name`: together unique in a run.
    - `operation`: `module:function`; called as `function(task, folder) -> counts`, it writes files into `folder`.
    - `inputs`: what it reads, by role; source files and outputs of earlier tasks.
    - `parameters`: JSON-ready.
    - `limits`: JSON-ready; not in the fingerprint, for they decide whether the task succeeds and never what it leaves.
    - `code`: modules that the operation imports only because the parameters name them.
    - `root`: the run's corpus folder.
    - `bucket`: a folder on gs:// in which machines that do not share `root` find each other's files; empty where all do.
    """

    stage: str
    name: str
    operation: str
    root: str
    inputs: Mapping[str, tuple[InputFile | Output, ...]] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    bucket: str = ""
    code: tuple[str, ...] = ()

    @property
    def shared(self) -> SharedFiles | None:
        return SharedFiles(Path(self.root), self.bucket) if self.bucket else None

    @property
    def done_path(self) -> Path:
        return Path(self.root) / self.stage / "done" / f"{self.name}.json"

    @property
    def attempts(self) -> Path:
        return Path(self.root) / self.stage / "data"

    def fingerprint(self) -> str:
        """Hash of everything that the outputs depend on. Files of the run count by content, so that they may move with it."""
        inputs = {
            role: [[Path(file.path).name, file.sha256] if isinstance(file, Output) else asdict(file) for file in files]
            for role, files in self.inputs.items()
        }
        code = code_fingerprint((module_of(self.operation), *self.code))
        return _sha256([self.stage, self.name, self.operation, inputs, self.parameters, code])

    def request(self) -> str:
        """Hash of what was asked for, whatever it is made from."""
        named = self.operation.replace(
            "data_pipeline.corpus.stages.", "data_pipeline.stages."
        )  # as runs have it written down
        return _sha256([self.stage, self.name, named, self.parameters])


@dataclass(frozen=True)
class Done:
    """What a finished task left: its files by name, and its counts; and what the run that did it paid."""

    task: ShardTask
    outputs: Mapping[str, Output]
    counts: dict[str, Any]
    cost: Cost


Operation = Callable[[ShardTask, Path], dict[str, Any]]


@dataclass(frozen=True)
class Place:
    """Where the tasks of a run work: `root` and `bucket` as of a ShardTask."""

    root: str
    bucket: str = ""

    def task(
        self,
        stage: str,
        name: str,
        operation: Operation,
        inputs: Mapping[str, tuple[InputFile | Output, ...]],
        parameters: Mapping[str, Any],
        *,
        limits: Mapping[str, Any] | None = None,
        code: tuple[str, ...] = (),
    ) -> ShardTask:
        """A task of this run."""
        return ShardTask(
            stage, name, name_of(operation), self.root, inputs, parameters, limits or {}, self.bucket, code
        )


def outputs_of(done: Sequence[Done], ending: str = "") -> tuple[Output, ...]:
    """The files of tasks whose names end so, in order."""
    return tuple(output for task in done for name, output in task.outputs.items() if name.endswith(ending))


def _sha256(facts: list[Any]) -> str:
    text = json.dumps(facts, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()  # names on the disk may be no UTF-8


def finished(task: ShardTask) -> Done | None:
    """The task's done-record if it belongs to these inputs, parameters and code and its files are whole; else None.

    Files that another machine left in the bucket need not be here yet: `fetch` brings them.
    """
    record = read_json(task.done_path)
    if record is not None and record["fingerprint"] == task.fingerprint() and (done := _whole(task, record)):
        return done
    record = task.shared.record(task.done_path) if task.shared else None
    if record is None or record["fingerprint"] != task.fingerprint():
        return None
    write_json(task.done_path, record)
    return _done(task, record)


def done_with_other_inputs(task: ShardTask) -> Done | None:
    """What an earlier command made with these parameters, whatever its inputs and the code were, if its files are whole; else None."""
    record = read_json(task.done_path)
    return _whole(task, record) if record is not None and record.get("request") == task.request() else None


def _whole(task: ShardTask, record: dict[str, Any]) -> Done | None:
    done = _done(task, record)
    for output in done.outputs.values():
        path = Path(output.path)
        if not path.is_file() or path.stat().st_size != output.size:
            return None
    return done


def _done(task: ShardTask, record: dict[str, Any]) -> Done:
    folder = task.attempts / record["attempt"]
    outputs = {name: Output(str(folder / name), size, sha256) for name, (size, sha256) in record["outputs"].items()}
    return Done(task, outputs, record["counts"], Cost(**record["cost"]))


def fetch(task: ShardTask, outputs: Iterable[Output]) -> None:
    """Brings files that other machines left in the task's bucket here."""
    if task.shared:
        task.shared.fetch((Path(each.path), each.size, each.sha256, done_path_of(each)) for each in outputs)


def done_path_of(output: Output) -> Path:
    """Where the done-record of the task that left a file stands."""
    attempt = Path(output.path)
    while attempt.parent.name != "data":
        attempt = attempt.parent
    return attempt.parent.parent / "done" / f"{attempt.name.rpartition('.')[0]}.json"


def stage_costs(root: Path, stage: str) -> list[Cost]:
    """What each done task of a stage cost, in the run that did it."""
    records = (read_json(path) for path in sorted((root / stage / "done").glob("*.json")))
    return [Cost(**record["cost"]) for record in records]


def run_task(task: ShardTask) -> Done:
    """Runs a task unless it is done. Raises the operation's InputError or WorkError; a full disk is a WorkError."""
    done = finished(task)
    if done is not None:
        return done
    meter = Meter()
    attempt = f"{task.name}.{uuid.uuid4().hex[:8]}"
    folder = task.attempts / attempt
    try:
        folder.mkdir(parents=True)
        fetch(task, (file for files in task.inputs.values() for file in files if isinstance(file, Output)))
        operation: Operation = named_function(task.operation)
        counts = operation(task, folder)
        return _commit(task, folder, counts, meter)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        known = machine_error(error, getattr(error, "filename", None) or task.attempts.parent)
        if known is None:
            raise
        raise known from None


def _commit(task: ShardTask, folder: Path, counts: dict[str, Any], meter: Meter) -> Done:
    """Makes the attempt's files durable, then names them in the done-record: from here on they count."""
    outputs = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        sync_file(path)
        outputs[str(path.relative_to(folder))] = Output(str(path), path.stat().st_size, sha256_of_file(path))
    sync_folder(folder)
    sync_folder(folder.parent)
    cost = meter.read()
    record = {
        "fingerprint": task.fingerprint(),
        "request": task.request(),
        "attempt": folder.name,
        "outputs": {name: [output.size, output.sha256] for name, output in outputs.items()},
        # As any later run will see them: JSON turns tuples to lists and integer keys to strings.
        "counts": json.loads(json.dumps(counts)),
        "cost": asdict(cost),
    }
    earlier = finished(task)  # by another attempt, on a node that was thought lost
    if earlier is None and task.shared:
        record = task.shared.commit(folder, outputs, task.done_path, record)
    if earlier or record["attempt"] != folder.name:
        shutil.rmtree(folder)
    if earlier:
        return earlier
    write_json(task.done_path, record)
    return _done(task, record)


def remove_leftovers(root: Path, stage: str, tasks: list[ShardTask]) -> None:
    """Deletes attempts and done-records of a stage that no task of this plan owns. Only the holder of the run's lock may."""
    names = {task.name for task in tasks}
    kept = set()
    for path in (root / stage / "done").glob("*.json"):
        if path.stem in names:
            kept.add(read_json(path)["attempt"])
        else:
            path.unlink()
    for path in (root / stage / "data").glob("*"):
        if path.name not in kept:
            shutil.rmtree(path) if path.is_dir() else os.unlink(path)
