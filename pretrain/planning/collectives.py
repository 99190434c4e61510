"""What the devices send each other in a step, read from its optimised HLO."""

import math
import re
from collections import defaultdict
from dataclasses import dataclass

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
COMPUTATION = re.compile(r"(?:ENTRY )?%?([\w.\-]+) \(.*\{$")
COLLECTIVE = re.compile(rf"= (.+?) ({'|'.join(KINDS)})(-start)?\(")
CALLED = re.compile(r"(?:body|calls|to_apply|true_computation|false_computation)=%?([\w.\-]+)")
BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
LOOP = re.compile(r" while\(.*condition=%?([\w.\-]+), body=%?([\w.\-]+)")
CONSTANT = re.compile(r"= s32\[\]\S* constant\((\d+)\)")
ARRAY = re.compile(r"\b(pred|[a-z]+\d+)\[([\d,]*)\]")


@dataclass(frozen=True)
class Traffic:
    """One kind of collective in one element type over a step.

    - `calls`: how often; `bytes`: of one device's results, summed over the calls.
    """

    kind: str
    dtype: str
    calls: int
    bytes: int


def traffic(program: str) -> list[Traffic]:
    """The collectives of a step, most bytes first; those in a loop count once for each turn.

    - `program`: optimised HLO as text. A loop's turns are the constant that its condition compares with, as XLA leaves a
      `lax.scan`; a loop without one counts once.
    """
    lines = _computations(program)
    turns = _turns(lines, next(name for name in lines if name.startswith("ENTRY ")))
    calls: dict[tuple[str, str], int] = defaultdict(int)
    sizes: dict[tuple[str, str], int] = defaultdict(int)
    for name, times in turns.items():
        for line in lines[name]:
            if match := COLLECTIVE.search(line):
                results, kind, started = match.groups()
                arrays = [(dtype, shape) for dtype, shape in ARRAY.findall(results)]
                if started and kind != "all-reduce":  # the type holds operands, results and scalars of the device's
                    arrays = [(dtype, shape) for dtype, shape in arrays if shape]
                    arrays = arrays[len(arrays) // 2 :]
                for dtype in {dtype for dtype, _ in arrays}:
                    calls[kind, dtype] += times
                for dtype, shape in arrays:
                    elements = math.prod(map(int, filter(None, shape.split(","))))
                    sizes[kind, dtype] += times * elements * _width(dtype)
    found = [Traffic(kind, dtype, calls[kind, dtype], size) for (kind, dtype), size in sizes.items()]
    return sorted(found, key=lambda each: (-each.bytes, each.kind, each.dtype))


def _computations(program: str) -> dict[str, list[str]]:
    """Name -> lines; the entry's name begins with "ENTRY "."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in program.splitlines():
        if line and not line.startswith(" ") and (match := COMPUTATION.match(line)):
            name = f"ENTRY {match[1]}" if line.startswith("ENTRY") else match[1]
            found[name] = []
        elif name:
            found[name].append(line)
    return found


def _turns(lines: dict[str, list[str]], entry: str) -> dict[str, int]:
    """How often each computation runs in a step, reached from the entry."""
    turns: dict[str, int] = defaultdict(int)

    def visit(name: str, times: int) -> None:
        turns[name] += times
        for line in lines[name]:
            loop = LOOP.search(line)
            if loop:
                constants = [int(number) for text in lines[loop[1]] for number in CONSTANT.findall(text)]
                visit(loop[2], times * (max(constants) if constants else 1))
                continue
            called = CALLED.findall(line)
            for branches in BRANCHES.findall(line):
                called += [branch.strip(" %") for branch in branches.split(",")]
            for each in called:
                if each in lines:
                    visit(each, times)

    visit(entry, 1)
    return turns


def _width(dtype: str) -> int:
    """Bytes of an element."""
    digits = re.sub(r"\D", "", dtype)
    return max(1, int(digits) // 8) if digits else 1
