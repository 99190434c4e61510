"""The benchmark for CPUs: its rows do the same work, or no page is written."""

import pytest

from benchmarks.train_step.page import LOOP, OURS, TOLERANCE, refuse_other_work
from data_pipeline.contract.errors import WorkError

READY = {
    OURS: {"parameters": 10, "dropouts": (0.1, 0.0), "loss": 5.0},
    LOOP: {"parameters": 10, "dropouts": (0.1, 0.0), "loss": 5.0, "logits": TOLERANCE / 2},
}
TOLD = {OURS: {"loss": 4.0}, LOOP: {"loss": 4.0}}


def test_rows_that_do_the_same_work_are_accepted() -> None:
    refuse_other_work(READY, TOLD, TOLERANCE)


@pytest.mark.parametrize(
    ("fact", "other", "message"),
    [
        ("parameters", 11, "their parameters differ"),
        ("dropouts", (0.1, 0.1), "their dropouts differ"),
        ("logits", TOLERANCE * 2, "logits differ from ours"),
        ("loss", 3.0, "does not train"),
    ],
)
def test_a_row_that_does_other_work_is_refused(fact: str, other: object, message: str) -> None:
    with pytest.raises(WorkError, match=message):
        refuse_other_work({**READY, LOOP: {**READY[LOOP], fact: other}}, TOLD, TOLERANCE)
