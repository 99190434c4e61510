"""Products and bytes of a program are those of its instructions: what stays on the chip, is only sliced, or is done in place is not moved."""

import jax
import jax.numpy as jnp
import pytest
from stored_programs import stored

from pretrain.planning.ahead_of_time import topology_devices
from pretrain.planning.hlo import read_module
from pretrain.planning.machines import machine_named
from pretrain.planning.work import Work, totals_by, work_of

PROGRAM = """HloModule jit_train, is_scheduled=true

%slice_of_layer (param_0: f32[12,8,128], param_1: s32[]) -> f32[8,128] {
  %param_0 = f32[12,8,128]{2,1,0:T(8,128)} parameter(0)
  %param_1 = s32[] parameter(1)
  %zero = s32[] constant(0)
  %slice = f32[1,8,128]{2,1,0:T(8,128)} dynamic-slice(%param_0, %param_1, %zero, %zero), dynamic_slice_sizes={1,8,128}
  %flat = f32[8,128]{1,0:T(8,128)} bitcast(%slice)
  ROOT %twice = f32[8,128]{1,0:T(8,128)} add(%flat, %flat)
}

%kept (param_0.1: f32[12,8,128], param_1.1: f32[8,128], param_2: s32[]) -> (f32[12,8,128], f32[8,128]) {
  %param_0.1 = f32[12,8,128]{2,1,0:T(8,128)} parameter(0)
  %param_1.1 = f32[8,128]{1,0:T(8,128)} parameter(1)
  %param_2 = s32[] parameter(2)
  %zero.1 = s32[] constant(0)
  %layer = f32[1,8,128]{2,1,0:T(8,128)} bitcast(%param_1.1)
  %all = f32[12,8,128]{2,1,0:T(8,128)} dynamic-update-slice(%param_0.1, %layer, %param_2, %zero.1, %zero.1)
  ROOT %both = (f32[12,8,128]{2,1,0:T(8,128)}, f32[8,128]{1,0:T(8,128)}) tuple(%all, %param_1.1)
}

%same (param_0.2: bf16[16,128]) -> bf16[16,128] {
  %param_0.2 = bf16[16,128]{1,0:T(8,128)(2,1)} parameter(0)
  ROOT %view = bf16[16,128]{1,0:T(8,128)(2,1)} bitcast(%param_0.2)
}

%product (param_0.3: bf16[16,128], param_1.3: bf16[128,256]) -> f32[16,256] {
  %param_0.3 = bf16[16,128]{1,0:T(8,128)(2,1)} parameter(0)
  %left = bf16[16,128]{1,0:T(8,128)(2,1)} fusion(%param_0.3), kind=kLoop, calls=%same
  %param_1.3 = bf16[128,256]{1,0:T(8,128)(2,1)} parameter(1)
  ROOT %convolution = f32[16,256]{1,0:T(8,128)} convolution(%left, %param_1.3), dim_labels=bf_io->bf
}

ENTRY %main (layers: f32[12,8,128], index: s32[], left: bf16[16,128], right: bf16[128,256]) -> f32[16,256] {
  %layers = f32[12,8,128]{2,1,0:T(8,128)} parameter(0)
  %index = s32[] parameter(1)
  %left.1 = bf16[16,128]{1,0:T(8,128)(2,1)} parameter(2)
  %right = bf16[128,256]{1,0:T(8,128)(2,1)} parameter(3)
  %buffer = f32[12,8,128]{2,1,0:T(8,128)} custom-call(), custom_call_target="AllocateBuffer"
  %layer.1 = f32[8,128]{1,0:T(8,128)} fusion(%layers, %index), kind=kLoop, calls=%slice_of_layer, metadata={op_name="slice"}
  %kept.1 = (f32[12,8,128]{2,1,0:T(8,128)}, f32[8,128]{1,0:T(8,128)}) fusion(%buffer, %layer.1, %index), kind=kLoop, calls=%kept
  %brought = (bf16[128,256]{1,0:T(8,128)(2,1)S(1)}, bf16[128,256]{1,0:T(8,128)(2,1)}, u32[]{:S(2)}) copy-start(%right)
  %near = bf16[128,256]{1,0:T(8,128)(2,1)S(1)} copy-done(%brought)
  ROOT %result = f32[16,256]{1,0:T(8,128)} fusion(%left.1, %near), kind=kOutput, calls=%product
}
"""
LAYER, LEFT, RIGHT, RESULT = 8 * 128 * 4, 16 * 128 * 2, 128 * 256 * 2, 16 * 256 * 4


def named(program: str) -> dict[str, Work]:
    return {each.name: each for each in work_of(read_module(program))}


def test_an_instruction_moves_what_it_reads_and_writes() -> None:
    found = named(PROGRAM)
    assert set(found) == {"layer.1", "kept.1", "brought", "result"}
    assert found["layer.1"].bytes == LAYER + 4 + LAYER
    assert found["kept.1"].bytes == LAYER + 4 + LAYER
    assert (found["brought"].bytes, found["brought"].beside) == (RIGHT, True)
    result = found["result"]
    assert (result.bytes, result.touched) == (LEFT + RESULT, LEFT + RIGHT + RESULT)
    assert (result.flops, result.kind) == (2 * 16 * 128 * 256, "fusion kOutput")
    assert totals_by(found.values(), "op_name")["slice"] == LAYER + 4 + LAYER


@pytest.mark.parametrize(
    ("operands", "instruction", "flops"),
    [
        pytest.param(
            ("bf16[32,512,12,64]", "bf16[32,512,12,64]"),
            "f32[32,12,512,512] dot(%a, %b), lhs_batch_dims={0,2}, lhs_contracting_dims={3}, rhs_batch_dims={0,2}, "
            "rhs_contracting_dims={3}",
            2 * 32 * 12 * 512 * 512 * 64,
            id="dot",
        ),
        pytest.param(
            ("bf16[8,512,768,1]", "bf16[12,64,768,1]"),
            "bf16[8,512,12,64] convolution(%a, %b), window={size=1x12 pad=0_0x11_11 rhs_reversal=0x1}, dim_labels=0bf1_1oi0->0b1f",
            2 * 8 * 512 * 768 * 768,
            id="a product as a window over padding",
        ),
        pytest.param(
            ("bf16[32,512,64]", "bf16[32,512,64]"),
            "f32[32,512,512] convolution(%a, %b), window={size=32 stride=31 lhs_dilate=32}, dim_labels=0bf_0oi->0bf",
            2 * 32 * 512 * 512 * 64,
            id="a batch as a window over holes",
        ),
        pytest.param(
            ("f32[2,10,10,3]", "f32[3,3,3,7]"),
            "f32[2,10,10,7] convolution(%a, %b), window={size=3x3 pad=1_1x1_1}, dim_labels=b01f_01io->b01f",
            2 * 2 * 28 * 28 * 3 * 7,
            id="a convolution",
        ),
    ],
)
def test_products_count_pairs_of_elements_that_meet(operands: tuple[str, str], instruction: str, flops: int) -> None:
    lines = [
        f"  %{name} = {shape} parameter({number})"
        for number, (name, shape) in enumerate(zip("ab", operands, strict=True))
    ]
    program = "\n".join(["ENTRY %main (a: f32[], b: f32[]) -> f32[] {", *lines, f"  ROOT %result = {instruction}", "}"])
    assert [each.flops for each in work_of(read_module(program))] == [flops]


def test_settings_of_a_kernel_that_fill_lines_do_not_end_a_computation() -> None:
    settings = '}, frontend_attributes={kernel_metadata={\n"block_q": 512\n}}, metadata={op_name="kernel"}'
    program = PROGRAM.replace('AllocateBuffer"', f'AllocateBuffer"{settings}')
    assert named(program)["result"].flops == 2 * 16 * 128 * 256


def test_pieces_of_a_collective_move_it_once() -> None:
    """In quickstart's step on a v5e: the kernels of both layers for both passes (all but one that is gathered at once), and the word table."""
    works = work_of(read_module(stored("quickstart_v5e_16_fsdp_16")))
    assert not [each for each in works if each.name.startswith("async-collective-done")]
    starts = [each for each in works if each.name.startswith("async-collective-start")]
    gathered = 2 * 2 * 2 * (4 * 128 * 128 + 2 * 128 * 512) + 4 * 4096 * 128
    assert sum(each.touched for each in starts) == pytest.approx(gathered * 18 / 16, rel=0.1)


def test_bytes_are_those_that_xla_counts() -> None:
    pytest.importorskip("libtpu", reason="libtpu is not installed (extra [plan])")
    device = jax.sharding.SingleDeviceSharding(topology_devices(machine_named("v3-8"))[0])

    def layer(hidden: jax.Array, kernel: jax.Array) -> jax.Array:
        query = jnp.einsum("btd,dnh->btnh", hidden, kernel)
        scores = jnp.einsum("btnh,bsnh->bnts", query, query, preferred_element_type=jnp.float32)
        mixed = jnp.einsum("bnts,bsnh->btnh", jax.nn.softmax(scores).astype(jnp.bfloat16), query)
        return jax.nn.gelu(mixed).astype(jnp.float32).mean()

    shapes = (jax.ShapeDtypeStruct(shape, jnp.bfloat16, sharding=device) for shape in ((8, 512, 768), (768, 12, 64)))
    compiled = jax.jit(jax.grad(layer, argnums=(0, 1))).lower(*shapes).compile()
    text, costs = compiled.as_text(), compiled.cost_analysis()
    assert text is not None
    works = work_of(read_module(text))
    assert sum(each.touched for each in works) == pytest.approx(costs["bytes accessed"], rel=0.02)
    assert sum(each.flops for each in works) == pytest.approx(costs["flops"], rel=0.05)
