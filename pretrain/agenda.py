"""What is due after a training step: a log line, an evaluation, probes, a checkpoint, the end of this start."""

import time
from typing import NamedTuple

from pretrain.devices.preemption import Notice, any_process
from pretrain.recipe import TrainingRecipe


class Due(NamedTuple):
    """What is due after a step; `stop` names what ends this start early, or is empty."""

    log: bool
    evaluate: bool
    probe: bool
    save: bool
    stop: str

    @property
    def nothing(self) -> bool:
        """Whether training simply continues."""
        return not (self.log or self.evaluate or self.probe or self.save)


class Agenda:
    """Decides what is due, the same on every process; all of them ask after every step.

    - `stop`: steps at the end.
    - `began`: time.perf_counter at which this start began.
    """

    def __init__(self, recipe: TrainingRecipe, notice: Notice, stop: int, began: float) -> None:
        self._recipe, self._notice, self._stop, self._began = recipe, notice, stop, began
        self._last_save = time.perf_counter()

    def after(self, done: int, phase_stop: int, *, held_out: bool) -> Due:
        """What is due after step `done`.

        - `phase_stop`: steps at the end of its phase; `held_out`: whether that has held-out rows.
        """
        recipe, phase_stop = self._recipe, min(phase_stop, self._stop)
        log = due(done, recipe.log_every_steps, phase_stop)
        save_wish = longer_ago(self._last_save, recipe.checkpoints.every_minutes or None)
        save_wish, out_of_time = any_process(save_wish, longer_ago(self._began, recipe.stop_after_minutes), ask=log)
        stop = f"after --training.stop-after-minutes {recipe.stop_after_minutes:g}" if out_of_time else ""
        if self._notice.stops_after(done):
            stop = f"by {self._notice.name}"
        evaluate = held_out and due(done, recipe.evaluation.every_steps, phase_stop) and not stop
        every = recipe.probes.every_steps
        probe = every > 0 and due(done, every, self._stop) and not stop
        intervals = (recipe.checkpoints.every_steps, recipe.checkpoints.milestone_every_steps)
        save = any(due(done, every, self._stop) for every in intervals) or save_wish or bool(stop)
        return Due(log, evaluate, probe, save, stop)

    def saved(self) -> None:
        """A checkpoint was begun just now."""
        self._last_save = time.perf_counter()


def due(done: int, every: int, stop: int) -> bool:
    """Whether something that happens every so many steps (0: never) and at the end happens after `done` steps."""
    return done == stop or (every > 0 and done % every == 0)


def longer_ago(moment: float, minutes: float | None) -> bool:
    """Whether a moment of time.perf_counter is so many minutes ago; never where there is no limit."""
    return minutes is not None and time.perf_counter() - moment > 60 * minutes
