"""The steps between two log lines, as sums from which the line's means are made."""

import math
import operator
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

import jax
import numpy as np

from pretrain.monitoring.steps.rejected import Rejected
from pretrain.objectives.protocols import Objective
from pretrain.optimization.step import Metrics


@dataclass(frozen=True)
class Totals:
    """Sums over steps in the order in which they were taken, in Python's floats: the same wherever a run was interrupted.

    - `steps`: whose update was accepted; only these count in `sums`, `grad_norm`, `grad_norm_max`, `clipped` and `update_norm`.
    - `rejected`: steps whose update was left out.
    - `real_tokens`, `attended_pairs`: of all steps.
    - `sums`: of the objective's losses, lists of floats where they are arrays. `parameter_norm`: the last step's, no sum.
    """

    steps: int = 0
    rejected: int = 0
    real_tokens: float = 0.0
    attended_pairs: float = 0.0
    clipped: int = 0
    grad_norm: float = 0.0
    grad_norm_max: float = 0.0
    parameter_norm: Mapping[str, float] = field(default_factory=dict)
    update_norm: Mapping[str, float] = field(default_factory=dict)
    sums: Mapping[str, Mapping[str, float | list[float]]] = field(default_factory=dict)

    def plus(self, metrics: Metrics, clip_norm: float) -> Self:
        """With one step more.

        - `metrics`: of `pretrain.optimization.step.train_step`, as floats and lists of floats.
        - `clip_norm`: `Optimizer.clip_norm`.
        """
        of_all = replace(
            self,
            real_tokens=self.real_tokens + metrics["real_tokens"],
            attended_pairs=self.attended_pairs + metrics["attended_pairs"],
            parameter_norm=metrics["parameter_norm"],
        )
        if metrics["rejected"]:
            unknown = {} if self.steps else {name: _unknown(metrics[name]) for name in ("update_norm", "sums")}
            return replace(of_all, rejected=self.rejected + 1, **unknown)
        norm = metrics["grad_norm"]
        return replace(
            of_all,
            steps=self.steps + 1,
            clipped=self.clipped + (0 < clip_norm <= norm),
            grad_norm=self.grad_norm + norm,
            grad_norm_max=max(self.grad_norm_max, norm),
            update_norm=self._added(self.update_norm, metrics["update_norm"]),
            sums=self._added(self.sums, metrics["sums"]),
        )

    def metrics(self, objective: Objective) -> dict[str, float]:
        """What is logged of these steps; docs/watching.md has the names. NaN is what no accepted step tells."""
        means = {
            "grad_norm": self._mean(self.grad_norm),
            "grad_norm_max": self.grad_norm_max if self.steps else math.nan,
            "clipped": self._mean(self.clipped),
            "real_tokens": self.real_tokens,
            "attended_pairs": self.attended_pairs,
            "rejected": float(self.rejected),
        }
        norms = {
            **{f"parameter_norm/{group}": norm for group, norm in self.parameter_norm.items()},
            **{f"update_norm/{group}": self._mean(norm) for group, norm in self.update_norm.items()},
        }
        return {**_of_sums(objective, self.sums), **means, **norms}

    def _mean(self, total: float) -> float:
        return total / self.steps if self.steps else math.nan

    def _added(self, total: Any, of_step: Any) -> Any:
        return jax.tree.map(operator.add, total, of_step) if self.steps else of_step


def _unknown(tree: Any) -> Any:
    return jax.tree.map(lambda _: math.nan, tree)


def _of_sums(objective: Objective, sums: Mapping[str, Mapping[str, float | list[float]]]) -> dict[str, float]:
    with jax.transfer_guard("allow"):
        on_device: Any = {
            loss: {name: np.asarray(value, np.float32) for name, value in of_loss.items()}
            for loss, of_loss in sums.items()
        }
        found = jax.device_get({**objective.metrics(on_device), **objective.counts(on_device)})
    return {name: float(value) for name, value in found.items()}


class Window:
    """The steps since the last log line: their totals, tokens and time.

    - `step`: steps done before the first one that is added.
    - `clip_norm`: `Optimizer.clip_norm`.
    - `before`: `state` of the window in whose middle the checkpoint was saved from which this start continues; its steps count in
      `totals`, but neither in `tokens` nor in `seconds`, which belong to this start.

    Steps stay on the device until `settle`; `add` only keeps the host from running more than two steps ahead, so that the
    time that it waits for data is time that the device would wait too.
    """

    def __init__(self, step: int, clip_norm: float = 0.0, before: Mapping[str, Any] | None = None) -> None:
        self.first = self.step = step
        self.totals = Totals(**before or {})
        self.tokens = 0.0
        self.rejected: list[Rejected] = []
        self._clip_norm = clip_norm
        self._pending: list[Metrics] = []
        self._paused = 0.0
        self._started = time.perf_counter()

    @property
    def state(self) -> dict[str, Any]:
        """The totals of what was settled, JSON-ready, for a checkpoint."""
        known = self.totals if self.totals.steps else replace(self.totals, sums={}, update_norm={})
        return asdict(known)

    def add(self, metrics: Metrics) -> None:
        """Takes the metrics of the next step, as `pretrain.optimization.step.train_step` returns them."""
        self._pending.append(metrics)
        if len(self._pending) > 1:
            jax.block_until_ready(self._pending[-2])

    def settle(self) -> None:
        """Fetches what was added since the last call; `rejected` then tells which of these updates were left out."""
        self.rejected = []
        for fetched in jax.device_get(self._pending):
            metrics = jax.tree.map(lambda value: np.asarray(value).tolist(), fetched)
            self.step += 1
            self.tokens += metrics["real_tokens"]
            self.totals = self.totals.plus(metrics, self._clip_norm)
            if metrics["rejected"]:
                told = (metrics["loss"], metrics["grad_norm"], metrics.get("spike_limit", math.inf))
                self.rejected.append(Rejected(self.step, *told))
        self._pending = []

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leaves the time inside the block (evaluation, checkpoint) out of the window's."""
        started = time.perf_counter()
        yield
        self._paused += time.perf_counter() - started

    @property
    def seconds(self) -> float:
        """Training time since the window began."""
        return time.perf_counter() - self._started - self._paused
