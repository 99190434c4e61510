"""Collectives are found with their bytes, and count once for each turn of the loop they are in."""

from pretrain.planning.collectives import Traffic, traffic

PROGRAM = """HloModule jit_train, is_scheduled=true

%add (a: f32[], b: f32[]) -> f32[] {
  %a = f32[] parameter(0)
  ROOT %sum = f32[] add(%a, %b)
}

%condition (carried: (s32[], bf16[4,8])) -> pred[] {
  %twelve = s32[]{:T(256)} constant(12)
  %index = s32[]{:T(256)} get-tuple-element(%carried), index=0
  ROOT %less = pred[]{:T(1024)} compare(%index, %twelve), direction=LT
}

%body (carried: (s32[], bf16[4,8])) -> (s32[], bf16[4,8]) {
  %gradients = (bf16[8]{0:T(256)(2,1)}, /*index=1*/f32[4,8]{1,0:T(8,128)}) all-reduce(%x, %y), to_apply=%add
  ROOT %next = (s32[], bf16[4,8]) tuple(%i, %z)
}

ENTRY %main.1 (state: f32[16]) -> f32[16] {
  %loop = (s32[], bf16[4,8]) while(%start), condition=%condition, body=%body, metadata={op_name="jit(train)/while"}
  %gathered = (f32[16]{0}, f32[128]{0}, u32[], u32[]) all-gather-start(%state), dimensions={0}
  %done = f32[128]{0} all-gather-done(%gathered)
  %norm = f32[]{:T(256)} all-reduce-start(%partial), to_apply=%add
  ROOT %result = f32[16] copy(%state)
}
"""


def test_loops_multiply_and_started_ones_count_their_results() -> None:
    assert traffic(PROGRAM) == [
        Traffic("all-reduce", "f32", 13, 12 * 32 * 4 + 4),
        Traffic("all-gather", "f32", 1, 128 * 4),
        Traffic("all-reduce", "bf16", 12, 12 * 8 * 2),
    ]


def test_a_program_for_one_device_sends_nothing() -> None:
    assert traffic(PROGRAM.replace("all-reduce", "copy").replace("all-gather", "copy")) == []
