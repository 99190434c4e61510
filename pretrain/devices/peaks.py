"""The peaks of devices, and MFU with its denominator."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DevicePeaks:
    """What one JAX device does at most.

    - `tflops`: dense bf16 products, TFLOP/s.
    - `memory`: to and from its main memory, GB/s (10^9 bytes).
    - `link`: what one link of its chip to a neighbour sends, one way, GB/s; of a GPU, all its NVLinks together.

    None: not known.
    """

    tflops: float
    memory: float | None = None
    link: float | None = None


# TPUs: Google Cloud, "TPU versions" (docs.cloud.google.com/tpu/docs/v3 and so on), by chip: bf16 peaks v2 45, v3 123, v4 275, v5e 197,
# v5p 459, v6e 918, TPU7x 2307 TFLOP/s; memory v3 900, v4 1200, v5e 819, v5p 2765, v6e 1638, TPU7x 7380 GB/s; v2's 716 is in
# jax/_src/pallas/mosaic/tpu_info.py. JAX exposes the two cores of v2 and v3, and the two chiplets of TPU7x, as devices. Links:
# "How to Scale Your Model", chapter 2 (jax-ml.github.io/scaling-book/tpus), one way; it has none for v2.
# NVIDIA: data sheets, "BFLOAT16 Tensor Core" without sparsity; H100 3.35 and H200 4.8 TB/s; NVLink 900 GB/s, half of it each way.
PEAKS: tuple[tuple[str, DevicePeaks], ...] = (
    ("TPU v2", DevicePeaks(22.5, 358)),
    ("TPU v3", DevicePeaks(61.5, 450, 100)),
    ("TPU v4", DevicePeaks(275, 1200, 45)),
    ("TPU v5 lite", DevicePeaks(197, 819, 45)),
    ("TPU v5e", DevicePeaks(197, 819, 45)),
    ("TPU v5", DevicePeaks(459, 2765, 90)),
    ("TPU v6", DevicePeaks(918, 1638, 90)),
    ("TPU7x", DevicePeaks(1153.5, 3690, 90)),
    ("NVIDIA A100", DevicePeaks(312)),
    ("NVIDIA H100 PCIe", DevicePeaks(756)),
    ("NVIDIA H100 NVL", DevicePeaks(835)),
    ("NVIDIA H100", DevicePeaks(989, 3350, 450)),
    ("NVIDIA H200 NVL", DevicePeaks(835)),
    ("NVIDIA H200", DevicePeaks(989, 4800, 450)),
)
"""Beginning of a JAX device kind -> its peaks. The first that fits counts."""


def peaks_of(device_kind: str) -> DevicePeaks | None:
    """The peaks of one JAX device; None where they are not known (a CPU, a device newer than the table)."""
    return next((peaks for beginning, peaks in PEAKS if device_kind.startswith(beginning)), None)


def peak_tflops(device_kind: str) -> float | None:
    """The dense bf16 peak of one JAX device in TFLOP/s; None where it is not known."""
    peaks = peaks_of(device_kind)
    return None if peaks is None else peaks.tflops


def model_flops_utilisation(flops_per_second: float, peak: float | None, devices: int) -> float | None:
    """Model FLOPs of real tokens over the devices' peak, 0 to 1 (Chowdhery et al. 2022, arXiv 2204.02311, appendix B).

    - `peak`: of one device, TFLOP/s; None gives None.
    """
    return None if peak is None else flops_per_second / (peak * 1e12 * devices)
