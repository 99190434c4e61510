"""The devices that this machine offers, and where programs compiled for them are kept.

Whoever needs devices takes them from `available_devices`, so that every command says the same where there are none.
"""

import logging
import os
import re
import tempfile
from pathlib import Path

import jax

from data_pipeline.contract.errors import InputError, WorkError
from pretrain.devices.holders import DEVICE_NODES, LOCK_FILES, Holder, command_of, existing, find_holders

log = logging.getLogger("pretrain")
INSTALL = "install JAX for the accelerator (./run_tpu.sh --install-only does)"
AMPERE = 8.0
"""The compute capability with which bfloat16 came (CUDA C++ Programming Guide, table "Arithmetic Instructions")."""
MOST_HOLDERS = 3
"""Processes named in a sentence."""


def available_devices() -> list[jax.Device]:
    """All devices of all processes.

    Raises InputError where JAX_PLATFORMS names a platform that JAX does not know; WorkError where no device answers, naming
    the processes that hold it, and where JAX would quietly take the CPU of a machine that has an accelerator.
    """
    try:
        devices = jax.devices()
    except (RuntimeError, AssertionError) as error:  # the assertion: JAX_PLATFORMS=cuda on a machine without a GPU
        raise no_device(error) from None
    nodes = existing(DEVICE_NODES)
    if nodes and devices[0].platform == "cpu" and not platforms_asked_for():
        holders = find_holders((*DEVICE_NODES, *LOCK_FILES))[0]
        held = f" ({'; '.join(map(str, holders[:MOST_HOLDERS]))})" if holders else ""
        raise WorkError(
            f"this machine has {nodes[0]}, but JAX found the CPU only{held}; {INSTALL}, or set JAX_PLATFORMS=cpu to compute "
            "on the CPU"
        )
    return devices


def bfloat16_warning(device: jax.Device) -> str | None:
    """A sentence where a device is an NVIDIA GPU without bfloat16 arithmetic, which XLA imitates there; None for others."""
    capability = str(getattr(device, "compute_capability", ""))  # ROCm's are names, gfx90a
    if not re.fullmatch(r"\d+\.\d+", capability) or float(capability) >= AMPERE:
        return None
    return (
        f"--training.compute-dtype bfloat16: {device.device_kind} has compute capability {capability}, and bfloat16 came with {AMPERE} "
        "(Ampere): XLA imitates it, which is slow; give --training.compute-dtype float32"
    )


def platforms_asked_for() -> str:
    """The platforms of JAX_PLATFORMS or of jax.config; empty where JAX chooses."""
    return jax.config.values["jax_platforms"] or ""


def no_device(error: Exception) -> InputError | WorkError:
    """The user's error for what JAX raised, with who holds the device."""
    platforms = platforms_asked_for()
    if unknown := re.search(r"Backend '(.+?)' is not in the list of known backends: \[(.*?)\]", str(error)):
        known = unknown[2].replace("'", "")
        return InputError(
            f"JAX_PLATFORMS={platforms}: the JAX installed here knows {known}, not {unknown[1]}; set JAX_PLATFORMS to one of "
            f"these, or {INSTALL}"
        )
    lines = str(error).strip().splitlines() or [f"JAX found none for JAX_PLATFORMS={platforms}"]
    reason = re.sub(r" \((set|you may need to) .*\)$", "", lines[0])[:300].rstrip(".")
    holders, all_seen = find_holders((*DEVICE_NODES, *LOCK_FILES))
    named = re.search(r"process with pid (\d+)", reason)  # libtpu looks for it, too
    if named and not any(holder.pid == int(named[1]) for holder in holders):
        holders.append(Holder(int(named[1]), command_of(int(named[1])), "the TPU"))
    nodes = existing(DEVICE_NODES)
    if holders:
        who = "; ".join(map(str, holders[:MOST_HOLDERS]))
        what = f"{who}: wait for it or stop it, or set JAX_PLATFORMS=cpu to compute without"
    elif not nodes:
        what = "this machine has no TPU and no NVIDIA GPU; set JAX_PLATFORMS=cpu to compute on the CPU"
    elif "cannot open shared object file" in reason:
        what = INSTALL
    elif all_seen:
        what = f"no process holds {nodes[0]}; restart the machine, or set JAX_PLATFORMS=cpu to compute without"
    else:
        what = f"no process of yours holds {nodes[0]}; `sudo lsof -w {nodes[0]}` shows those of other users"
    return WorkError(f"no device answers ({reason}); {what}")


def use_compilation_cache() -> None:
    """Keeps compiled programs, so that a rerun starts fast: in a folder of the user, or JAX_COMPILATION_CACHE_DIR.

    JAX_ENABLE_COMPILATION_CACHE=false turns it off.
    """
    if not jax.config.values["jax_enable_compilation_cache"]:
        log.info("compiled programs are not kept (JAX_ENABLE_COMPILATION_CACHE)")
        return
    folder = jax.config.values["jax_compilation_cache_dir"]
    own = not folder
    if own:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = str(Path(home) / "korean-pretrain" / "jax")
        jax.config.update("jax_compilation_cache_dir", folder)
    if problem := _refuses(folder):
        if own:
            jax.config.update("jax_compilation_cache_dir", None)  # or JAX would warn of each program
        log.warning(
            "compiled programs are not kept, so that the next start compiles again: %s cannot be written (%s); set "
            "JAX_COMPILATION_CACHE_DIR to a folder of yours",
            *(folder, problem),
        )
        return
    log.info("compiled programs are kept in %s", folder)


def _refuses(folder: str) -> str:
    """Why nothing can be written to a folder of this machine, in the system's words; empty where it can."""
    if "://" in folder:
        return ""
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return error.strerror or str(error)
