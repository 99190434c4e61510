import jax.numpy as jnp
import numpy as np
import pytest

from pretrain.optimization.spikes import first_mean, mean_after, spike_limit
from pretrain.recipe import SpikeGuard


@pytest.mark.parametrize("steps", [1, 4])
def test_the_limit_is_a_multiple_of_the_mean_of_accepted_steps_with_falling_weights(steps: int) -> None:
    guard, mean = SpikeGuard("skip", threshold=3.0, mean_steps=steps), first_mean()
    norms = np.random.default_rng(0).uniform(1, 2, 10)
    for number, norm in enumerate(norms):
        limit = float(spike_limit(mean, guard))
        if number < steps:
            assert limit == np.inf
        else:
            weights = (1 - 1 / steps) ** np.arange(number)[::-1]
            assert limit == pytest.approx(3 * np.average(norms[:number], weights=weights), rel=1e-5)
        rejected = mean_after(mean, jnp.float32(np.nan), jnp.bool(False), guard)
        assert float(spike_limit(rejected, guard)) == limit, "a rejected step moves nothing"
        mean = mean_after(mean, jnp.float32(norm), jnp.bool(True), guard)
