"""python -m pretrain.devices.smoke_test: whether all devices answer, before any long work."""

import sys

import jax
import jax.numpy as jnp

from data_pipeline.contract.errors import WorkError, run_command
from pretrain.devices.available import available_devices, no_device
from pretrain.devices.processes import join_processes


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


def main() -> None:
    """All hosts of a slice at a time, as its runtime wants it."""
    join_processes()
    print(check_devices())


if __name__ == "__main__":
    run_command(main)
    sys.exit(0)
