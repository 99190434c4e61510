"""Tells when a run begins to wait for its data, and for which part of their making."""

import logging

from pretrain.input.batches import StageSeconds

log = logging.getLogger("pretrain")
BORNE = 0.02
"""Share of the time that may go into waiting for data."""


class DataWait:
    """Watches the share that is waited.

    - `spent`: of the batches; reset at each look.
    """

    def __init__(self, spent: StageSeconds) -> None:
        self.spent = spent
        self._looks = 0
        self._above = False

    def look(self, step: int, waited: float, seconds: float) -> None:
        """Warns where the share rises above BORNE: once, until it has been below again.

        The stretch in which a start fills its first batches is not looked at.
        """
        stages, share = self.spent.seconds, waited / seconds
        self.spent.reset()
        self._looks += 1
        above = self._looks > 1 and share > BORNE
        if above and not self._above:
            total = sum(stages.values()) or 1.0
            most = max(stages, key=lambda name: stages[name])
            shares = ", ".join(f"{name} {value / total:.0%}" for name, value in stages.items())
            log.warning(
                "step %d: %.1f%% of the time is waiting for data (%.0f%% is borne); most of their making is %s (%s); "
                "`python -m pretrain bench-input RUN_DIR` measures it alone",
                *(step, 100 * share, 100 * BORNE, most, shares),
            )
        self._above = above
