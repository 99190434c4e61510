"""--step of the commands that read a checkpoint."""

from typing import Literal

Step = int | Literal["latest"] | None


def step_number(step: Step) -> int | None:
    """The step, None for the newest one that is valid."""
    return None if step == "latest" else step
