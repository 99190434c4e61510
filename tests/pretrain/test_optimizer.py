import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_run import VOCABULARY, changed

from data_pipeline.contract.errors import InputError
from pretrain.models.bert.model import BertForPreTraining
from pretrain.optimizer import is_decayed, learning_rate, make_optimizer
from pretrain.recipe import TrainingRecipe
from pretrain.sharding import path_name


def test_the_learning_rate_rises_to_the_peak_at_the_end_of_warmup_and_falls_to_zero(tiny: TrainingRecipe) -> None:
    recipe = changed(tiny, max_steps=100, optimizer={"learning_rate": 3e-4, "warmup_steps": 20})
    schedule = learning_rate(recipe)
    rates = [float(schedule(step)) for step in (0, 10, 20, 60, 100)]
    np.testing.assert_allclose(rates, [0.0, 1.5e-4, 3e-4, 1.5e-4, 0.0], atol=1e-10)


def test_without_warmup_the_first_step_has_the_peak(tiny: TrainingRecipe) -> None:
    recipe = changed(tiny, optimizer={"learning_rate": 3e-4, "warmup_steps": 0})
    assert float(learning_rate(recipe)(0)) == pytest.approx(3e-4)


def test_a_warmup_longer_than_the_run_is_refused(tiny: TrainingRecipe) -> None:
    with pytest.raises(InputError, match="warmup_steps 6 must be below max_steps 6"):
        learning_rate(changed(tiny, optimizer={"warmup_steps": 6}))


def test_weight_decay_leaves_biases_and_layer_norm_alone(tiny: TrainingRecipe) -> None:
    model = BertForPreTraining(tiny.model, VOCABULARY, next_sentence=True, compute_dtype=jnp.float32)
    params = jax.tree.map(lambda leaf: jnp.ones(leaf.shape), jax.eval_shape(model.init, jax.random.key(0)))
    settings = {"warmup_steps": 0, "learning_rate": 0.5, "weight_decay": 0.1}
    optimizer = make_optimizer(changed(tiny, optimizer=settings))
    gradients = jax.tree.map(jnp.zeros_like, params)
    updates = jax.jit(lambda: optimizer.update(gradients, optimizer.init(params), params)[0])()
    for path, update in jax.tree.leaves_with_path(updates):
        name = path_name(path)
        decays = name.endswith(("kernel", "embedding"))
        np.testing.assert_allclose(update, -0.05 if decays else 0.0, err_msg=name, rtol=1e-6)
    assert sum(jax.tree.leaves(is_decayed(params))) == 12


def test_gradients_are_clipped_by_their_global_norm(tiny: TrainingRecipe) -> None:
    params = {"kernel": jnp.zeros(4)}
    gradients = {"kernel": jnp.full(4, 50.0)}
    settings = {"warmup_steps": 0, "beta1": 0.0, "weight_decay": 0.0, "epsilon": 1e6, "learning_rate": 1e6}
    steps = {}
    for clip_norm in (1.0, 0.0):
        optimizer = make_optimizer(changed(tiny, optimizer={**settings, "clip_norm": clip_norm}))
        # With so large an epsilon Adam's step is the gradient itself.
        steps[clip_norm] = optimizer.update(gradients, optimizer.init(params), params)[0]["kernel"]
    np.testing.assert_allclose(steps[1.0], -0.5, rtol=1e-3)
    np.testing.assert_allclose(steps[0.0], -50.0, rtol=1e-3)
