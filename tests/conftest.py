"""JAX tests run on eight virtual CPU devices; this must be said before the first device is asked for."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
try:
    import jax
except ImportError:  # the data room is tested without JAX as well
    pass
else:
    jax.config.update("jax_num_cpu_devices", 8)
