"""What the devices send each other in a step, read from its optimised HLO."""

import re
from collections import defaultdict
from dataclasses import dataclass

from pretrain.planning.hlo import Array, Instruction, Module

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
COLLECTIVES = frozenset(KINDS) | {f"{kind}-start" for kind in KINDS}
GROUPS = re.compile(r"replica_groups=(?:\{(\{[\d,]*\})|\[\d+,(\d+)\]|mesh\[([^\]]*)\] \{([^}]*)\})")
AXIS = re.compile(r"'(\w+)'(?:=(\d+))?")


@dataclass(frozen=True)
class Traffic:
    """One kind of collective in one element type over a step.

    - `calls`: how often; `bytes`: of one device's results, summed over the calls.
    - `sent`: bytes that leave one chip at least, if its devices put together what they have.
    """

    kind: str
    dtype: str
    calls: int
    bytes: int
    sent: int


def traffic(module: Module, devices_per_chip: int = 1) -> list[Traffic]:
    """The collectives of a step, most bytes first; those in a loop count once for each turn, one in pieces once."""
    calls: dict[tuple[str, str], int] = defaultdict(int)
    sizes: dict[tuple[str, str], int] = defaultdict(int)
    sent: dict[tuple[str, str], float] = defaultdict(float)
    for name, turns in module.turns.items():
        computation = module.computations[name]
        for each in computation.instructions:
            if each.opcode not in COLLECTIVES or computation.continues(each):
                continue
            kind = each.opcode.removesuffix("-start")
            arrays = _results(each)
            for dtype in {array.dtype for array in arrays}:
                calls[kind, dtype] += turns
            for array in arrays:
                sizes[kind, array.dtype] += turns * array.bytes
                sent[kind, array.dtype] += turns * array.bytes * _share_sent(kind, _group_size(each), devices_per_chip)
    found = [Traffic(*key, calls[key], size, round(sent[key])) for key, size in sizes.items()]
    return sorted(found, key=lambda each: (-each.bytes, each.kind, each.dtype))


def _results(each: Instruction) -> list[Array]:
    """What a device has of it afterwards."""
    if each.opcode.endswith("-start") and each.opcode != "all-reduce-start":
        arrays = [array for array in each.arrays if array.shape]  # operands, results, and scalars of the device's
        return arrays[len(arrays) // 2 :]
    return list(each.arrays)


def _group_size(each: Instruction) -> int | None:
    """Devices that take part together, where the text tells."""
    found = GROUPS.search(each.line)
    if found is None:
        return None
    if found[1]:
        return found[1].count(",") + 1
    if found[2]:
        return int(found[2])
    sizes = {axis: int(size) for axis, size in AXIS.findall(found[3])}
    size = 1
    for axis, _ in AXIS.findall(found[4]):
        size *= sizes[axis]
    return size


def _share_sent(kind: str, devices: int | None, devices_per_chip: int) -> float:
    """Bytes that leave a chip for each byte of a device's result.

    Among c chips that hold n bytes each, an all-reduce sends 2 (c - 1) / c of them, and the others (c - 1) / c; a reduce-scatter's n is
    what goes in. With an unknown number of devices, as among many.
    """
    chips = None if devices is None else max(1, devices // devices_per_chip)
    others = 1.0 if chips is None else (chips - 1) / chips
    if kind == "all-reduce":
        return 2 * others
    return others * devices if kind == "reduce-scatter" and devices else others
