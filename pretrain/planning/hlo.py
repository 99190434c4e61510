"""Optimised HLO as text, taken apart: computations, their instructions, and how often each runs in a step."""

import math
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

COMPUTATION = re.compile(r"(ENTRY )?%?([\w.\-]+) \(.*\{$")
INSTRUCTION = re.compile(r"\s+(ROOT )?%?([\w.\-]+) = ")
OPCODE = re.compile(r" ?([a-z][\w\-]*)\(")
OPERAND = re.compile(r"%([\w.\-]+)")
ARRAY = re.compile(r"\b(pred|token|[a-z]+\d+\w*)\[([\d,]*)\](?:\{([^}]*)\})?")
CALLED = re.compile(r"\b(?:body|calls|to_apply|true_computation|false_computation)=%?([\w.\-]+)")
BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
LOOP = re.compile(r"\bcondition=%?([\w.\-]+), body=%?([\w.\-]+)")
TRIP_COUNT = re.compile(r'"known_trip_count":\{"n":"(\d+)"')
INDEX = re.compile(r"\bindex=(\d+)")
INTEGER = re.compile(r"constant\((\d+)\)")
CHAIN = re.compile(r'chain_id="?\w')
CHAIN_START, CHAIN_END = 'custom_call_target="AsyncCollectiveStart"', 'custom_call_target="AsyncCollectiveDone"'
OP_NAME = re.compile(r'op_name="([^"]*)"')
DIGITS = re.compile(r"\d+")
TILE = re.compile(r"T\(([\d,]+)\)")


@dataclass(frozen=True)
class Array:
    """One array of an instruction's type.

    - `layout`: as XLA prints it, `1,0:T(8,128)S(1)`: minor to major, tiles, memory space; empty where it prints none.
    """

    dtype: str
    shape: tuple[int, ...]
    layout: str = ""

    @property
    def bits(self) -> int:
        """Of an element; XLA keeps a `pred` in 8."""
        digits = DIGITS.search(self.dtype)
        return int(digits[0]) if digits else 0 if self.dtype == "token" else 8

    @property
    def bytes(self) -> int:
        """Of its elements."""
        return -(-math.prod(self.shape) * self.bits // 8)

    @property
    def bytes_in_memory(self) -> int:
        """With the padding of its tiles, which the layout's minor dimensions fill."""
        order, _, rest = self.layout.partition(":")
        sizes = [self.shape[int(number)] for number in order.split(",") if number] or list(self.shape[::-1])
        if tile := TILE.search(rest):
            for place, side in enumerate(reversed(tile[1].split(","))):
                if place < len(sizes):
                    sizes[place] = -(-sizes[place] // int(side)) * int(side)
        return -(-math.prod(sizes) * self.bits // 8)

    @property
    def in_hbm(self) -> bool:
        """False for memory on the chip: XLA marks it S(1) and above; S(0), the main memory, is not printed."""
        return "S(" not in self.layout


@dataclass(frozen=True)
class Instruction:
    """One line of a computation.

    - `arrays`: of its type, a tuple's in their order, nested ones flattened.
    - `line`: the whole line, for attributes.
    """

    name: str
    opcode: str
    arrays: tuple[Array, ...]
    operands: tuple[str, ...]
    line: str
    root: bool

    @property
    def op_name(self) -> str:
        """The JAX operation it came from, `jit(train)/...`; empty where XLA made it."""
        found = OP_NAME.search(self.line)
        return found[1] if found else ""

    @property
    def called(self) -> tuple[str, ...]:
        """Computations that it runs each time it runs, a loop's body apart."""
        names = CALLED.findall(self.line) if self.opcode != "while" else []
        for branches in BRANCHES.findall(self.line):
            names += [branch.strip(" %") for branch in branches.split(",")]
        return tuple(names)


@dataclass(frozen=True)
class Computation:
    """Instructions in the order of the text."""

    name: str
    instructions: tuple[Instruction, ...]

    @cached_property
    def by_name(self) -> Mapping[str, Instruction]:
        """Its instructions under their names."""
        return {each.name: each for each in self.instructions}

    @cached_property
    def users(self) -> Mapping[str, tuple[Instruction, ...]]:
        """Name -> the instructions that take its result."""
        found: dict[str, list[Instruction]] = defaultdict(list)
        for each in self.instructions:
            for operand in dict.fromkeys(each.operands):
                found[operand].append(each)
        return {name: tuple(users) for name, users in found.items()}

    @cached_property
    def begins_chain(self) -> bool:
        """Whether a chain of fusions that runs a collective begins here (`continues`)."""
        return any(CHAIN_START in each.line for each in self.instructions)

    def continues(self, each: Instruction) -> bool:
        """Whether an instruction is a later piece of a collective that began in another computation.

        A TPU runs a collective beside other work as a chain of fusions: a first that starts it, some that move it on, and a last
        that waits for it. Each holds the whole instruction; XLA marks those of one chain with its `chain_id`.
        """
        return not self.begins_chain and (CHAIN.search(each.line) is not None or CHAIN_END in each.line)

    @cached_property
    def root(self) -> Instruction:
        """The instruction whose result is the computation's."""
        return next(each for each in self.instructions if each.root)

    @cached_property
    def parameters(self) -> tuple[Instruction, ...]:
        """Its parameters, in the order of the operands of who calls it."""
        found = [each for each in self.instructions if each.opcode == "parameter"]
        return tuple(sorted(found, key=lambda each: int(each.line.split(" parameter(")[1].split(")")[0])))


@dataclass(frozen=True)
class Module:
    """A program.

    - `turns`: computation -> how often it runs in a step, fused and applied ones included. A loop without a constant number of
      turns counts once, and each branch of a conditional counts in full.
    """

    computations: Mapping[str, Computation]
    entry: str
    turns: Mapping[str, int]


def read_module(program: str) -> Module:
    """Takes apart the text of `jax.stages.Compiled.as_text()`."""
    computations: dict[str, Computation] = {}
    entry, name, instructions = "", "", list[Instruction]()
    for line in program.splitlines():
        if line and not line[0].isspace() and (match := COMPUTATION.match(line)):
            name, instructions = match[2], []
            entry = name if match[1] else entry
        elif line == "}" and name:  # settings of kernels bring lines that begin with brackets
            computations[name] = Computation(name, tuple(instructions))
            name = ""
        elif name and (match := INSTRUCTION.match(line)):
            instructions.append(_instruction(line, match))
    return Module(computations, entry, _turns(computations, entry))


def arrays_in(text: str) -> tuple[Array, ...]:
    """The arrays of a type as XLA prints it."""
    return tuple(
        Array(dtype, tuple(int(size) for size in shape.split(",") if size), layout)
        for dtype, shape, layout in ARRAY.findall(text)
    )


def _instruction(line: str, match: re.Match[str]) -> Instruction:
    begin = match.end()
    end = _closing(line, begin) if line[begin] == "(" else line.index(" ", begin)
    opcode = OPCODE.match(line, end)
    assert opcode is not None, line
    operands = line[opcode.end() : _closing(line, opcode.end() - 1) - 1]
    return Instruction(
        name=match[2],
        opcode=opcode[1],
        arrays=arrays_in(line[begin:end]),
        operands=tuple(OPERAND.findall(operands)),
        line=line,
        root=bool(match[1]),
    )


def _closing(text: str, begin: int) -> int:
    """Behind the bracket that closes the one at `begin`."""
    depth = 0
    for place in range(begin, len(text)):
        depth += (text[place] == "(") - (text[place] == ")")
        if not depth:
            return place + 1
    return len(text)


def _turns(computations: Mapping[str, Computation], entry: str) -> dict[str, int]:
    turns: dict[str, int] = defaultdict(int)

    def visit(name: str, times: int) -> None:
        turns[name] += times
        computation = computations[name]
        for each in computation.instructions:
            if each.opcode == "while" and (loop := LOOP.search(each.line)):
                condition, body = computations[loop[1]], computations[loop[2]]
                visit(body.name, times * _trip_count(each, computation, condition, body))
            for called in each.called:
                if called in computations:
                    visit(called, times)

    visit(entry, 1)
    return dict(turns)


def _trip_count(loop: Instruction, computation: Computation, condition: Computation, body: Computation) -> int:
    """What XLA states, or what follows from `index < limit` in the condition, and from where the index begins and by what it grows."""
    if stated := TRIP_COUNT.search(loop.line):
        return int(stated[1])
    limits = [number for each in condition.instructions if (number := _integer(each, condition)) is not None]
    if not limits:
        return 1
    start, step = 0, 1
    index = next(
        (INDEX.search(each.line) for each in condition.instructions if each.opcode == "get-tuple-element"), None
    )
    if index and body.root.opcode == "tuple":
        place = int(index[1])
        grown = body.by_name[body.root.operands[place]]
        steps = [_integer(body.by_name[name], body) for name in grown.operands] if grown.opcode == "add" else []
        step = next((number for number in steps if number), step)
        initial = computation.by_name[loop.operands[0]]
        if initial.opcode == "tuple":
            start = _integer(computation.by_name[initial.operands[place]], computation) or start
    return max(1, -(-(max(limits) - start) // step))


def _integer(each: Instruction, computation: Computation) -> int | None:
    """The value of a constant, or of a copy of one."""
    while each.opcode in ("copy", "bitcast"):
        each = computation.by_name[each.operands[0]]
    number = INTEGER.search(each.line) if each.opcode == "constant" else None
    return int(number[1]) if number else None
