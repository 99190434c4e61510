"""python -m pretrain.devices: whether the devices answer, before any long work; and where programs compiled for them are kept."""

import logging
import os
import sys
from pathlib import Path

import jax
import jax.numpy as jnp

from data_pipeline.contract.errors import WorkError, run_command

log = logging.getLogger(__name__)


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


def use_compilation_cache() -> None:
    """Keeps compiled programs in a folder of the user (or JAX_COMPILATION_CACHE_DIR), so that a rerun starts fast."""
    folder = jax.config.values["jax_compilation_cache_dir"]
    if not folder:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = str(Path(home) / "korean-pretrain" / "jax")
        jax.config.update("jax_compilation_cache_dir", folder)
    log.info("compiled programs are kept in %s", folder)


if __name__ == "__main__":
    run_command(lambda: print(check_devices()))
    sys.exit(0)
