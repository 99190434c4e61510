"""What all commands have in common."""

import re

import pytest

from data_pipeline.contract.errors import WorkError
from pretrain.__main__ import within_memory


def test_too_little_memory_is_one_sentence() -> None:
    def full(arguments: list[str]) -> None:
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 12345 bytes.\nAllocations: ...")

    told = "the devices have too little memory (Out of memory allocating 12345 bytes); make batches or rows smaller"
    with pytest.raises(WorkError, match=re.escape(told)):
        within_memory(full, [])

    def broken(arguments: list[str]) -> None:
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        within_memory(broken, [])
