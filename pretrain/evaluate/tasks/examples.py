"""What a task's files hold, whatever their format: examples with their gold answers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TextExample:
    """A text or a pair of texts with a class or a score.

    - `name`: what predictions are kept under, unique in its file: a guid, or the line.
    - `second`: None where the task reads single texts.
    - `label`: the name of a class, or a score.
    """

    name: str
    first: str
    second: str | None
    label: str | float
