"""The attention kernel is compared with plain products before a TPU trains with it."""

from functools import partial

import jax
import pytest

from data_pipeline.contract.errors import WorkError
from pretrain.devices.smoke_test import check_attention_kernel
from pretrain.models.core.pallas_attention import pallas_attention


def interpreted(q: jax.Array, k: jax.Array, v: jax.Array, *, segments: jax.Array, **dropout: object) -> jax.Array:
    return pallas_attention(q, k, v, segments, interpret=True, **dropout)


def test_a_kernel_that_computes_attention_passes() -> None:
    assert "rounding" in check_attention_kernel(interpreted)


@pytest.mark.parametrize("wrong", [{"dropout_rate": 0.0}, {"segments": None}])
def test_a_kernel_that_computes_something_else_stops_the_machine_with_a_way_out(wrong: dict) -> None:
    def attend(q: jax.Array, k: jax.Array, v: jax.Array, **how: object) -> jax.Array:
        how = how | {name: how["segments"] * 0 if value is None else value for name, value in wrong.items()}
        return interpreted(q, k, v, **how)

    with pytest.raises(WorkError, match=r"differs from plain products by .* train with --training.attention xla"):
        check_attention_kernel(attend)


def test_a_machine_that_does_not_compile_the_kernel_is_told_the_way_out() -> None:
    with pytest.raises(WorkError, match=r"does not run the kernel .* --training.attention xla"):
        check_attention_kernel(partial(interpreted, no_such_argument=1))
