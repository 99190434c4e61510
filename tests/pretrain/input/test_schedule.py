"""The schedule of a recipe is arithmetic: which steps see which length, and what may change when a run goes on."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_run import TINY, changed

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_file import plain
from pretrain.checkpoints.resume import refuse_other_run
from pretrain.input.schedule import objective_in_words, rows_left_out, stretch_at, stretches
from pretrain.recipe import BatchWarmup, Phase, TrainingRecipe, training_recipe_from_plain

LONG = changed(TINY, max_steps=1000, phases=(Phase(128, 0.9, global_batch_size=64), Phase(512, 0.1, accumulation=4)))


def test_phases_share_the_steps_without_a_gap() -> None:
    first, second = stretches(LONG)
    assert (first.start, first.stop, first.length) == (0, 900, 128)
    assert (second.start, second.stop, second.length) == (900, 1000, 512)
    assert (first.recipe.global_batch_size, first.recipe.accumulation) == (64, TINY.accumulation)
    assert (second.recipe.global_batch_size, second.recipe.accumulation) == (TINY.global_batch_size, 4)
    assert [stretch_at(LONG, step).length for step in (0, 899, 900, 999, 1000)] == [128, 128, 512, 512, 512]
    thirds = stretches(changed(TINY, max_steps=100, phases=tuple(Phase(128, 1 / 3) for _ in range(3))))
    assert [(each.start, each.stop) for each in thirds] == [(0, 33), (33, 67), (67, 100)]


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ((), range(1000)),
        (("objective.masking.mask_share=0.7", "model.hidden_dropout_prob=0"), range(1000)),
        (("objective.masking.rate=0.3",), range(900, 1000)),
        (("objective.masking.final-rate=0.05",), range(900, 1000)),
    ],
)
def test_a_rate_changes_over_the_run_or_over_the_phase_that_names_it(settings: tuple[str, ...], steps: range) -> None:
    first, second = stretches(changed(LONG, phases=(LONG.phases[0], changed(LONG.phases[1], settings=settings))))
    assert (first.scheduled, second.scheduled) == (range(1000), steps)


def test_held_out_rows_are_masked_at_one_rate_in_all_phases() -> None:
    settings = ("objective.masking.rate=0.3", "objective.masking.final_rate=0.05", "objective.masking.ngrams=1 0.5")
    recipe = changed(LONG, phases=(LONG.phases[0], changed(LONG.phases[1], settings=settings)))
    first, second = (each.recipe.objective.masking for each in stretches(recipe))  # type: ignore[attr-defined]
    assert (first.rate, first.held_out_rate, first.ngrams) == (0.15, 0.05, (1.0,))
    assert (second.rate, second.final_rate, second.held_out_rate, second.ngrams) == (0.3, 0.05, 0.05, (1.0, 0.5))
    assert "(5% of held-out rows throughout)" in objective_in_words(recipe)
    alone = ("objective.masking.evaluation_rate=0.2",)
    with pytest.raises(
        InputError, match=r"evaluation-rate 0\.2: the last phase has 0\.15, .* not in a phase's settings"
    ):
        stretches(changed(LONG, phases=(changed(LONG.phases[0], settings=alone), LONG.phases[1])))


def test_a_length_goes_on_where_its_last_phase_ended() -> None:
    there_and_back = (Phase(128, 0.25), Phase(512, 0.25), Phase(128, 0.25, global_batch_size=64), Phase(128, 0.25))
    found = stretches(changed(TINY, max_steps=40, phases=there_and_back))
    assert [each.first_row for each in found] == [0, 0, 10 * 16, 10 * 16 + 10 * 64]


def test_a_recipe_without_phases_is_one_stretch_of_the_only_records() -> None:
    [only] = stretches(TINY)
    assert (only.start, only.stop, only.length, only.recipe) == (0, TINY.max_steps, None, TINY)


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        ((Phase(128, 0.9), Phase(512, 0.2)), r"phases: their shares add up to 1\.1; make it 1"),
        ((Phase(128, 1.0), Phase(512, 0.0)), r"phases\.1\.share 0\.0: is not a single one of 6 steps"),
        ((Phase(128, float("nan")),), r"phases: their shares add up to nan"),
    ],
)
def test_phases_that_make_up_no_run_are_refused(phases: tuple[Phase, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        stretches(changed(TINY, phases=phases))


def resumed(**second: Any) -> None:
    """Goes on from a checkpoint of LONG with another second phase."""
    first = LONG.phases[0]
    now: TrainingRecipe = changed(LONG, phases=(first, changed(LONG.phases[1], **second)))
    refuse_other_run({"step": 1, "recipe": plain(LONG), "records_fingerprint": "a"}, now, "a")


def test_the_accumulation_of_a_phase_may_change_when_a_run_goes_on_and_its_length_may_not() -> None:
    resumed(accumulation=8)
    with pytest.raises(InputError, match=r"belongs to another recipe: phases: .*'length': 512.* -> .*'length': 256"):
        resumed(length=256)


def test_phases_come_back_from_what_a_run_wrote_down() -> None:
    assert training_recipe_from_plain(plain(LONG)) == LONG


def rows_read(recipe: TrainingRecipe, ranges: list[list[int]], step: int) -> tuple[int, range]:
    """The length of a step's rows, and their places in the sequence of that length."""
    schedule = stretches(recipe)
    number = next(number for number, each in enumerate(schedule) if step < each.stop)
    own = schedule[number]
    passed_over = sum(rows for start, rows in rows_left_out(schedule, number, ranges) if start <= step)
    first = own.first_row + passed_over + own.rows_of(own.start, step)
    return own.length or 0, range(first, first + own.rows_of(step, step + 1))


@given(st.data())
def test_every_row_is_read_once_or_left_out_once_wherever_training_goes_back(data: st.DataObject) -> None:
    """Training goes back again and again; what the steps that count have read follows on without gaps but for what was left out."""
    warmup = BatchWarmup(4, 5)
    shares = (Phase(128, 0.5), Phase(512, 0.25, global_batch_size=8), Phase(128, 0.25))
    recipe = TrainingRecipe(max_steps=40, global_batch_size=16, batch_warmup=warmup, phases=shares)
    ranges: list[list[int]] = []
    left_out: dict[int, list[int]] = {128: [], 512: []}
    for _ in range(data.draw(st.integers(0, 4))):
        start = data.draw(st.integers(ranges[-1][0] if ranges else 0, 39))
        stop = data.draw(st.integers(start + 1, 40))
        for step in range(start, stop):
            length, rows = rows_read(recipe, ranges, step)
            left_out[length] += rows
        ranges.append([start, stop])
    seen: dict[int, list[int]] = {128: [], 512: []}
    for step in range(40):
        length, rows = rows_read(recipe, ranges, step)
        seen[length] += rows
    for length in (128, 512):
        assert seen[length] == sorted(seen[length])
        both = sorted([*seen[length], *left_out[length]])
        assert both == list(range(len(both)))
