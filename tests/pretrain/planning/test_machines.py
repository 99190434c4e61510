"""Machines are what libtpu says they are, and their chips have the links of their place in the slice."""

import pytest

from pretrain.planning.ahead_of_time import topology_devices
from pretrain.planning.machines import MACHINES, machine_named


@pytest.mark.parametrize("name", [name for name, machine in MACHINES.items() if machine.topology])
def test_libtpu_describes_every_tpu_machine(name: str) -> None:
    pytest.importorskip("libtpu", reason="libtpu is not installed (extra [plan])")
    machine = MACHINES[name]
    devices = topology_devices(machine)
    assert len(devices) == machine.devices
    assert {device.device_kind for device in devices} == {machine.device_kind}


@pytest.mark.parametrize(
    ("name", "links"), [("v3-8", 2), ("v5e-8", 3), ("v5e-16", 4), ("v4-32", 4), ("v5p-16", 3), ("v5e-1", 0)]
)
def test_a_chip_uses_the_links_to_its_neighbours(name: str, links: int) -> None:
    assert machine_named(name).links == links
