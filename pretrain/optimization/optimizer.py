"""Optimizers as optax chains: clipping, a direction, decoupled weight decay, the learning rate."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from optax import contrib

from pretrain.devices.sharding import path_name
from pretrain.models.parameter_rules import ParameterRule, Rules, rule_of
from pretrain.optimization.learning_rate import learning_rate
from pretrain.recipe import Optimizer, TrainingRecipe

MUON_RMS = 0.2
"""Size of Muon's update, so that AdamW's learning rate and weight decay fit it (Liu et al. 2025, arXiv 2502.16982, section 2.2)."""
LARGEST_UPDATE = 1.0
"""Adafactor's clipping of an update by its root mean square (Shazeer and Stern 2018, arXiv 1804.04235, algorithm 4)."""
SMALLEST_SCALE = 1e-3
"""Adafactor's epsilon 2: the least root mean square of a parameter (as above)."""


def make_optimizer(recipe: TrainingRecipe, rules: Rules) -> optax.GradientTransformation:
    """The optax chain of a recipe: clip by global norm, the optimizer's direction, decay of all but biases and LayerNorm
    (decoupled: Loshchilov and Hutter 2019, arXiv 1711.05101), learning rate.

    - `rules`: the table of the parameters, which says of each whether it is decayed, is a matrix, and counts layers.

    It computes in float32, whatever type the parameters are kept in. Where an optimizer takes the norm of a parameter, it takes that of each layer, though the layers are one array.
    """
    settings = recipe.optimizer
    each = OfEach(rules)
    decay = optax.add_decayed_weights(settings.weight_decay, mask=each.is_decayed)
    chain = optax.chain(
        _clip(settings.clip_norm) if settings.clip_norm else optax.identity(),
        *DIRECTIONS[settings.name](settings, decay, each),
        optax.scale_by_learning_rate(learning_rate(recipe)),
    )

    def init(params: Any) -> optax.OptState:
        return chain.init(_in_float32(params))

    def update(gradients: Any, state: optax.OptState, params: Any = None) -> tuple[Any, optax.OptState]:
        return chain.update(gradients, state, _in_float32(params))

    return optax.GradientTransformation(init, update)


def _clip(most: float) -> optax.GradientTransformation:
    """Scales the gradient down where its global norm is above `most` (Pascanu et al. 2013, arXiv 1211.5063).

    `optax.clip_by_global_norm` divides each gradient by the norm, which XLA for CPUs writes down before it is used; a product with
    one factor is computed where it is used.
    """

    def update(gradients: Any, _: Any) -> Any:
        norm = optax.tree.norm(gradients)
        factor = jnp.where(norm < most, 1.0, most / norm)
        return jax.tree.map(lambda gradient: gradient * factor, gradients)

    return optax.stateless(update)


def _in_float32(tree: Any) -> Any:
    return jax.tree.map(lambda array: array.astype(jnp.float32), tree)


@dataclass(frozen=True)
class OfEach:
    """What the table says of each parameter, as trees like the parameters'."""

    rules: Rules

    def is_decayed(self, params: Any) -> Any:
        """Whether weight decay pulls at it."""
        return self._tree(lambda rule: rule.is_decayed, params)

    def optimizer_of(self, params: Any) -> Any:
        """Whether Muon or Adam updates it."""
        return self._tree(lambda rule: "muon" if rule.kind == "matrix" else "adam", params)

    def matrix_dimensions(self, params: Any) -> Any:
        """Which of its dimensions are the matrix."""

        def of_one(path: tuple[Any, ...], param: jax.Array) -> contrib.MuonDimensionNumbers:
            first = rule_of(path_name(path), self.rules).stacked
            outputs = range(first + 1, param.ndim)
            return contrib.MuonDimensionNumbers(first, outputs[0] if len(outputs) == 1 else tuple(outputs))

        return jax.tree.map_with_path(of_one, params)

    def layer_by_layer(
        self, function: Callable[[jax.Array, jax.Array], jax.Array], *, decayed_only: bool = False
    ) -> optax.GradientTransformation:
        """(update, parameter) -> update for each parameter, and for each layer of those that are stacked."""

        def update(updates: Any, params: Any) -> Any:
            def of_one(path: tuple[Any, ...], update: jax.Array, param: jax.Array) -> jax.Array:
                rule = rule_of(path_name(path), self.rules)
                if decayed_only and not rule.is_decayed:
                    return update
                of_layer = function
                for _ in range(rule.stacked):
                    of_layer = jax.vmap(of_layer)
                return of_layer(update, param)

            return jax.tree.map_with_path(of_one, updates, params)

        return optax.stateless(update)

    def _tree(self, of_rule: Callable[[ParameterRule], Any], params: Any) -> Any:
        return jax.tree.map_with_path(lambda path, _: of_rule(rule_of(path_name(path), self.rules)), params)


def _adamw(
    settings: Optimizer, decay: optax.GradientTransformation, each: OfEach
) -> list[optax.GradientTransformation]:
    return [_adam(settings), decay]


def _adam(settings: Optimizer) -> optax.GradientTransformation:
    """Adam's direction; without bias correction it is that of AdamWeightDecayOptimizer (google-research/bert, optimization.py)."""
    beta1, beta2, epsilon = settings.beta1, settings.beta2, settings.epsilon
    corrected = optax.scale_by_adam(beta1, beta2, epsilon, mu_dtype=settings.moment_dtype)
    if settings.bias_correction:
        return corrected

    def update(gradients: Any, state: Any, params: Any = None) -> tuple[Any, optax.OptState]:
        first = optax.tree.update_moment(gradients, state.mu, beta1, 1)
        second = optax.tree.update_moment(gradients, state.nu, beta2, 2)
        updates = jax.tree.map(lambda m, v: m / (jnp.sqrt(v) + epsilon), first, second)
        kept = optax.tree.cast(first, settings.moment_dtype)
        return updates, state._replace(count=optax.safe_increment(state.count), mu=kept, nu=second)

    return optax.GradientTransformation(corrected.init, update)


def _lamb(settings: Optimizer, decay: optax.GradientTransformation, each: OfEach) -> list[optax.GradientTransformation]:
    """You et al. 2020, arXiv 1904.00962, algorithm 2: Adam's update and the decay together have, in each layer, the norm of
    its parameter; not so where there is no decay (google-research/albert, lamb_optimizer.py)."""

    def trust(update: jax.Array, param: jax.Array) -> jax.Array:
        norm, update_norm = jnp.linalg.norm(param), jnp.linalg.norm(update)
        return update * jnp.where((norm > 0) & (update_norm > 0), norm / jnp.where(update_norm > 0, update_norm, 1), 1)

    return [*_adamw(settings, decay, each), each.layer_by_layer(trust, decayed_only=True)]


def _adafactor(
    settings: Optimizer, decay: optax.GradientTransformation, each: OfEach
) -> list[optax.GradientTransformation]:
    """Shazeer and Stern 2018, arXiv 1804.04235, algorithm 4, without momentum; the learning rate is relative to the size of
    each parameter."""

    def clipped(update: jax.Array, param: jax.Array) -> jax.Array:
        return update / jnp.maximum(1.0, _rms(update) / LARGEST_UPDATE)

    def scaled(update: jax.Array, param: jax.Array) -> jax.Array:
        return update * jnp.maximum(SMALLEST_SCALE, _rms(param))

    return [optax.scale_by_factored_rms(), each.layer_by_layer(clipped), each.layer_by_layer(scaled), decay]


def _muon(settings: Optimizer, decay: optax.GradientTransformation, each: OfEach) -> list[optax.GradientTransformation]:
    """Jordan et al. 2024: momentum made orthogonal, for matrices; AdamW for all others (tables, biases, LayerNorm)."""

    def shaped(update: jax.Array, param: jax.Array) -> jax.Array:
        return update * MUON_RMS * jnp.sqrt(max(update.shape[0], math.prod(update.shape[1:])))

    muon = optax.chain(
        contrib.scale_by_muon(
            beta=settings.momentum, mu_dtype=settings.moment_dtype, weight_dimension_numbers=each.matrix_dimensions
        ),
        each.layer_by_layer(shaped),
    )
    return [optax.partition({"muon": muon, "adam": _adam(settings)}, each.optimizer_of), decay]


Direction = Callable[[Optimizer, optax.GradientTransformation, OfEach], list[optax.GradientTransformation]]
DIRECTIONS: dict[str, Direction] = {"adamw": _adamw, "lamb": _lamb, "adafactor": _adafactor, "muon": _muon}
"""Optimizer by name: (settings, weight decay, table) -> what turns gradients into the update that the learning rate scales."""


def _rms(array: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.mean(jnp.square(array)))
