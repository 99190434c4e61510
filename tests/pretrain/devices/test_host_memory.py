import platform
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, resource
from pretrain.devices.host_memory import keep_freed_memory

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
PAGES, PAGE = 10_000, 4096

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        block = ctypes.c_void_p(libc.malloc(PAGES * PAGE))
        libc.memset(block, 1, PAGES * PAGE)
        libc.free(block)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / PAGES

before = faults()
keep_freed_memory()
faults()
print(before, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_freed_memory_comes_back_without_touching_new_pages() -> None:
    """In a process of its own, for it holds as long as the process."""
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    before, after = map(float, ran.stdout.split())
    assert before > 4  # else this machine would not need it
    assert after < 0.1
