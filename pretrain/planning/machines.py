"""Machines that a run can be planned for: their devices as JAX shows them, and the memory of each. No JAX here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from data_pipeline.contract.errors import InputError


@dataclass(frozen=True)
class Machine:
    """Devices that one job gets.

    - `device_kind`: JAX's name of a device (`pretrain.devices.peaks.PEAKS` has its peaks).
    - `devices`, `chips`: JAX devices, and what the provider rents: v2 and v3 show two cores a chip, TPU7x two chiplets.
    - `memory_gib`: of one device, GiB; None means this machine's.
    - `topology`, `options`: how libtpu names it (`jax.experimental.topologies`); empty where no compiler is to be had without it.
    """

    device_kind: str
    devices: int
    chips: int
    memory_gib: float | None
    topology: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def devices_per_chip(self) -> int:
        """JAX devices that share a chip, and its links."""
        return self.devices // self.chips

    @property
    def links(self) -> int:
        """Links of a chip that lead to chips of this machine, at most; a GPU's NVLinks count as one."""
        if not self.topology:
            return int(self.devices > 1)
        sides = self.topology.partition(":")[2].split("x")
        return sum(min(2, int(side) - 1) for side in sides)


ONE_HOST: Mapping[str, Any] = {"chips_per_host_bounds": [2, 4, 1]}
ONE_CHIP: Mapping[str, Any] = {"chips_per_host_bounds": [1, 1, 1]}
MEGACORE: Mapping[str, Any] = {"chip_config_name": "megacore"}

# Memory: cloud.google.com/tpu/docs (HBM of a chip, shared out to its devices); NVIDIA's data sheets, of which JAX takes three
# quarters (XLA_PYTHON_CLIENT_MEM_FRACTION).
MACHINES: Mapping[str, Machine] = {
    "v2-8": Machine("TPU v2", 8, 4, 8, "v2:2x2"),
    "v3-8": Machine("TPU v3", 8, 4, 16, "v3:2x2"),
    "v3-32": Machine("TPU v3", 32, 16, 16, "v3:4x4"),
    "v4-8": Machine("TPU v4", 4, 4, 32, "v4:2x2x1", MEGACORE),
    "v4-32": Machine("TPU v4", 16, 16, 32, "v4:2x2x4", MEGACORE),
    "v5e-1": Machine("TPU v5 lite", 1, 1, 16, "v5e:1x1", ONE_CHIP),
    "v5e-4": Machine("TPU v5 lite", 4, 4, 16, "v5e:2x2"),
    "v5e-8": Machine("TPU v5 lite", 8, 8, 16, "v5e:2x4", ONE_HOST),
    "v5e-16": Machine("TPU v5 lite", 16, 16, 16, "v5e:4x4"),
    "v5e-32": Machine("TPU v5 lite", 32, 32, 16, "v5e:4x8"),
    "v5p-8": Machine("TPU v5", 4, 4, 95, "v5p:2x2x1"),
    "v5p-16": Machine("TPU v5", 8, 8, 95, "v5p:2x2x2"),
    "v6e-1": Machine("TPU v6 lite", 1, 1, 32, "v6e:1x1", ONE_CHIP),
    "v6e-8": Machine("TPU v6 lite", 8, 8, 32, "v6e:2x4", ONE_HOST),
    "v6e-16": Machine("TPU v6 lite", 16, 16, 32, "v6e:4x4"),
    "tpu7x-8": Machine("TPU7x", 8, 4, 96, "tpu7x:2x2x1"),
    "h100": Machine("NVIDIA H100", 1, 1, 0.75 * 79.6),
    "h100-8": Machine("NVIDIA H100", 8, 8, 0.75 * 79.6),
    "h200": Machine("NVIDIA H200", 1, 1, 0.75 * 140.4),
    "h200-8": Machine("NVIDIA H200", 8, 8, 0.75 * 140.4),
    "cpu": Machine("cpu", 1, 1, None),
}
"""Names that `plan --on` takes."""


def machine_named(name: str) -> Machine:
    """An InputError lists the machines where the name is none of them."""
    if name not in MACHINES:
        raise InputError(f"--on {name}: no such machine; use one of: {', '.join(MACHINES)}")
    return MACHINES[name]
