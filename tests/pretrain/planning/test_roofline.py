"""The roofline is what a step does over what the device does at most, and its least time is no less than any of them."""

import pytest

from pretrain.devices.peaks import peaks_of
from pretrain.planning.ahead_of_time import Footprint
from pretrain.planning.machines import MACHINES, machine_named
from pretrain.planning.roofline import Roofline, compiled_roofline, estimated_roofline

V3 = machine_named("v3-8")
PROGRAM = """HloModule jit_train

%add (x: f32[], y: f32[]) -> f32[] {
  %x = f32[] parameter(0)
  %y = f32[] parameter(1)
  ROOT %both = f32[] add(%x, %y)
}

ENTRY %main (a: bf16[8192,8192], b: bf16[8192,8192]) -> (f32[8192,8192], f32[8192,8192]) {
  %a = bf16[8192,8192]{1,0} parameter(0)
  %b = bf16[8192,8192]{1,0} parameter(1)
  %product = f32[8192,8192]{1,0} dot(%a, %b), lhs_contracting_dims={1}, rhs_contracting_dims={0}
  %negative = f32[8192,8192]{1,0} negate(%product)
  ROOT %sum = f32[8192,8192]{1,0} all-reduce(%negative), replica_groups={{0,1,2,3,4,5,6,7}}, to_apply=%add
}
"""
FLOPS, ARRAY = 2 * 8192**3, 4 * 8192**2
PRODUCT, MEMORY = FLOPS / 61.5e12, 6 * ARRAY / 450e9


def test_instructions_follow_each_other() -> None:
    """The product is bound by the matrix units, what follows by memory: one after the other they take longer than either sum."""
    roofline = compiled_roofline(Footprint(0, 0, program=PROGRAM), FLOPS, V3, 61.5)
    assert roofline is not None
    assert roofline.products == pytest.approx(PRODUCT)
    assert roofline.memory == pytest.approx(MEMORY)
    assert roofline.in_turn == pytest.approx(PRODUCT + 4 * ARRAY / 450e9)
    assert roofline.least == roofline.in_turn
    assert roofline.bound == "products"
    assert roofline.most_mfu(FLOPS, 61.5) == pytest.approx(PRODUCT / roofline.least)


def test_a_chip_sends_over_its_links_what_its_devices_put_together() -> None:
    roofline = compiled_roofline(Footprint(0, 0, program=PROGRAM), FLOPS, V3, 61.5)
    assert roofline is not None
    assert roofline.links == pytest.approx(2 * 3 / 4 * ARRAY / (2 * 100e9))


def test_products_that_a_kernel_hides_are_those_of_the_model() -> None:
    hidden = PROGRAM.replace("dot(%a, %b), lhs_contracting_dims={1}, rhs_contracting_dims={0}", "custom-call(%a, %b)")
    roofline = compiled_roofline(Footprint(0, 0, program=hidden), FLOPS, V3, 61.5)
    assert roofline == compiled_roofline(Footprint(0, 0, program=PROGRAM), FLOPS, V3, 61.5)


@pytest.mark.parametrize(
    ("flops", "seconds", "believed"),
    [(FLOPS, 0.03, 0.03), (FLOPS / 12, 0.003, None), (FLOPS, -25.0, None), (0.0, 0.0, None)],
    ids=["whole", "a loop counted once", "negative", "not told"],
)
def test_the_estimate_of_xla_is_told_where_it_counted_everything(
    flops: float, seconds: float, believed: float | None
) -> None:
    footprint = Footprint(0, 0, program=PROGRAM, xla_flops=flops, xla_seconds=seconds)
    roofline = compiled_roofline(footprint, FLOPS, V3, 61.5)
    assert roofline is not None
    assert roofline.by_xla == believed


def test_without_a_program_the_arithmetic_reads_and_writes_once() -> None:
    roofline = estimated_roofline(9.89e12, 10**9, 4 * 10**9, 10**9, machine_named("h100-8"), 989)
    assert roofline == Roofline(
        pytest.approx(0.01), pytest.approx(10 / 3350), pytest.approx(1.75 / 450), None, 10**10, 3350
    )
    alone = estimated_roofline(9.89e12, 10**9, 4 * 10**9, 10**9, machine_named("h100"), 989)
    assert alone is not None
    assert alone.links == 0
    assert estimated_roofline(1e12, 1, 1, 1, machine_named("cpu"), 1) is None


@pytest.mark.parametrize("name", [name for name in MACHINES if name != "cpu"])
def test_the_peaks_of_every_machine_are_known(name: str) -> None:
    """But of v2's links."""
    machine = MACHINES[name]
    peaks = peaks_of(machine.device_kind)
    assert peaks is not None
    assert peaks.memory is not None
    assert peaks.link is not None or machine.device_kind == "TPU v2"
    assert machine.devices % machine.chips == 0
    assert (machine.links > 0) == (machine.chips > 1)
