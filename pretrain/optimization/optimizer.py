"""Optimizers as optax chains: clipping, a direction, decoupled weight decay, the learning rate."""

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from optax import contrib

from pretrain.devices.sharding import path_name
from pretrain.optimization.learning_rate import learning_rate
from pretrain.recipe import Optimizer, TrainingRecipe

NOT_DECAYED = r"(^|/)(bias|LayerNorm/scale)$"
"""Parameters without weight decay (google-research/bert, optimization.py: LayerNorm, layer_norm, bias)."""
STACKED = r"(^|/)encoder/layer/"
"""Parameters whose first dimension is the stack of layers: each layer is a matrix of its own."""
MATRIX = r"(^|/)kernel$"
"""Parameters that map vectors to vectors: Muon's. Tables of embeddings are not."""
MUON_RMS = 0.2
"""Size of Muon's update, so that AdamW's learning rate and weight decay fit it (Liu et al. 2025, arXiv 2502.16982, section 2.2)."""
LARGEST_UPDATE = 1.0
"""Adafactor's clipping of an update by its root mean square (Shazeer and Stern 2018, arXiv 1804.04235, algorithm 4)."""
SMALLEST_SCALE = 1e-3
"""Adafactor's epsilon 2: the least root mean square of a parameter (as above)."""


def make_optimizer(recipe: TrainingRecipe) -> optax.GradientTransformation:
    """The optax chain of a recipe: clip by global norm, the optimizer's direction, decay of all but biases and LayerNorm
    (decoupled: Loshchilov and Hutter 2019, arXiv 1711.05101), learning rate.

    It computes in float32, whatever type the parameters are kept in. Where an optimizer takes the norm of a parameter, it takes that of each layer, though the layers are one array.
    """
    settings = recipe.optimizer
    decay = optax.add_decayed_weights(settings.weight_decay, mask=is_decayed)
    chain = optax.chain(
        optax.clip_by_global_norm(settings.clip_norm) if settings.clip_norm else optax.identity(),
        *DIRECTIONS[settings.name](settings, decay),
        optax.scale_by_learning_rate(learning_rate(recipe)),
    )

    def init(params: Any) -> optax.OptState:
        return chain.init(_in_float32(params))

    def update(gradients: Any, state: optax.OptState, params: Any = None) -> tuple[Any, optax.OptState]:
        return chain.update(gradients, state, _in_float32(params))

    return optax.GradientTransformation(init, update)


def _in_float32(tree: Any) -> Any:
    return jax.tree.map(lambda array: array.astype(jnp.float32), tree)


def is_decayed(params: Any) -> Any:
    """A tree like the parameters' that says of each whether weight decay pulls at it."""
    return jax.tree.map_with_path(lambda path, _: not re.search(NOT_DECAYED, path_name(path)), params)


def _adamw(settings: Optimizer, decay: optax.GradientTransformation) -> list[optax.GradientTransformation]:
    return [
        optax.scale_by_adam(settings.beta1, settings.beta2, settings.epsilon, mu_dtype=settings.moment_dtype),
        decay,
    ]


def _lamb(settings: Optimizer, decay: optax.GradientTransformation) -> list[optax.GradientTransformation]:
    """You et al. 2020, arXiv 1904.00962, algorithm 2: Adam's update and the decay together have, in each layer, the norm of
    its parameter; not so where there is no decay (google-research/albert, lamb_optimizer.py)."""

    def trust(update: jax.Array, param: jax.Array) -> jax.Array:
        norm, update_norm = jnp.linalg.norm(param), jnp.linalg.norm(update)
        return update * jnp.where((norm > 0) & (update_norm > 0), norm / jnp.where(update_norm > 0, update_norm, 1), 1)

    return [*_adamw(settings, decay), _layer_by_layer(trust, NOT_DECAYED)]


def _adafactor(settings: Optimizer, decay: optax.GradientTransformation) -> list[optax.GradientTransformation]:
    """Shazeer and Stern 2018, arXiv 1804.04235, algorithm 4, without momentum; the learning rate is relative to the size of
    each parameter."""

    def clipped(update: jax.Array, param: jax.Array) -> jax.Array:
        return update / jnp.maximum(1.0, _rms(update) / LARGEST_UPDATE)

    def scaled(update: jax.Array, param: jax.Array) -> jax.Array:
        return update * jnp.maximum(SMALLEST_SCALE, _rms(param))

    return [optax.scale_by_factored_rms(), _layer_by_layer(clipped), _layer_by_layer(scaled), decay]


def _muon(settings: Optimizer, decay: optax.GradientTransformation) -> list[optax.GradientTransformation]:
    """Jordan et al. 2024: momentum made orthogonal, for matrices; AdamW for all others (tables, biases, LayerNorm)."""

    def shaped(update: jax.Array, param: jax.Array) -> jax.Array:
        return update * MUON_RMS * jnp.sqrt(max(update.shape))

    muon = optax.chain(
        contrib.scale_by_muon(
            beta=settings.momentum, mu_dtype=settings.moment_dtype, weight_dimension_numbers=_matrix_dimensions
        ),
        _layer_by_layer(shaped),
    )
    adam = optax.scale_by_adam(settings.beta1, settings.beta2, settings.epsilon, mu_dtype=settings.moment_dtype)
    return [optax.partition({"muon": muon, "adam": adam}, _optimizer_of), decay]


DIRECTIONS: dict[str, Callable[[Optimizer, optax.GradientTransformation], list[optax.GradientTransformation]]] = {
    "adamw": _adamw,
    "lamb": _lamb,
    "adafactor": _adafactor,
    "muon": _muon,
}
"""Optimizer by name: (settings, weight decay) -> what turns gradients into the update that the learning rate scales."""


def _layer_by_layer(
    function: Callable[[jax.Array, jax.Array], jax.Array], except_for: str = "$^"
) -> optax.GradientTransformation:
    """(update, parameter) -> update for each parameter, and for each layer of those that are stacked."""

    def update(updates: Any, params: Any) -> Any:
        def of_one(path: tuple[Any, ...], update: jax.Array, param: jax.Array) -> jax.Array:
            name = path_name(path)
            if re.search(except_for, name):
                return update
            return (jax.vmap(function) if re.search(STACKED, name) else function)(update, param)

        return jax.tree.map_with_path(of_one, updates, params)

    return optax.stateless(update)


def _rms(array: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.mean(jnp.square(array)))


def _optimizer_of(params: Any) -> Any:
    """Whether Muon or Adam updates a parameter."""
    return jax.tree.map_with_path(lambda path, _: "muon" if re.search(MATRIX, path_name(path)) else "adam", params)


def _matrix_dimensions(updates: Any) -> Any:
    """Which dimensions of each parameter are the matrix."""

    def of_one(path: tuple[Any, ...], _: Any) -> contrib.MuonDimensionNumbers:
        first = 1 if re.search(STACKED, path_name(path)) else 0
        return contrib.MuonDimensionNumbers(first, first + 1)

    return jax.tree.map_with_path(of_one, updates)
