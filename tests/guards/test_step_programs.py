"""The train and evaluation steps are the very programs that step_programs.json names."""

from pathlib import Path

import jax
import pytest
from step_programs import CASES, Case, hashes, kept, write_examples

IN_THE_FAST_SUITE = (
    Case("1 device", "two lengths", "adamw"),
    Case("data 8", "accumulated", "lamb"),
    Case("fsdp 8", "pairs", "muon"),
    Case("tensor 2", "pairs", "adafactor"),
)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    write_examples(folder)
    return folder


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=() if case in IN_THE_FAST_SUITE else pytest.mark.slow, id=str(case)) for case in CASES],
)
def test_a_step_is_the_program_that_it_was(case: Case, examples: Path) -> None:
    before = kept()
    if not before:
        pytest.skip(f"step_programs.json has no hashes of jax {jax.__version__}")
    for name, found in hashes(examples, case):
        assert found == before[name], f"{name}: another program than step_programs.json names; see step_programs.py"
