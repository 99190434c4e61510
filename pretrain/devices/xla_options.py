"""XLA's options for the train step, by machine. No JAX here."""

from collections.abc import Iterable, Mapping

from data_pipeline.contract.errors import InputError

Options = dict[str, bool | int | float | str]

OVERLAPPED: Options = {
    "xla_tpu_enable_data_parallel_all_reduce_opt": True,
    "xla_tpu_data_parallel_opt_different_sized_ops": True,
}
"""Sums over devices run beside what does not need them (github.com/AI-Hypercomputer/maxtext, xla_flags_library.py). Compiled for v5e
only, and measured nowhere."""

XLA_OPTIONS: Mapping[str, Options] = {
    "TPU v5": OVERLAPPED,
    "TPU v6": OVERLAPPED,
    "TPU7x": OVERLAPPED,
    # docs.jax.dev/en/latest/gpu_performance_tips.html; neither compiled nor measured here
    "NVIDIA": {"xla_gpu_enable_latency_hiding_scheduler": True},
}
"""Beginning of a device kind -> options. v2 to v4 and CPUs do best with XLA's own."""


def xla_options(device_kind: str, given: Iterable[str]) -> Options:
    """The options for a device kind, and over them those of the recipe.

    - `given`: `NAME=VALUE`; true, false and numbers become such.

    Raises InputError for what is not of this form.
    """
    options = next((options for kind, options in XLA_OPTIONS.items() if device_kind.startswith(kind)), {})
    return {**options, **dict(map(_parsed, given))}


def _parsed(option: str) -> tuple[str, bool | int | float | str]:
    name, equals, value = option.partition("=")
    if not name or not equals:
        raise InputError(
            f"--training.xla-options {option}: must be NAME=VALUE, as in xla_tpu_scoped_vmem_limit_kib=65536"
        )
    if value in ("true", "false"):
        return name, value == "true"
    for number in (int, float):
        try:
            return name, number(value)
        except ValueError:
            continue
    return name, value
