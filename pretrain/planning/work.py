"""What a compiled step multiplies, and moves to and from its device's memory, instruction by instruction, read from its optimised HLO."""

import math
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from pretrain.planning.hlo import Array, Computation, Instruction, Module

WINDOW = re.compile(r"\bwindow=\{([^}]*)\}")
LABELS = re.compile(r"\bdim_labels=(\w+)_(\w+)->(\w+)")
CONTRACTED = re.compile(r"\blhs_contracting_dims=\{([\d,]*)\}")
GROUPS = re.compile(r"\bbatch_group_count=(\d+)")
VIEWS = frozenset({"bitcast", "get-tuple-element", "tuple", "opt-barrier", "optimization-barrier", "add-dependency"})
"""Other names for the same bytes."""
NOTHING = VIEWS | {
    "parameter",
    "constant",
    "after-all",
    "partition-id",
    "replica-id",
    "domain",
    "while",
    "conditional",
    "call",
}
"""Instructions that move nothing themselves; what they call is counted with its own turns."""
UPDATES = {"dynamic-update-slice": 1, "scatter": 2}
"""Instructions that XLA runs in place in their first operand, and which operand holds what they write there."""
SLICES = frozenset({"slice", "dynamic-slice", "gather"})
"""Instructions that read no more of their first operand than they return."""


@dataclass(frozen=True)
class Work:
    """What one instruction does in a step, on one device, over all its turns.

    - `kind`: its opcode, of a fusion the fusion's kind; `op_name`: the JAX operation that it came from.
    - `flops`: of the matrix products and convolutions in it; 0 of a kernel.
    - `bytes`: read and written in the device's main memory; `touched`: those in memory on the chip, too, as XLA counts.
    - `beside`: whether it runs beside the instructions that follow it.
    """

    name: str
    kind: str
    op_name: str
    turns: int
    flops: int
    bytes: int
    touched: int
    beside: bool
    results: tuple[Array, ...]

    @property
    def kernel(self) -> bool:
        """Whether it is a Pallas or cuDNN kernel, whose products the text does not tell."""
        return self.kind == "custom-call"


def work_of(module: Module) -> list[Work]:
    """All instructions of a program that multiply or move something, in the program's order."""
    fused = set(_inner(module))
    found = []
    for name, turns in module.turns.items():
        if name in fused:
            continue
        computation = module.computations[name]
        for each in computation.instructions:
            flops = turns * _flops(each, computation, module)
            moved = list(_moved(each, computation, module))
            touched = turns * sum(size for _, size in moved)
            in_memory = turns * sum(size for array, size in moved if array.in_hbm)
            if flops or touched:
                beside = each.opcode.endswith("-start")
                kind = f"fusion {_fusion_kind(each)}" if each.opcode == "fusion" else each.opcode
                found.append(Work(each.name, kind, each.op_name, turns, flops, in_memory, touched, beside, each.arrays))
    return found


def totals_by(works: Iterable[Work], key: str) -> dict[str, int]:
    """Bytes in main memory by `kind` or `op_name`, most first."""
    found: dict[str, int] = defaultdict(int)
    for each in works:
        found[getattr(each, key)] += each.bytes
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def _inner(module: Module) -> Iterable[str]:
    """Computations whose results do not reach memory: those of fusions, and what is applied to pairs of elements."""
    for computation in module.computations.values():
        for each in computation.instructions:
            if each.opcode not in ("call", "conditional", "while"):
                yield from each.called


def _fusion_kind(fusion: Instruction) -> str:
    return fusion.line.partition("kind=")[2].partition(",")[0]


def _moved(each: Instruction, computation: Computation, module: Module) -> Iterable[tuple[Array, int]]:
    """Array and the bytes of it that an instruction reads or writes."""
    if each.opcode in NOTHING or each.opcode.endswith("-done") or "AllocateBuffer" in each.line:
        return
    operands = [computation.by_name[name].arrays for name in each.operands]
    if each.opcode == "fusion":
        called = module.computations[each.called[0]]
        for parameter, arrays in zip(called.parameters, operands, strict=True):
            if len(arrays) == 1:
                yield arrays[0], _read(called, parameter, module)
        yield from zip(each.arrays, _written(called, called.root, module), strict=True)
    elif each.opcode.removesuffix("-start") in SLICES and each.opcode.endswith("-start"):
        source, result = each.arrays[:2]
        yield from ((array, result.bytes_in_memory) for array in (source, result))
    elif each.opcode.endswith("-start"):
        # The type holds operands, results and the device's scalars; an all-reduce's, results alone.
        yield from ((array, array.bytes_in_memory) for array in each.arrays if array.shape)
    elif each.opcode in SLICES:
        result = each.arrays[0]
        yield operands[0][0], result.bytes_in_memory
        yield result, result.bytes_in_memory
        for arrays in operands[1:]:
            yield from ((array, array.bytes_in_memory) for array in arrays)
    elif each.opcode in UPDATES:
        for arrays in operands[1:]:
            yield from ((array, array.bytes_in_memory) for array in arrays)
        yield each.arrays[0], _update(computation, each)
    else:
        for arrays in (*operands, each.arrays):
            yield from ((array, array.bytes_in_memory) for array in arrays)


def _read(computation: Computation, value: Instruction, module: Module) -> int:
    """Bytes that a fused computation reads of a value: all, unless it takes slices of it alone, or writes into it in place."""
    everything = sum(array.bytes_in_memory for array in value.arrays)
    size = 0
    for user in computation.users.get(value.name, ()):
        at = [place for place, name in enumerate(user.operands) if name == value.name]
        if user.opcode in VIEWS or _is_view(user, module):
            size += _read(computation, user, module)
        elif user.opcode in SLICES and at == [0]:
            size += user.arrays[0].bytes_in_memory
        elif user.opcode in UPDATES and at == [0] and _is_result(computation, user):
            size += _update(computation, user) if user.opcode == "scatter" else 0
        elif computation.continues(user):
            continue
        elif user.opcode == "fusion":
            called = module.computations[user.called[0]]
            size += sum(_read(called, called.parameters[place], module) for place in at)
        else:
            return everything
    return min(size, everything)


def _written(computation: Computation, value: Instruction, module: Module) -> list[int]:
    """Bytes that a fused computation writes of each array of its result."""
    if value.opcode == "tuple":
        return [size for name in value.operands for size in _written(computation, computation.by_name[name], module)]
    if value.opcode == "bitcast" or _is_view(value, module):
        return _written(computation, computation.by_name[value.operands[0]], module)
    if value.opcode == "parameter" or computation.continues(value):  # passed on, or written by the first of a chain
        return [0] * len(value.arrays)
    if value.opcode in UPDATES:
        return [min(value.arrays[0].bytes_in_memory, _update(computation, value))]
    if value.opcode == "fusion":
        called = module.computations[value.called[0]]
        return _written(called, called.root, module)
    return [array.bytes_in_memory for array in value.arrays]


def _update(computation: Computation, value: Instruction) -> int:
    """Bytes that an update in place writes."""
    return computation.by_name[value.operands[UPDATES[value.opcode]]].arrays[0].bytes_in_memory


def _is_view(value: Instruction, module: Module) -> bool:
    """Whether a fusion is nothing but another name for its operand: XLA wraps bitcasts of a product's operands so."""
    if value.opcode != "fusion" or len(value.operands) != 1:
        return False
    inner = module.computations[value.called[0]].instructions
    return all(each.opcode in ("parameter", "bitcast") for each in inner)


def _is_result(computation: Computation, value: Instruction) -> bool:
    """Whether a value is the computation's result, or part of it, unchanged."""
    users = computation.users.get(value.name, ())
    return value.root or (bool(users) and all(user.opcode in VIEWS and _is_result(computation, user) for user in users))


def _flops(each: Instruction, computation: Computation, module: Module) -> int:
    """Of the products in an instruction, those of the computations that it calls included."""
    if each.opcode == "dot":
        left = computation.by_name[each.operands[0]].arrays[0].shape
        contracted = CONTRACTED.search(each.line)
        dimensions = [int(number) for number in contracted[1].split(",") if number] if contracted else []
        return 2 * math.prod(each.arrays[0].shape) * math.prod(left[number] for number in dimensions)
    if each.opcode == "convolution":
        return _convolution_flops(each, computation)
    if each.opcode in ("call", "conditional", "while"):  # their computations are in the module's turns
        return 0
    return sum(
        _flops(inner, module.computations[name], module)
        for name in each.called
        for inner in module.computations[name].instructions
    )


def _convolution_flops(each: Instruction, computation: Computation) -> int:
    """2 for each pair of elements that meet; XLA writes batched products as windows of which most places are padding or holes."""
    image, kernel = (computation.by_name[name].arrays[0].shape for name in each.operands)
    labels = LABELS.search(each.line)
    assert labels is not None, each.line
    result = each.arrays[0].shape
    settings = WINDOW.search(each.line)
    window = dict(pair.split("=") for pair in settings[1].split()) if settings else {}
    groups = GROUPS.search(each.line)
    flops = 2 * result[labels[3].index("b")] * result[labels[3].index("f")] * kernel[labels[2].index("i")]
    for number in range(len(labels[1]) - 2):
        places = [labels[side].index(str(number)) for side in (1, 2, 3)]
        stride, hole, dilation = (
            int(window[name].split("x")[number]) if name in window else 1
            for name in ("stride", "lhs_dilate", "rhs_dilate")
        )
        before = int(window["pad"].split("x")[number].split("_")[0]) if "pad" in window else 0
        flops *= _meeting(image[places[0]], kernel[places[1]], result[places[2]], stride, before, hole, dilation)
    return flops // (int(groups[1]) if groups else 1)


@cache
def _meeting(image: int, kernel: int, result: int, stride: int, before: int, hole: int, dilation: int) -> int:
    """Pairs of a place in the result and one in the kernel that meet an element of the image."""
    reach = (image - 1) * hole
    return sum(
        1
        for place in range(result)
        for tap in range(kernel)
        if 0 <= (at := place * stride - before + tap * dilation) <= reach and at % hole == 0
    )
