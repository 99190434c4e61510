"""plan: what a recipe takes on a machine that is not there yet: memory, traffic, a roofline, days and chip-hours."""

import importlib.metadata
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from data_pipeline.contract.errors import InputError, WorkError
from data_pipeline.contract.records import RecordsHeader
from data_pipeline.contract.special_tokens import ROLES, SpecialIds
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.devices.peaks import peak_tflops
from pretrain.input.schedule import Stretch, stretches
from pretrain.job import objective_of
from pretrain.models.core.remat import REMAT
from pretrain.planning.ahead_of_time import GIB, Footprint, compile_step, estimate_step, topology_devices
from pretrain.planning.collectives import traffic
from pretrain.planning.disk import disk
from pretrain.planning.hlo import Module
from pretrain.planning.machines import Machine
from pretrain.planning.roofline import Roofline, compiled_roofline, estimated_roofline
from pretrain.recipe import TrainingRecipe
from pretrain.recipe_checks import check, check_attention

CAUTION = 1.05
"""A change is tried if it should need at most this many times the memory that there is."""
UNITS = ((86_400, "days"), (3_600, "hours"), (60, "minutes"), (1, "seconds"))
"""Seconds of a unit, and its name; a plan's time is told in the largest that it has two of."""
Needs = Callable[[TrainingRecipe], Footprint]


def planned_header(data: Any) -> RecordsHeader:
    """The header that records of a data recipe will have, as far as training asks for it.

    - `data`: a recipe's `data`.

    A given vocabulary is read where it is there. Raises InputError where its folder or file is not.
    """
    given = data.vocabulary.given
    if given:
        path = Path(given).expanduser()
        if not path.exists():
            raise InputError(
                f"--data.vocabulary.given {given}: not found; bring it here, it says how many rows there are"
            )
        tokenizer = Tokenizer(path.parent if path.name == "vocab.txt" else path)
        size, reserved, special = tokenizer.size, tokenizer.reserved_ids, tokenizer.special
    else:
        size, order = data.vocabulary.size, data.vocabulary.special_tokens()
        # The [unusedN] rows may be elsewhere; no shape depends on where.
        reserved = tuple(range(len(order) + data.vocabulary.unused))
        special = SpecialIds(**{role: order.index(f"[{role.upper()}]") for role in ROLES})
    return RecordsHeader(
        layout=data.examples.layout,
        length=data.examples.length,
        target_length=getattr(data.examples, "target_length", 0),
        vocabulary_size=size,
        token_dtype="uint16" if size <= 2**16 else "uint32",
        pad_id=special.pad,
        unk_id=special.unk,
        cls_id=special.cls,
        sep_id=special.sep,
        mask_id=special.mask,
        reserved_ids=reserved,
        word_unit=data.word_unit,
        tokenizer_sha256="",
        rows={},
        tokens={},
        fingerprint="",
    )


def print_plan(
    name: str,
    recipe: TrainingRecipe,
    header: RecordsHeader,
    on: str,
    machine: Machine,
    mfu: float,
    examples: Path | None = None,
) -> None:
    """Prints the plan; where the recipe does not fit, of the first change that fits with it.

    - `name`, `on`: of the recipe and the machine, for people.
    - `header`, `examples`: of the main records; the folder of a prepared run's, None before.
    - `mfu`: model FLOPs utilisation to assume, 0 to 1.

    Raises InputError for a recipe that cannot work on so many devices, WorkError where nothing makes it fit.
    """
    check(recipe)
    check_attention(recipe, machine.device_kind)
    if not 0 < mfu <= 1:
        raise InputError(f"--mfu {mfu}: must be above 0 and at most 1")
    _line(f"{name} on {on}", f"{machine.devices} x {machine.device_kind}, {machine.chips} chips; {_how(machine)}")
    _line("disk", disk(recipe, header, examples))
    schedule = stretches(recipe)
    seconds = [_plan_stretch(number, stretch, header, machine, mfu) for number, stretch in enumerate(schedule)]
    if len(schedule) > 1:
        _line("all phases", _duration(math.fsum(seconds), machine) if all(seconds) else "unknown")


def _plan_stretch(number: int, stretch: Stretch, header: RecordsHeader, machine: Machine, mfu: float) -> float:
    """Prints the plan of one stretch; returns its seconds, 0 where they are not known."""
    accumulation = "accumulation"
    if stretch.length is not None:
        header = replace(header, length=stretch.length)
        accumulation = f"phases.{number}.accumulation"
        _line(f"phase {number}", f"steps {stretch.start + 1:,} to {stretch.stop:,}, rows of {stretch.length} tokens")
    _sizes(stretch.recipe, header)
    needs = _needs(header, machine)
    fitting, footprint = _fitted(stretch.recipe, needs, machine, accumulation)
    if footprint.program:
        _collectives(footprint.module, machine)
    seconds = _time(replace(stretch, recipe=fitting), header, machine, mfu)
    _roofline(fitting, header, footprint, machine, mfu)
    return seconds


def _needs(header: RecordsHeader, machine: Machine) -> Needs:
    if not machine.topology:
        return lambda recipe: estimate_step(recipe, header, machine.devices)
    devices = topology_devices(machine)
    return lambda recipe: compile_step(recipe, header, devices)


def _how(machine: Machine) -> str:
    if not machine.topology:
        return "by arithmetic" + (", all parameters on each" if machine.devices > 1 else "")
    return f"compiled with jax {jax.__version__}, libtpu {importlib.metadata.version('libtpu')}"


def _sizes(recipe: TrainingRecipe, header: RecordsHeader) -> None:
    objective = objective_of(recipe, header)
    tokens = recipe.global_batch_size * header.row_tokens
    per_token = objective.flops_per_row() / header.row_tokens
    _line("parameters", f"{objective.parts.parameter_count():,} in the encoder")
    _line(
        "FLOPs", f"{per_token:.3g} a token forward and backward, {per_token * tokens:.3g} a step of {tokens:,} tokens"
    )


def _fitted(
    recipe: TrainingRecipe, needs: Needs, machine: Machine, accumulation: str = "accumulation"
) -> tuple[TrainingRecipe, Footprint]:
    """The recipe if it fits, or the first change of `_changes` that does.

    - `accumulation`: the name of its field.
    """
    first = _tried("memory", "", recipe, needs, machine)
    limit = _limit(first, machine)
    if first.peak <= limit:
        return recipe, first
    step_bytes = first.peak - first.state
    for changed in _changes(recipe, machine):
        # What the step makes shrinks with the rows of a microbatch; with sharded parameters or recomputation, unknown.
        alike = changed.remat == recipe.remat and changed.mesh == recipe.mesh
        expected = first.state + step_bytes * recipe.accumulation / changed.accumulation
        if alike and expected > CAUTION * limit:
            continue
        footprint = _tried("  instead", _flags(changed, recipe, accumulation), changed, needs, machine)
        if footprint.peak <= _limit(footprint, machine):
            return changed, footprint
    raise WorkError(
        f"nothing tried makes the step fit in {limit / GIB:.1f} GiB a device; lower --training.global-batch-size or the "
        "model, or take a larger machine"
    )


def _changes(recipe: TrainingRecipe, machine: Machine) -> Iterator[TrainingRecipe]:
    """Ways to need less memory, those without recomputation first: smaller microbatches, split parameters, recomputed layers."""
    rows = machine.devices // recipe.mesh.tensor
    accumulations = [
        accumulation
        for accumulation in (recipe.accumulation * 2**power for power in range(1, 20))
        if recipe.global_batch_size % (accumulation * rows) == 0
    ]
    for accumulation in accumulations:
        yield replace(recipe, accumulation=accumulation)
    smallest = replace(recipe, accumulation=accumulations[-1] if accumulations else recipe.accumulation)
    if rows > 1 and recipe.mesh.fsdp != rows and machine.topology:
        smallest = replace(smallest, mesh=replace(recipe.mesh, data=1, fsdp=rows))
        yield smallest
    for remat in REMAT[REMAT.index(recipe.remat) + 1 :]:
        if remat != "attention" or recipe.attention in ("auto", "xla"):  # the fused kernels keep no scores
            yield replace(smallest, remat=remat)


def _tried(label: str, flags: str, recipe: TrainingRecipe, needs: Needs, machine: Machine) -> Footprint:
    """Compiles or estimates, and prints what came out."""
    began = time.monotonic()
    footprint = needs(recipe)
    seconds = f" (compiled in {time.monotonic() - began:.0f} s)" if machine.topology else ""
    limit = _limit(footprint, machine)
    fits = "fits" if footprint.peak <= limit else "does not fit"
    what = f"{flags}: " if flags else ""
    _line(
        label,
        f"{what}{footprint.peak / GIB:.2f} of {limit / GIB:.2f} GiB a device, {footprint.state / GIB:.2f} of them parameters, "
        f"optimizer and batch: {fits}{seconds}",
    )
    return footprint


def _flags(recipe: TrainingRecipe, before: TrainingRecipe, accumulation: str = "accumulation") -> str:
    """The flags of `train` that make one recipe of the other."""
    pairs = (
        (accumulation, recipe.accumulation, before.accumulation),
        ("mesh.data", recipe.mesh.data, before.mesh.data),
        ("mesh.fsdp", recipe.mesh.fsdp, before.mesh.fsdp),
        ("remat", recipe.remat, before.remat),
    )
    return " ".join(f"--training.{field} {now}" for field, now, then in pairs if now != then)


def _limit(footprint: Footprint, machine: Machine) -> float:
    """Bytes of a device that a program may use."""
    if footprint.limit is not None:
        return footprint.limit
    if machine.memory_gib is None:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return machine.memory_gib * GIB


def _collectives(module: Module, machine: Machine) -> None:
    found = traffic(module)
    listed = "; ".join(
        f"{each.kind} {each.dtype} x {each.calls}: {each.bytes / 1e6:,.1f} MB" for each in found if each.bytes
    )
    _line("collectives", f"{listed or 'none'} a device and step" if machine.devices > 1 else "none: one device")


def _time(stretch: Stretch, header: RecordsHeader, machine: Machine, mfu: float) -> float:
    """Prints speed and time of a stretch; returns its seconds, 0 where the device's peak is not known."""
    recipe = stretch.recipe
    peak = recipe.peak_tflops_per_device or peak_tflops(machine.device_kind)
    if peak is None:
        _line("speed", "unknown: give the device's peak with --training.peak-tflops-per-device")
        return 0.0
    flops_per_token = objective_of(recipe, header).flops_per_row() / header.row_tokens
    tokens_per_second = mfu * peak * 1e12 * machine.devices / flops_per_token
    step_tokens = recipe.global_batch_size * header.row_tokens
    seconds = stretch.rows * header.row_tokens / tokens_per_second
    _line(
        "speed",
        f"about {_rounded(tokens_per_second)} tokens/s, {_rounded(step_tokens / tokens_per_second)} s a step at an assumed MFU of {mfu:.0%} of "
        f"{machine.devices} x {peak:g} TFLOP/s",
    )
    warmup = stretch.warmup
    growing = f", {warmup.first_rows * header.row_tokens:,} tokens at first" if warmup else ""
    steps = stretch.stop - stretch.start
    _line("time", f"{steps:,} steps of {step_tokens:,} tokens{growing}: {_duration(seconds, machine)}")
    return seconds


def _roofline(
    recipe: TrainingRecipe, header: RecordsHeader, footprint: Footprint, machine: Machine, mfu: float
) -> None:
    found = roofline_of(recipe, header, footprint, machine)
    if found is None:
        _line("roofline", "unknown: no peaks of this device's memory and products")
        return
    roofline, most = found
    how = "" if footprint.program else ", by arithmetic: a real step moves more"
    links = "unknown" if roofline.links is None else f"{roofline.links:.3g} s"
    _line(
        "roofline",
        f"products {roofline.products:.3g} s, memory {roofline.memory:.3g} s ({roofline.memory_bytes / 1e9:.3g} GB at "
        f"{roofline.memory_peak:,.0f} GB/s), links {links}{how}",
    )
    least = "instructions in turn" if roofline.least == roofline.in_turn else "at least"
    beyond = f"; the assumed {mfu:.0%} is out of reach" if mfu > most else ""
    by_xla = f" (XLA's own estimate: {roofline.by_xla:.3g} s)" if roofline.by_xla else ""
    _line(
        "", f"{least} {roofline.least:.3g} s a step{by_xla}: at most {most:.0%} MFU, bound by {roofline.bound}{beyond}"
    )


def roofline_of(
    recipe: TrainingRecipe, header: RecordsHeader, footprint: Footprint, machine: Machine
) -> tuple[Roofline, float] | None:
    """The roofline of a step that fits, and the MFU that it leaves; None where the device's peaks are not known."""
    peak = recipe.peak_tflops_per_device or peak_tflops(machine.device_kind)
    if peak is None:
        return None
    flops = objective_of(recipe, header).flops_per_row() * recipe.global_batch_size / machine.devices
    if footprint.program:
        roofline = compiled_roofline(footprint, flops, machine, peak)
    else:
        made = (footprint.peak - footprint.state) * recipe.accumulation
        sent = footprint.gradients * jnp.dtype(recipe.gradient_dtype).itemsize / 4
        roofline = estimated_roofline(flops, footprint.state, made, sent, machine, peak)
    return None if roofline is None else (roofline, roofline.most_mfu(flops, peak))


def _duration(seconds: float, machine: Machine) -> str:
    """Of an assumed speed, so rounded as that is."""
    size, unit = next((pair for pair in UNITS if seconds >= 2 * pair[0]), UNITS[-1])
    return f"about {_rounded(seconds / size)} {unit}, {_rounded(seconds / 3600 * machine.chips)} chip-hours"


def _rounded(value: float) -> str:
    """Two digits, which is more than an assumed MFU knows: 380,000, 0.35, 4."""
    digits = 2 - len(str(int(value)))
    return f"{round(value, digits):,.0f}" if value >= 10 else f"{value:.2g}"


def _line(label: str, text: str) -> None:
    print(f"{label:<12} {text}", flush=True)
