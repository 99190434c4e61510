"""The peaks of devices, and MFU with its denominator."""

PEAK_TFLOPS: tuple[tuple[str, float], ...] = (
    # Google Cloud, "TPU versions" (cloud.google.com/tpu/docs/v2 and so on) gives bf16 peaks by chip: v2 45, v3 123, v4 275,
    # v5e 197, v5p 459, v6e 918, TPU7x 2307. JAX exposes the two cores of v2 and v3, and the two chiplets of TPU7x, as devices.
    ("TPU v2", 22.5),
    ("TPU v3", 61.5),
    ("TPU v4", 275.0),
    ("TPU v5 lite", 197.0),
    ("TPU v5e", 197.0),
    ("TPU v5", 459.0),
    ("TPU v6", 918.0),
    ("TPU7x", 1153.5),
    # NVIDIA's data sheets, "BFLOAT16 Tensor Core" without sparsity.
    ("NVIDIA A100", 312.0),
    ("NVIDIA H100 PCIe", 756.0),
    ("NVIDIA H100 NVL", 835.0),
    ("NVIDIA H100", 989.0),
    ("NVIDIA H200 NVL", 835.0),
    ("NVIDIA H200", 989.0),
)
"""Beginning of a JAX device kind -> dense bf16 peak of one JAX device in TFLOP/s. The first that fits counts."""


def peak_tflops(device_kind: str) -> float | None:
    """The dense bf16 peak of one JAX device in TFLOP/s; None where it is not known (a CPU, a device newer than the table)."""
    return next((peak for beginning, peak in PEAK_TFLOPS if device_kind.startswith(beginning)), None)


def model_flops_utilisation(flops_per_second: float, peak: float | None, devices: int) -> float | None:
    """Model FLOPs of real tokens over the devices' peak, 0 to 1 (Chowdhery et al. 2022, arXiv 2204.02311, appendix B).

    - `peak`: of one device, TFLOP/s; None gives None.
    """
    return None if peak is None else flops_per_second / (peak * 1e12 * devices)
