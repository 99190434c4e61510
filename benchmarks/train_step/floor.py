"""The arithmetic floor of a training step: its matrix products alone, each measured at its own shape."""

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np

from pretrain.models.bert.config import BertConfig
from pretrain.models.config import RowShape
from pretrain.objectives.corruption.recipe import Masking
from pretrain.objectives.masked_lm.recipe import MaskedLM
from pretrain.recipe import TrainingRecipe

REPEATS = 5


@dataclass(frozen=True)
class Product:
    """One matrix product of the forward pass, [rows, inner] x [inner, columns]; the backward pass has two of the same size.

    - `count`: how many a step has; `batch`: how many independent ones of this shape are one call (0: a plain product).
    """

    name: str
    count: int
    batch: int
    rows: int
    inner: int
    columns: int

    @property
    def flops(self) -> float:
        """FLOPs of all of them in a step, forward and backward."""
        return 3.0 * self.count * 2 * max(self.batch, 1) * self.rows * self.inner * self.columns

    def operands(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """float32 inputs, weights, and the gradient of their product."""
        batch = (self.batch,) if self.batch else ()
        random = np.random.default_rng(0)
        shapes = ((self.rows, self.inner), (self.inner, self.columns), (self.rows, self.columns))
        first, second, third = (random.standard_normal((*batch, *shape), np.float32) for shape in shapes)
        return first, second, third


def bert_of(recipe: TrainingRecipe) -> BertConfig:
    """The model of a recipe; the benchmark has BERTs only."""
    return cast(BertConfig, recipe.model)


def masking_of(recipe: TrainingRecipe) -> Masking:
    """The masking of a recipe; the benchmark has masked language modelling only."""
    return cast(MaskedLM, recipe.objective).masking


def max_predictions(recipe: TrainingRecipe, length: int) -> int:
    """Predictions a row, K."""
    return masking_of(recipe).predictions(length)


def flops_per_row(recipe: TrainingRecipe, vocab_size: int, length: int) -> float:
    """Model FLOPs of a row, forward and backward."""
    row = RowShape(length, 0, vocab_size, max_predictions(recipe, length))
    return recipe.model.flops_per_row(row, frozenset({"vocabulary"}))


def products(recipe: TrainingRecipe, vocab_size: int, length: int, predictions: int) -> tuple[Product, ...]:
    """The matrix products of a step's forward pass."""
    model, rows = bert_of(recipe), recipe.global_batch_size
    hidden, inner, layers, tokens = model.hidden_size, model.intermediate_size, model.num_hidden_layers, rows * length
    heads, width = rows * model.num_attention_heads, hidden // model.num_attention_heads
    return (
        Product("query, key, value, output", 4 * layers, 0, tokens, hidden, hidden),
        Product("feed-forward up", layers, 0, tokens, hidden, inner),
        Product("feed-forward down", layers, 0, tokens, inner, hidden),
        Product("attention scores", layers, heads, length, width, length),
        Product("attention mix", layers, heads, length, length, width),
        Product("head: transform", 1, 0, rows * predictions, hidden, hidden),
        Product("head: vocabulary", 1, 0, rows * predictions, hidden, vocab_size),
    )


def seconds_per_step(
    parts: Iterable[Product], place: Callable[[np.ndarray], Any], multiply: Callable[[Any, Any, bool, bool], Any]
) -> dict[str, float]:
    """Measures forward and both backward products of each part: its name -> seconds of all of them in a step.

    - `place`: a numpy array as the framework's.
    - `multiply`: (a, b, whether a's last two axes are swapped first, whether b's are) -> their product, finished when it returns.
    """
    found = {}
    for part in parts:
        inputs, weights, gradient = map(place, part.operands())
        calls = ((inputs, weights, False, False), (gradient, weights, False, True), (inputs, gradient, True, False))
        found[part.name] = part.count * sum(_seconds(partial(multiply, *call)) for call in calls)
    return found


def _seconds(call: Callable[[], Any]) -> float:
    call()
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return statistics.median(times)
