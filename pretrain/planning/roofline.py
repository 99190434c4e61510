"""The least time of a step: what it multiplies, moves and sends, over what a device does at most (Williams et al. 2009, "Roofline")."""

from collections.abc import Iterable
from dataclasses import dataclass

from pretrain.devices.peaks import peaks_of
from pretrain.planning.ahead_of_time import Footprint
from pretrain.planning.collectives import traffic
from pretrain.planning.machines import Machine
from pretrain.planning.work import Work, work_of


@dataclass(frozen=True)
class Roofline:
    """Seconds that one device needs for a step at least, by what it does.

    - `products`, `memory`, `links`: if it did nothing else; `links` is None where the speed of the links is not known.
    - `in_turn`: with one instruction after the other, each bound by its products or by its memory; None where there is no program.
    - `memory_bytes`: read and written; `memory_peak`: GB/s.
    - `by_xla`: XLA's `optimal_seconds`, a sum like `in_turn`; None where a loop over layers, whose body it counts once, or a negative
      number shows that it is not to be believed.
    """

    products: float
    memory: float
    links: float | None
    in_turn: float | None
    memory_bytes: float
    memory_peak: float
    by_xla: float | None = None

    @property
    def bound(self) -> str:
        """What takes longest."""
        seconds = {"products": self.products, "memory": self.memory, "links": self.links or 0.0}
        return max(seconds, key=lambda name: seconds[name])

    @property
    def least(self) -> float:
        """Seconds of a step. What is sent may overlap with the rest."""
        return max(self.products, self.memory, self.links or 0.0, self.in_turn or 0.0)

    def most_mfu(self, flops: float, tflops: float) -> float:
        """The model FLOPs utilisation that it leaves.

        - `flops`: of the model, in a step, of one device; `tflops`: the device's peak.
        """
        return flops / (tflops * 1e12) / self.least


def compiled_roofline(footprint: Footprint, flops: float, machine: Machine, tflops: float) -> Roofline | None:
    """Of a compiled step; None where the speed of the device's memory is not known.

    - `flops`: of the model, in a step, of one device; what a program does not show of them is in its kernels, whose products the text
      does not tell.
    - `tflops`: the device's peak.
    """
    peaks = peaks_of(machine.device_kind)
    if peaks is None or peaks.memory is None:
        return None
    module = footprint.module
    works = work_of(module)
    shown = sum(each.flops for each in works)
    moved = sum(each.bytes for each in works)
    sent = sum(each.sent for each in traffic(module, machine.devices_per_chip))
    return Roofline(
        products=max(shown, flops) / (tflops * 1e12),
        memory=moved / (peaks.memory * 1e9),
        links=_links(sent, peaks.link, machine),
        in_turn=in_turn(works, max(0.0, flops - shown), tflops, peaks.memory),
        memory_bytes=moved,
        memory_peak=peaks.memory,
        by_xla=footprint.xla_seconds if footprint.xla_seconds > 0 and footprint.xla_flops > 0.9 * shown else None,
    )


def in_turn(works: Iterable[Work], in_kernels: float, tflops: float, memory: float) -> float:
    """Seconds of instructions that follow each other; what runs beside them (`*-start`) is left out.

    - `in_kernels`: FLOPs that the kernels do at least.
    """
    seconds, kernels = 0.0, 0.0
    for each in works:
        moving = each.bytes / (memory * 1e9)
        if each.kernel:
            kernels += moving
        elif not each.beside:
            seconds += max(each.flops / (tflops * 1e12), moving)
    return seconds + max(kernels, in_kernels / (tflops * 1e12))


def estimated_roofline(
    flops: float, state: int, made: int, gradients: float, machine: Machine, tflops: float
) -> Roofline | None:
    """By arithmetic, where nothing is compiled: a bound that real programs exceed by far. None as in `compiled_roofline`.

    - `flops`: of the model, in a step, of one device.
    - `state`, `made`: bytes of parameters and optimizer, and of what all microbatches keep for the backward pass; each is written once
      and read once.
    - `gradients`: bytes that each device sums with the others'.
    """
    peaks = peaks_of(machine.device_kind)
    if peaks is None or peaks.memory is None:
        return None
    moved = 2 * (state + made)
    return Roofline(
        products=flops / (tflops * 1e12),
        memory=moved / (peaks.memory * 1e9),
        links=_links(2 * (machine.devices - 1) / machine.devices * gradients, peaks.link, machine),
        in_turn=None,
        memory_bytes=moved,
        memory_peak=peaks.memory,
    )


def _links(sent: float, link: float | None, machine: Machine) -> float | None:
    """Seconds in which a chip sends what it must.

    - `sent`: bytes; `link`: GB/s of one link.
    """
    if not sent:
        return 0.0
    return None if link is None or not machine.links else sent / (link * 1e9 * machine.links)
