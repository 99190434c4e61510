"""Collectives are found with their bytes, and count once for each turn of the loop they are in, however many pieces they run in."""

import dataclasses

import jax
import pytest
from stored_programs import stored

from configs import quickstart
from pretrain.job import objective_of
from pretrain.planning import plan
from pretrain.planning.ahead_of_time import compile_step, topology_devices
from pretrain.planning.collectives import Traffic, traffic
from pretrain.planning.hlo import read_module
from pretrain.planning.machines import machine_named
from pretrain.recipe import Mesh

RECIPE = dataclasses.replace(quickstart.training, mesh=Mesh(data=1, fsdp=16))
PROGRAM = """HloModule jit_train, is_scheduled=true

%add (a: f32[], b: f32[]) -> f32[] {
  %a = f32[] parameter(0)
  ROOT %sum = f32[] add(%a, %b)
}

%condition (carried: (s32[], bf16[4,8])) -> pred[] {
  %twelve = s32[]{:T(256)} constant(12)
  %carried = (s32[], bf16[4,8]) parameter(0)
  %index = s32[]{:T(256)} get-tuple-element(%carried), index=0
  ROOT %less = pred[]{:T(1024)} compare(%index, %twelve), direction=LT
}

%body (carried.1: (s32[], bf16[4,8])) -> (s32[], bf16[4,8]) {
  %carried.1 = (s32[], bf16[4,8]) parameter(0)
  %index.1 = s32[] get-tuple-element(%carried.1), index=0
  %one = s32[] constant(1)
  %i = s32[] add(%index.1, %one)
  %gradients = (bf16[8]{0:T(256)(2,1)}, /*index=1*/f32[4,8]{1,0:T(8,128)}) all-reduce(%x, %y), replica_groups={{0,1,2,3}}, to_apply=%add
  ROOT %next = (s32[], bf16[4,8]) tuple(%i, %z)
}

ENTRY %main.1 (state: f32[16]) -> f32[16] {
  %zero = s32[] constant(0)
  %start = (s32[], bf16[4,8]) tuple(%zero, %w)
  %loop = (s32[], bf16[4,8]) while(%start), condition=%condition, body=%body, metadata={op_name="jit(train)/while"}
  %gathered = (f32[16]{0}, f32[128]{0}, u32[], u32[]) all-gather-start(%state), replica_groups=[1,8]<=[8], dimensions={0}
  %done = f32[128]{0} all-gather-done(%gathered)
  %norm = f32[]{:T(256)} all-reduce-start(%partial), to_apply=%add
  ROOT %result = f32[16] copy(%state)
}
"""


def test_loops_multiply_and_started_ones_count_their_results() -> None:
    assert traffic(read_module(PROGRAM)) == [
        Traffic("all-reduce", "f32", 13, 12 * 32 * 4 + 4, 12 * 32 * 4 * 2 * 3 // 4 + 4 * 2),
        Traffic("all-gather", "f32", 1, 128 * 4, 128 * 4 * 7 // 8),
        Traffic("all-reduce", "bf16", 12, 12 * 8 * 2, 12 * 8 * 2 * 2 * 3 // 4),
    ]


def test_devices_of_one_chip_send_together() -> None:
    sent = {(each.kind, each.dtype): each.sent for each in traffic(read_module(PROGRAM), devices_per_chip=2)}
    assert sent["all-reduce", "bf16"] == 12 * 8 * 2 * 2 // 2
    assert sent["all-gather", "f32"] == 128 * 4 * 3 // 4


def test_a_program_for_one_device_sends_nothing() -> None:
    assert traffic(read_module(PROGRAM.replace("all-reduce", "copy").replace("all-gather", "copy"))) == []


def check_quickstart(program: str) -> None:
    """Bytes of quickstart's step at fsdp 16, by hand: 32 rows, 20 predictions each, 128 wide."""
    header = plan.planned_header(quickstart.data)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(objective_of(RECIPE, header).init)))
    kernels = 2 * (4 * 128 * 128 + 2 * 128 * 512)
    predicted = 32 * 20 * 128
    found = {(each.kind, each.dtype): each.bytes for each in traffic(read_module(program))}
    # Each layer's kernels for the forward and for the backward pass; of the head, its own, and what it predicts from.
    assert found["all-gather", "bf16"] == 2 * (2 * kernels + 128 * 128 + predicted)
    # Gradients (XLA sums here all of each, and then takes a share), and the gradient of what the head predicts from.
    assert found["all-reduce", "f32"] == pytest.approx(4 * (parameters + predicted), rel=0.01)


def test_a_collective_in_pieces_counts_once() -> None:
    """A v5e gathers each kernel beside other work, as three to eleven fusions that each hold the whole gather."""
    program = stored("quickstart_v5e_16_fsdp_16")
    assert program.count("chain_id=") > 2 * program.count("AsyncCollectiveStart") > 0
    check_quickstart(program)


@pytest.mark.slow
def test_this_libtpu_writes_pieces_as_the_one_of_the_stored_program() -> None:
    pytest.importorskip("libtpu", reason="libtpu is not installed (extra [plan])")
    devices = topology_devices(machine_named("v5e-16"))
    check_quickstart(compile_step(RECIPE, plan.planned_header(quickstart.data), devices).program)
