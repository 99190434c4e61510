"""python -m pretrain.devices.smoke_test: whether all devices answer, and compute what they should, before any long work."""

import sys
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp

from data_pipeline.contract.errors import WorkError, run_command
from pretrain.devices.available import available_devices, no_device
from pretrain.devices.processes import join_processes
from pretrain.models.core.attention import attention

KERNEL = partial(attention, implementation="pallas")
ROUNDING = 2**-5
"""Largest difference of two ways to compute attention in bfloat16, from numbers of size 1."""


def check_devices() -> str:
    """Runs one matrix product on every device and returns a line that names them; errors as `available_devices`."""
    devices = available_devices()
    try:
        for device in jax.local_devices():  # those of other hosts are theirs to check
            product = jnp.ones((128, 128), device=device) @ jnp.ones((128, 128), device=device)
            if float(product[0, 0]) != 128.0:
                raise WorkError(f"{device}: a matrix product came out wrong; restart the machine")
    except RuntimeError as error:
        raise no_device(error) from None
    return f"{len(devices)} x {devices[0].device_kind} ({devices[0].platform}), jax {jax.__version__}: each multiplied two matrices"


def check_attention_kernel(kernel: Callable[..., jax.Array] = KERNEL) -> str:
    """Compares the attention kernel for TPUs with plain products, values and gradients, and returns a line that tells the difference.

    Raises WorkError where it is more than rounding, or this machine's compiler does not take the kernel.
    """
    draws = jax.random.split(jax.random.key(0), 4)
    q, k, v, gradient = (jax.random.normal(key, (2, 512, 2, 64), jnp.bfloat16) for key in draws)
    segments = jnp.broadcast_to(jnp.arange(512) // 200, (2, 512))
    how = {"segments": segments, "dropout_rate": 0.1, "dropout_key": jax.random.split(jax.random.key(1), 2)}

    def numbers(attend: Callable[..., jax.Array]) -> tuple[jax.Array, ...]:
        mixed, pull_back = jax.vjp(partial(attend, **how), q, k, v)
        return mixed, *pull_back(gradient)

    advice = "train with --training.attention xla, and report the versions of jax and libtpu"
    try:
        pairs = zip(
            jax.jit(numbers, static_argnums=0)(kernel), numbers(partial(attention, implementation="xla")), strict=True
        )
        difference = max(
            float(jnp.abs(one.astype(jnp.float32) - other.astype(jnp.float32)).max()) for one, other in pairs
        )
    except Exception as error:  # the compiler raises classes of its own
        reason = str(error).partition("\n")[0]
        raise WorkError(f"attention pallas: this machine does not run the kernel ({reason}); {advice}") from None
    if not difference <= ROUNDING:
        raise WorkError(f"attention pallas: differs from plain products by {difference:.3g} on this machine; {advice}")
    return f"attention pallas: differs from plain products by {difference:.1g}, which is rounding"


def main() -> None:
    """All hosts of a slice at a time, as its runtime wants it."""
    join_processes()
    print(check_devices())
    if jax.default_backend() == "tpu":
        print(check_attention_kernel())


if __name__ == "__main__":
    run_command(main)
    sys.exit(0)
