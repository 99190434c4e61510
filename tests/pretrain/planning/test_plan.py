"""plan fits a recipe with as little recomputation as it can, tells what it did, and compiles for a TPU that is not there."""

import dataclasses
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest
from tiny_run import LENGTH, TINY, write_records

from configs import klue_bert_base
from configs.mini import bert as mini_bert
from data_pipeline.contract.errors import InputError, WorkError
from data_pipeline.contract.records import row_fields
from data_pipeline.contract.write_records import write_shard
from pretrain.input.schedule import stretches
from pretrain.job import objective_of
from pretrain.planning import plan
from pretrain.planning.ahead_of_time import GIB, Footprint, estimate_step
from pretrain.planning.disk import disk
from pretrain.planning.machines import MACHINES, machine_named
from pretrain.recipe import BatchWarmup, Mesh, Phase, TrainingRecipe

HEADER = plan.planned_header(klue_bert_base.data)
V3 = machine_named("v3-8")


def needing(gib: float, state: float = 1.0) -> plan.Needs:
    """A compiler by whose word the step takes so many GiB at accumulation 1, less with each way to recompute."""

    def needs(recipe: TrainingRecipe) -> Footprint:
        kept = {"none": 1.0, "attention": 0.7, "dots": 0.5, "full": 0.25}[recipe.remat]
        parameters = state / (recipe.mesh.fsdp if recipe.mesh.fsdp > 1 else 1)
        return Footprint(round(parameters * GIB), round((parameters + gib * kept / recipe.accumulation) * GIB))

    return needs


@pytest.mark.parametrize(
    ("needs", "batch", "flags"),
    [
        pytest.param(needing(10), 256, "", id="fits"),
        pytest.param(needing(22), 256, "--training.accumulation 2", id="smaller microbatches"),
        pytest.param(needing(100), 256, "--training.accumulation 8", id="what cannot fit is not tried"),
        pytest.param(
            needing(1, state=20),
            8,
            "--training.mesh.data 1 --training.mesh.fsdp 8",
            id="split parameters",
        ),
        pytest.param(
            needing(20),
            8,
            "--training.mesh.data 1 --training.mesh.fsdp 8 --training.remat attention",
            id="scores computed again",
        ),
        pytest.param(
            needing(30),
            8,
            "--training.mesh.data 1 --training.mesh.fsdp 8 --training.remat dots",
            id="recomputation last",
        ),
    ],
)
def test_the_change_that_fits_recomputes_least(
    needs: plan.Needs, batch: int, flags: str, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = dataclasses.replace(klue_bert_base.training, accumulation=1, global_batch_size=batch)
    fitting, footprint = plan._fitted(recipe, needs, V3)
    assert plan._flags(fitting, recipe) == flags
    assert footprint.peak <= V3.memory_gib * GIB
    lines = capsys.readouterr().out.splitlines()
    assert "batch: fits (compiled in" in lines[-1]
    assert all("does not fit" in line for line in lines[:-1])


def test_where_nothing_fits_the_plan_says_so() -> None:
    with pytest.raises(WorkError, match=r"nothing tried makes the step fit in 16\.0 GiB a device"):
        plan._fitted(dataclasses.replace(klue_bert_base.training, global_batch_size=8), needing(1000), V3)


def test_the_planned_header_is_what_the_data_recipe_says() -> None:
    data = klue_bert_base.data
    assert (HEADER.layout, HEADER.length, HEADER.vocabulary_size) == ("sentence_pairs", 512, 32_000)
    assert plan.planned_header(mini_bert.data).layout == "packed"
    given = dataclasses.replace(data.vocabulary, given="no/such/vocab.txt")
    with pytest.raises(InputError, match=r"--data\.vocabulary\.given no/such/vocab\.txt: not found"):
        plan.planned_header(dataclasses.replace(data, vocabulary=given))


def test_an_estimate_grows_with_the_rows_of_a_device() -> None:
    recipe = mini_bert.training
    header = plan.planned_header(mini_bert.data)
    one, four = estimate_step(recipe, header, 1), estimate_step(recipe, header, 4)
    parameters = recipe.model.parameter_count(8_000, frozenset({"vocabulary"}))
    assert one.state == four.state > 3 * 4 * parameters
    made_by_one, made_by_four = one.peak - one.state - 4 * parameters, four.peak - four.state - 4 * parameters
    assert made_by_one / made_by_four == pytest.approx(4, rel=0.1)
    peaks = [
        estimate_step(dataclasses.replace(recipe, **fields), header, 1).peak
        for fields in ({"remat": "full"}, {"remat": "dots"}, {"remat": "attention"}, {})
    ]
    assert peaks == sorted(set(peaks))
    fused = dataclasses.replace(recipe, attention="cudnn")
    assert estimate_step(fused, header, 1).peak == peaks[2]


def test_several_gpus_share_rows_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    header, machine = plan.planned_header(mini_bert.data), machine_named("h100-8")
    recipe = dataclasses.replace(mini_bert.training, global_batch_size=64, accumulation=1)
    plan.print_plan("small", recipe, header, "h100-8", machine, 0.45)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("8 x NVIDIA H100, 8 chips; by arithmetic, all parameters on each")
    sent = 2 * 7 / 8 * 4 * sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(objective_of(recipe, header).init)))
    assert any(f"links {sent / 450e9:.3g} s, by arithmetic" in line for line in lines)
    for fields, message in (
        ({"mesh": Mesh(data=1, fsdp=8)}, "--training.mesh.fsdp 8: only machines with TPUs"),
        (
            {"global_batch_size": 20},
            "--training.global-batch-size 20: must be a multiple of --training.accumulation 1 x 8 devices",
        ),
    ):
        with pytest.raises(InputError, match=message):
            plan.print_plan("small", dataclasses.replace(recipe, **fields), header, "h100-8", machine, 0.45)


def test_where_only_arithmetic_is_to_be_had_no_parameters_are_split() -> None:
    recipe = dataclasses.replace(klue_bert_base.training, accumulation=1, global_batch_size=8)
    changes = list(plan._changes(recipe, machine_named("h200-8")))
    assert changes
    assert {change.mesh for change in changes} == {recipe.mesh}


def test_a_recipe_with_phases_is_planned_phase_by_phase(capsys: pytest.CaptureFixture[str]) -> None:
    """A phase that does not fit alone gets flags of its own; the last line adds up what the phases say."""
    phases = (Phase(64, 0.75), Phase(128, 0.25, global_batch_size=65536))
    recipe = dataclasses.replace(mini_bert.training, max_steps=1000, phases=phases)
    plan.print_plan("two lengths", recipe, plan.planned_header(mini_bert.data), "h100", machine_named("h100"), 0.45)
    lines = capsys.readouterr().out.splitlines()
    named = [line for line in lines if line.startswith("phase ")]
    assert named == [
        "phase 0      steps 1 to 750, rows of 64 tokens",
        "phase 1      steps 751 to 1,000, rows of 128 tokens",
    ]
    assert any(line.startswith("time         750 steps of 1,024 tokens") for line in lines)
    assert any("instead    --training.phases.1.accumulation " in line and "fits" in line for line in lines)
    hours = [float(line.split()[-2].replace(",", "")) for line in lines if "chip-hours" in line]
    assert lines[-1].startswith("all phases")
    assert hours[-1] == pytest.approx(hours[0] + hours[1], rel=0.1)  # two digits each


def test_what_follows_from_an_assumed_mfu_has_two_digits() -> None:
    machine = machine_named("v3-8")
    assert plan._duration(348_653, machine) == "about 4 days, 390 chip-hours"
    assert plan._duration(5_000, machine) == "about 83 minutes, 5.6 chip-hours"
    assert plan._duration(100, machine) == "about 100 seconds, 0.11 chip-hours"
    assert [plan._rounded(value) for value in (375_930, 0.349, 99.6, 9.96)] == ["380,000", "0.35", "100", "10"]


def test_the_time_counts_a_growing_batch(capsys: pytest.CaptureFixture[str]) -> None:
    """64, 128 and 192 rows for a sixth of the steps each, then 256: three quarters of steps times a full batch."""
    warmup = BatchWarmup(first_rows=64, steps=500)
    recipe = dataclasses.replace(mini_bert.training, max_steps=1000, global_batch_size=256)
    header, machine = plan.planned_header(mini_bert.data), machine_named("h100")
    full = plan._time(stretches(recipe)[0], header, machine, 0.45)
    grown = plan._time(stretches(dataclasses.replace(recipe, batch_warmup=warmup))[0], header, machine, 0.45)
    assert grown / full == pytest.approx(0.75, abs=1e-3)
    assert f", {64 * header.row_tokens:,} tokens at first: " in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize("mfu", [0.45, 0.99])
def test_the_plan_says_whether_the_assumed_mfu_can_be(mfu: float, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = dataclasses.replace(mini_bert.training, global_batch_size=64, accumulation=1)
    plan.print_plan("small", recipe, plan.planned_header(mini_bert.data), "h200", machine_named("h200"), mfu)
    lines = capsys.readouterr().out.splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("roofline     products "))
    most = int(re.search(r"at most (\d+)% MFU, bound by memory", lines[place + 1])[1])  # type: ignore[index]
    assert 45 < most < 99
    assert ("out of reach" in lines[place + 1]) == (mfu > most / 100)


def test_the_disk_that_records_take_is_counted_where_they_are_and_told_by_the_row_where_not(tmp_path: Path) -> None:
    header = write_records(tmp_path / "examples", train=50, evaluation=11)
    recipe = dataclasses.replace(TINY, phases=(Phase(LENGTH, 0.5), Phase(64, 0.5)))
    said = disk(recipe, header, tmp_path / "examples")
    stored = sum(path.stat().st_size for path in (tmp_path / "examples").glob("*.array_record*"))
    counted = (
        f"each host: 61 rows of 32 tokens take {stored / 1e9:.3f} GB, and 0.0 MB of memory when their shards are open; "
    )
    assert said.startswith(counted)
    by_the_row = said.removeprefix(counted)
    # 2 bytes a token and 2 bits, 68 bytes that TFDS reads names and lengths by, and a quarter of a chunk's header
    assert by_the_row.startswith(
        "a row of 64 tokens takes at most 228 bytes (3.55 GB a billion tokens; petitions 0.8 of that), and 8"
    )
    assert disk(recipe, header, None).endswith(by_the_row)


def test_a_row_takes_no_more_disk_than_the_plan_says(tmp_path: Path) -> None:
    """Of random rows only the framing is compressed; the shard itself takes 128 KB at most."""
    header, random = write_records(tmp_path / "examples", train=2), np.random.default_rng(0)

    def rows(number: int) -> Iterator[dict[str, np.ndarray]]:
        for _ in range(number):
            fields = row_fields(header).items()
            yield {name: np.frombuffer(random.bytes(field.nbytes), field.dtype) for name, field in fields}

    said = re.search(r"takes at most (\d+) bytes", disk(TINY, header, None))
    assert said
    shard = write_shard(tmp_path / "shard", "packed", LENGTH, "uint16", 0, rows(8000))
    assert 0.7 * 8000 * int(said[1]) < shard.bytes < 8000 * int(said[1]) + 2**17


def run_plan(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pretrain", "plan", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("quickstart", "--on", "v9-8"), "--on v9-8: no such machine; use one of: v2-8, v3-8"),
        (("quickstart", "--on", "h100", "--mfu", "45"), "--mfu 45.0: must be above 0 and at most 1"),
        (("--on", "v3-8"), "RECIPE must be the first argument: python -m pretrain plan RECIPE"),
    ],
)
def test_wrong_input_is_named(arguments: tuple[str, ...], message: str) -> None:
    done = run_plan(*arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_the_help_names_every_machine() -> None:
    done = run_plan("quickstart", "--help")
    assert all(name in done.stdout for name in MACHINES)


def test_a_small_recipe_compiles_for_a_v3_8_that_is_not_there() -> None:
    pytest.importorskip("libtpu", reason="libtpu is not installed (extra [plan])")
    done = run_plan("quickstart", "--on", "v3-8")
    assert done.returncode == 0, done.stderr
    assert "8 x TPU v3, 4 chips; compiled with jax" in done.stdout
    assert "of 16.00 GiB a device" in done.stdout
    assert "collectives  all-reduce f32 x" in done.stdout
    assert "at an assumed MFU of 45% of 8 x 61.5 TFLOP/s" in done.stdout
    assert "roofline     products " in done.stdout
    assert "GB at 450 GB/s), links " in done.stdout
    assert "MFU, bound by memory; the assumed 45% is out of reach" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("machine", ["v3-8", "v5e-8"])
@pytest.mark.parametrize("recipe", ["klue_bert_base", "mini/bert", "quickstart"])
def test_every_shipped_recipe_fits_as_it_is(recipe: str, machine: str) -> None:
    pytest.importorskip("libtpu", reason="libtpu is not installed (extra [plan])")
    done = run_plan(recipe, "--on", machine)
    assert done.returncode == 0, done.stderr
    assert "batch: fits" in done.stdout
    assert "instead" not in done.stdout
