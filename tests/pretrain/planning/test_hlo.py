"""A program's text is taken apart, and its loops are counted as often as they turn."""

import pytest

from pretrain.planning.hlo import Array, arrays_in, read_module

LOOP = """HloModule jit_train, is_scheduled=true

%condition (carried: (s32[], f32[8])) -> pred[] {
  %limit = s32[]{:T(128)} constant(LIMIT)
  %carried = (s32[]{:T(128)}, f32[8]{0}) parameter(0)
  %index = s32[]{:T(128)} get-tuple-element(%carried), index=0
  ROOT %less = pred[]{:T(512)} compare(%index, %limit), direction=LT
}

%body (carried.1: (s32[], f32[8])) -> (s32[], f32[8]) {
  %carried.1 = (s32[]{:T(128)}, f32[8]{0}) parameter(0)
  %index.1 = s32[]{:T(128)} get-tuple-element(%carried.1), index=0
  %step = s32[]{:T(128)} constant(STEP)
  %next = s32[]{:T(128)} add(%index.1, %step)
  %value = f32[8]{0} get-tuple-element(%carried.1), index=1
  ROOT %both = (s32[]{:T(128)}, f32[8]{0}) tuple(%next, %value)
}

ENTRY %main (state: f32[8]) -> f32[8] {
  %state = f32[8]{0} parameter(0)
  %start = s32[]{:T(128)} constant(START)
  %begin = s32[]{:T(128)} copy(%start)
  %first = (s32[]{:T(128)}, f32[8]{0}) tuple(%begin, %state)
  %loop = (s32[]{:T(128)}, f32[8]{0}) while(%first), condition=%condition, body=%bodySTATED
  ROOT %result = f32[8]{0} get-tuple-element(%loop), index=1
}
"""


@pytest.mark.parametrize(
    ("start", "step", "limit", "stated", "turns"),
    [
        pytest.param(0, 1, 12, "", 12, id="a scan"),
        pytest.param(0, 2, 8, "", 4, id="a ring of products, two a turn"),
        pytest.param(1, 3, 9, "", 3, id="the last turn is not full"),
        pytest.param(0, 1, 12, ', backend_config={"known_trip_count":{"n":"5"}}', 5, id="XLA says"),
    ],
)
def test_a_loop_turns_from_its_start_to_its_limit_by_its_step(
    start: int, step: int, limit: int, stated: str, turns: int
) -> None:
    text = LOOP.replace("START", str(start)).replace("STEP", str(step)).replace("LIMIT", str(limit))
    module = read_module(text.replace("STATED", stated))
    assert module.turns == {"main": 1, "body": turns}


def test_an_array_is_as_large_as_its_tiles() -> None:
    plain, tiled, on_chip = arrays_in(
        "(bf16[32,20,128], /*index=1*/bf16[32,20,128]{2,1,0:T(8,128)(2,1)}, f32[3,64]{0,1:T(8,128)S(1)})"
    )
    assert (plain.bytes, plain.bytes_in_memory) == (32 * 20 * 128 * 2, 32 * 20 * 128 * 2)
    assert (tiled.bytes, tiled.bytes_in_memory) == (32 * 20 * 128 * 2, 32 * 24 * 128 * 2)
    assert on_chip.bytes_in_memory == 64 * 128 * 4
    assert (tiled.in_hbm, on_chip.in_hbm) == (True, False)


@pytest.mark.parametrize(
    ("dtype", "size"), [("pred", 3), ("s4", 2), ("u8", 3), ("f8e4m3fn", 3), ("bf16", 6), ("token", 0)]
)
def test_elements_take_what_their_type_says(dtype: str, size: int) -> None:
    assert Array(dtype, (3,)).bytes == size
