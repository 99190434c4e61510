"""Where our step's time goes: a profiler trace joined with the compiled program, which knows what each operation is and where it is from."""

import gzip
import json
import re
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import jax

from benchmarks.train_step.ours import Ours
from benchmarks.train_step.rounds import Setting
from data_pipeline.contract.errors import WorkError

STEPS = 5
WARM_UP = 3
LINES = 30
INSTRUCTION = re.compile(
    r'\s*(?:ROOT )?%?([\w.\-]+) = (.+?) ([\w\-]+)\(.*?metadata=\{op_name="([^"]*)"(?: stack_frame_id=(\d+))?'
)
TABLE_ROW = re.compile(r"(\d+) (.*)")
NUMBER = re.compile(r"(\w+)=(\d+)")


class Operation(NamedTuple):
    """An operation of the compiled step.

    - `milliseconds`: a step, summed over the threads that ran it; `calls`: a step.
    - `what`: the end of its JAX name, with its pass; `where`: the line of our code and the line that called it.
    """

    milliseconds: float
    calls: float
    name: str
    shape: str
    what: str
    where: str


def profile(setting: Setting, folder: Path) -> None:
    """Traces five steps into a folder (Perfetto and TensorBoard open it) and prints the longest operations and lines of code."""
    ours = Ours(setting)
    ours.train(WARM_UP)
    before = set(folder.rglob("*.trace.json.gz"))
    with jax.profiler.trace(str(folder)):
        began = time.perf_counter()
        ours.train(STEPS)
        seconds = time.perf_counter() - began
    written = set(folder.rglob("*.trace.json.gz")) - before
    if len(written) != 1:
        raise WorkError(f"{folder}: the profiler wrote {len(written)} traces instead of one; remove it and run again")
    [path] = written
    program = ours.compiled.as_text()
    if program is None:
        raise WorkError("this jax does not tell the text of a compiled program; use the version in constraints.txt")
    print(f"{seconds / STEPS * 1e3:,.0f} ms a step while traced")
    print_operations(read_trace(path, program, STEPS))
    print(f"\n{path}")


def read_trace(path: Path, program: str, steps: int) -> list[Operation]:
    """The operations of a trace, longest first.

    - `path`: a trace.json.gz of the profiler.
    - `program`: the compiled step's text.
    """
    micros: dict[str, float] = defaultdict(float)
    calls: dict[str, int] = defaultdict(int)
    for event in json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]:
        name = event.get("args", {}).get("hlo_op")
        if event.get("ph") == "X" and name:
            micros[name] += event["dur"]
            calls[name] += 1
    known = _instructions(program)
    unknown = ("", "other (not in the program's text)", "")
    found = (
        Operation(time / 1e3 / steps, calls[name] / steps, name, *known.get(name, unknown))
        for name, time in micros.items()
    )
    return sorted(found, reverse=True)


def print_operations(operations: Iterable[Operation]) -> None:
    """Two tables: by operation, and by line of our code."""
    operations = list(operations)
    total = sum(operation.milliseconds for operation in operations)
    by_line: dict[tuple[str, str], float] = defaultdict(float)
    for operation in operations:
        by_line[operation.where, operation.what.partition(" ")[0]] += operation.milliseconds
    print(
        f"{total:,.0f} ms of operations a step, summed over threads\n\nby operation: ms, share, calls, result, what, where"
    )
    for operation in operations[:LINES]:
        print(
            f"{operation.milliseconds:9.2f} {operation.milliseconds / total:6.1%} {operation.calls:5.1f}  "
            f"{operation.shape[:44]:44}  {operation.what[:44]:44}  {operation.where}  {operation.name}"
        )
    print("\nby line of code (an operation counts where its last part is from): ms, share, pass, where")
    for (where, direction), milliseconds in sorted(by_line.items(), key=lambda item: -item[1])[:LINES]:
        print(f"{milliseconds:9.2f} {milliseconds / total:6.1%}  {direction:8}  {where}")


def _instructions(program: str) -> dict[str, tuple[str, str, str]]:
    """Name -> shape, what, where."""
    frames = _frames(program)
    found = {}
    for text in program.splitlines():
        if match := INSTRUCTION.match(text):
            name, shape, _, origin, frame = match.groups()
            direction = "backward" if "transpose(" in origin else "forward" if "jvp(" in origin else "other"
            what = f"{direction} {'/'.join(origin.split('/')[-2:])}"
            found[name] = (re.sub(r"\{[^}]*\}", "", shape), what, frames.get(int(frame or 0), ""))
    return found


def _frames(program: str) -> Mapping[int, str]:
    """Stack frame id -> `file:line < file:line of the caller`, from the tables that stand at the head of a program's text."""
    tables: dict[str, dict[int, str]] = defaultdict(dict)
    table = ""
    for text in program.splitlines():
        if text in ("FileNames", "FunctionNames", "FileLocations", "StackFrames"):
            table = text
        elif table and (match := TABLE_ROW.fullmatch(text)):
            tables[table][int(match[1])] = match[2]
        elif text.startswith(("%", "ENTRY")):
            break
    places, parents = {}, {}
    for frame, text in tables["StackFrames"].items():
        numbers = _numbers(text)
        location = _numbers(tables["FileLocations"][numbers["file_location_id"]])
        file = Path(tables["FileNames"][location["file_name_id"]].strip('"')).name
        places[frame] = f"{file}:{location['line']}"
        parents[frame] = numbers["parent_frame_id"] - 1  # written as one more than the parent, 1 where there is none
    return {
        frame: f"{place} < {places[parents[frame]]}" if parents[frame] else place for frame, place in places.items()
    }


def _numbers(text: str) -> dict[str, int]:
    return {name: int(value) for name, value in NUMBER.findall(text)}
