from pathlib import Path

import jax.numpy as jnp
import pytest

from data_pipeline.contract.errors import InputError
from pretrain.monitoring.profiling import Profile, steps_to_profile


def test_the_steps_asked_for_are_traced_and_no_others(tmp_path: Path) -> None:
    with Profile(tmp_path, steps_to_profile("2:3")) as profile:
        for step in (1, 2, 3, 4):
            profile.before(step)
            assert profile._tracing == (step in (2, 3))
            profile.after(step, jnp.ones(4) * step)
    assert len(list(tmp_path.glob("plugins/profile/*/*.xplane.pb"))) == 1


def test_a_run_that_ends_early_leaves_the_trace_so_far(tmp_path: Path) -> None:
    with Profile(tmp_path, steps_to_profile("2:9")) as profile:
        profile.before(2)
    assert list(tmp_path.glob("plugins/profile/*/*.xplane.pb"))


@pytest.mark.parametrize("words", ["10", "15:10", "0:3", "a:b", "1:2:3"])
def test_other_words_are_refused(words: str) -> None:
    with pytest.raises(InputError, match=r"must be FIRST:LAST"):
        steps_to_profile(words)
