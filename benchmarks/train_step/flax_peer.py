"""The Flax peer of benchmarks.train_step: transformers 4's FlaxBertForMaskedLM in the loop of its example run_mlm_flax.py.

Only the peer's own process imports this file: it puts transformers 4 before the current one.
"""

import sys
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import jax_utils, traverse_util
from flax.training.common_utils import shard
from flax.training.train_state import TrainState

from benchmarks.train_step.floor import masking_of
from benchmarks.train_step.rounds import TRANSFORMERS_4, Facts, Setting, Turns, dropouts
from benchmarks.train_step.rows import difference_from_ours, example_of, first_rows, loss_of
from pretrain.recipe import TrainingRecipe

sys.path.insert(0, str(TRANSFORMERS_4))
import transformers


def train_with_flax(turns: Turns, setting: Setting) -> None:
    """The step and the loop of run_mlm_flax.py: jax.pmap, the head at every position, cross-entropy against one-hot labels,
    batches collated between steps. Single tokens are masked; a row is read as one text, as that script does."""
    recipe = setting.recipe
    bert = transformers.FlaxBertForMaskedLM  # type: ignore[attr-defined]  # of transformers 4
    model = bert.from_pretrained(setting.start, seed=recipe.seed)
    rows, _ = first_rows(setting)
    examples = [example_of(*row) for row in zip(rows.tokens, rows.special, strict=True)]
    collate = transformers.DataCollatorForLanguageModeling(
        transformers.AutoTokenizer.from_pretrained(setting.start),
        mlm_probability=masking_of(recipe).rate,
        return_tensors="np",
    )
    turns.tell({**_facts(model, setting), "transformers": transformers.__version__})

    state, step = _state(model, recipe), jax.pmap(_train_step, "batch", donate_argnums=(0,))
    state = jax_utils.replicate(state)
    dropout = jax.random.split(jax.random.PRNGKey(recipe.seed), jax.local_device_count())
    batches = _shuffled(len(examples), recipe)
    for _ in turns:
        for _ in range(setting.steps):
            batch = collate([examples[index] for index in next(batches)])
            state, metrics, dropout = step(state, shard(dict(batch)), dropout)
        jax.block_until_ready((state, metrics))
    model.params = jax.device_get(jax_utils.unreplicate(state).params)
    batch = np.load(setting.held_out)
    turns.tell({"loss": loss_of(_logits_at_predictions(model, batch), batch)})


def _shuffled(count: int, recipe: TrainingRecipe) -> Iterator[np.ndarray]:
    random, size = np.random.default_rng(recipe.seed), recipe.global_batch_size
    while True:
        order = random.permutation(count)
        yield from order[: count // size * size].reshape(-1, size)


def _state(model: Any, recipe: TrainingRecipe) -> TrainState:
    settings = recipe.optimizer

    def decayed(params: Any) -> Any:
        flat = traverse_util.flatten_dict(params)
        return traverse_util.unflatten_dict({path: path[-1] not in ("bias", "scale") for path in flat})

    rise = optax.linear_schedule(0.0, settings.learning_rate, settings.warmup_steps)
    fall = optax.linear_schedule(settings.learning_rate, 0.0, recipe.max_steps - settings.warmup_steps)
    adamw = optax.adamw(
        optax.join_schedules([rise, fall], [settings.warmup_steps]),
        settings.beta1,
        settings.beta2,
        settings.epsilon,
        weight_decay=settings.weight_decay,
        mask=decayed,
    )
    optimizer = optax.chain(optax.clip_by_global_norm(settings.clip_norm), adamw)
    return TrainState.create(apply_fn=model.__call__, params=model.params, tx=optimizer)


def _train_step(state: Any, batch: dict[str, Any], dropout: jax.Array) -> tuple[Any, dict[str, Any], jax.Array]:
    dropout, next_dropout = jax.random.split(dropout)
    labels = batch["labels"]
    inputs = {name: value for name, value in batch.items() if name != "labels"}

    def loss_of(params: Any) -> tuple[Any, Any]:
        logits = state.apply_fn(**inputs, params=params, dropout_rng=dropout, train=True)[0]
        predicted = jnp.where(labels >= 0, 1.0, 0.0)
        losses = optax.softmax_cross_entropy(logits, jax.nn.one_hot(labels, logits.shape[-1]))
        return (losses * predicted).sum(), predicted.sum()

    (loss, count), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    count = jax.lax.psum(count, "batch")
    gradients = jax.tree.map(lambda gradient: gradient / count, jax.lax.psum(gradients, "batch"))
    return state.apply_gradients(grads=gradients), {"loss": jax.lax.psum(loss, "batch") / count}, next_dropout


def _facts(model: Any, setting: Setting) -> Facts:
    batch = np.load(setting.held_out)
    logits = _logits_at_predictions(model, batch)
    return {
        "parameters": sum(value.size for value in jax.tree.leaves(model.params)),
        "dropouts": dropouts(model.config),
        "loss": loss_of(logits, batch),
        "logits": difference_from_ours(logits, batch),
    }


def _logits_at_predictions(model: Any, batch: Any) -> np.ndarray:
    """float32 [B, K, V], without dropout, one segment of the rows after another: Flax BERT's mask knows only which keys are there."""
    fields = ("inputs", "position_ids", "segments", "positions")
    inputs, position_ids, segments, positions = (batch[name] for name in fields)
    index = np.arange(len(inputs))[:, None]
    found = np.zeros((*positions.shape, model.config.vocab_size), np.float32)
    for segment in np.unique(segments):
        outputs = model(inputs, attention_mask=(segments == segment).astype(np.int32), position_ids=position_ids)
        of_segment = segments[index, positions] == segment
        found[of_segment] = np.asarray(outputs.logits[index, positions])[of_segment]
    return found
