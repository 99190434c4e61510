"""python -m pretrain.devices: whether the devices answer, before any long work."""

import sys

import jax
import jax.numpy as jnp

from data_pipeline.contract.errors import WorkError, run_command


def check_devices() -> str:
    """Runs one matrix product on every device and returns a line that names them; a WorkError where one does not answer."""
    try:
        devices = jax.devices()
        for device in devices:
            product = jnp.ones((128, 128), device=device) @ jnp.ones((128, 128), device=device)
            if float(product[0, 0]) != 128.0:
                raise WorkError(f"{device}: a matrix product came out wrong; restart the machine")
    except RuntimeError as error:
        raise WorkError(f"no device answers ({str(error).splitlines()[0]}); is another process holding it?") from None
    return f"{len(devices)} x {devices[0].device_kind} ({devices[0].platform}), jax {jax.__version__}: each multiplied two matrices"


if __name__ == "__main__":
    run_command(lambda: print(check_devices()))
    sys.exit(0)
