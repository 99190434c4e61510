"""How the C library handles the memory in which a CPU computes."""

import ctypes
import logging
import platform

log = logging.getLogger("pretrain")
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8
"""Parameters of mallopt (malloc.h of glibc)."""


def keep_freed_memory() -> None:
    """Makes glibc keep freed memory for the next allocation; without glibc nothing happens.

    XLA takes the memory of a step's activations from malloc, step by step. glibc gives such large blocks back to the system at
    once, so that each step touches new pages: at 630 MB a step that was a fifth of all CPU time, spent in the kernel.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    # One heap, grown by brk and never trimmed, for all threads.
    wishes = ((M_ARENA_MAX, 1), (M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, -1))
    refused = [parameter for parameter, value in wishes if not libc.mallopt(parameter, value)]
    if refused:
        log.warning("glibc refuses to keep freed memory: steps on the CPU take about a fifth longer")
