"""Rematerialisation: what the backward pass keeps of a layer, and what it computes again."""

from collections.abc import Callable
from typing import Any, Literal

import jax

from data_pipeline.contract.errors import InputError

REMAT: tuple[Literal["none", "attention", "dots", "full"], ...] = ("none", "attention", "dots", "full")
"""What the backward pass keeps of a layer: everything; all but attention scores (Korthikanti et al. 2022, arXiv 2205.05198, section
5); its products with weights; its input only."""


def check_remat(remat: str) -> None:
    """Raises InputError for a name that is not of REMAT."""
    if remat not in REMAT:
        raise InputError(f"--training.remat {remat}: must be one of {', '.join(REMAT)}")


def rematerialised_layer(run_layer: Callable[..., Any], remat: str, *, unrolled: bool) -> Callable[..., Any]:
    """A layer as the scan runs it, for `dots` and `full`; as it is for the others.

    - `unrolled`: whether the loop over layers is unrolled in full.
    """
    if remat not in ("dots", "full"):
        return run_layer
    # "dots" leaves attention scores, the largest part, to be computed again: they are products with batch axes.
    policy = jax.checkpoint_policies.dots_with_no_batch_dims_saveable if remat == "dots" else None
    return recomputed(run_layer, policy, unrolled=unrolled)


def recomputed(
    function: Callable[..., Any], policy: Callable[..., bool] | None = None, *, unrolled: bool
) -> Callable[..., Any]:
    """Lets the backward pass compute again what the policy does not keep; without one, all of it."""
    # Inside the loop over layers XLA cannot merge the second computation with the first; unrolled in full it would.
    return jax.checkpoint(function, policy=policy, prevent_cse=unrolled)


def recomputed_elementwise(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """Lets the backward pass keep an elementwise function's inputs only, and not each step in between, often in float32."""
    return jax.checkpoint(function, prevent_cse=False)
