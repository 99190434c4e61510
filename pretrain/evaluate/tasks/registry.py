"""The tasks and suites by name."""

import difflib

from data_pipeline.contract.errors import InputError
from pretrain.evaluate.tasks.klue import KLUE
from pretrain.evaluate.tasks.korean import KOREAN
from pretrain.evaluate.tasks.task import Task

SUITES: dict[str, tuple[Task, ...]] = {"klue": KLUE, "korean": KOREAN}
TASKS: dict[str, Task] = {task.name: task for suite in SUITES.values() for task in suite}


def task_named(name: str, flag: str = "--task", other: str = ", or the path of a description, NAME.py") -> Task:
    """The task of this name.

    - `flag`: what an error calls it; `other`: what may be given as well.

    Raises InputError with the name that was probably meant.
    """
    if name not in TASKS:
        raise _unknown(flag, name, list(TASKS), other)
    return TASKS[name]


def is_description(name: str) -> bool:
    """Whether a task is named by the path of its description, NAME.py."""
    return name.endswith(".py")


def suite_named(name: str) -> tuple[Task, ...]:
    """The tasks of a suite. Raises InputError with the name that was probably meant."""
    if name not in SUITES:
        raise _unknown("--suite", name, list(SUITES), "")
    return SUITES[name]


def _unknown(flag: str, name: str, known: list[str], other: str) -> InputError:
    asked = name.lower().replace("-", "_")
    near = [one for one in known if asked and asked in one] or difflib.get_close_matches(asked, known, n=2)
    meant = f" (did you mean {' or '.join(near[:2])}?)" if near else ""
    return InputError(f"{flag} {name}: unknown{meant}; must be one of {', '.join(known)}{other}")
