"""Continuing rows of tokens by what a causal model finds likely, and writing targets of sources."""

import jax
import jax.numpy as jnp

from pretrain.models.core.layers import Parameters
from pretrain.models.protocols import Decoder, Inputs, NextTokenHead


def continued(
    model: NextTokenHead,
    params: Parameters,
    tokens: jax.Array,
    lengths: jax.Array,
    keys: jax.Array,
    *,
    count: int | jax.Array,
    top_k: int,
    temperature: float | jax.Array,
) -> jax.Array:
    """Rows with `count` tokens written behind what they begin with, each drawn from the model's scores: int32 [R, S].

    - `tokens`: int32 [R, S]; what lies behind the beginning is overwritten.
    - `lengths`: int32 [R], tokens of each beginning, at least 1 and at most S - count.
    - `keys`: [R]; what is drawn for a row depends on its own only.
    - `top_k`: draws from so many likeliest tokens (Fan et al. 2018, arXiv 1805.04833, section 5); 0 means all.
    - `temperature`: the scores are divided by it; the number 0 takes the likeliest token.

    Every token takes a forward pass over whole rows: one shape, for the model does not look ahead.
    """
    place = jnp.arange(tokens.shape[1])

    def write_one(turn: jax.Array, tokens: jax.Array) -> jax.Array:
        ends = lengths + turn
        last = jnp.take_along_axis(one_text(model, params, tokens), (ends - 1)[:, None, None], axis=1)[:, 0]
        of_turn = jax.vmap(jax.random.fold_in, (0, None))(keys, turn)
        drawn = _drawn(model.next_token_logits(params, last), of_turn, top_k, temperature)
        return jnp.where(place == ends[:, None], drawn[:, None], tokens)

    return jax.lax.fori_loop(0, count, write_one, tokens)


def greedy_targets(
    model: Decoder, params: Parameters, source: jax.Array, source_segments: jax.Array, *, start: int, count: int
) -> jax.Array:
    """The likeliest token after each, `count` times, as targets of sources: int32 [R, count], without the token that begins them.

    - `source`: of `encode`, [R, S, H]; `source_segments`: integers [R, S], 1 where there is text.
    - `start`: the token that begins a target.

    Every token takes a forward pass over whole targets, as in `continued`.
    """
    tokens = jnp.full((len(source), count + 1), start, jnp.int32)

    def write_one(turn: jax.Array, tokens: jax.Array) -> jax.Array:
        hidden = model.decode(params, whole_texts(tokens), source, source_segments)
        likeliest = model.target_logits(params, hidden[:, turn]).argmax(-1)
        return tokens.at[:, turn + 1].set(likeliest.astype(jnp.int32))

    return jax.lax.fori_loop(0, count, write_one, tokens)[:, 1:]


def one_text(model: NextTokenHead, params: Parameters, tokens: jax.Array) -> jax.Array:
    """The last hidden states [R, S, H] of rows int32 [R, S], each one text to its end."""
    return model.encode(params, whole_texts(tokens))


def whole_texts(tokens: jax.Array) -> Inputs:
    """Rows int32 [R, S] as a model reads them, each one text to its end."""
    positions = jnp.broadcast_to(jnp.arange(tokens.shape[1], dtype=jnp.int32), tokens.shape)
    return Inputs(tokens, jnp.ones_like(tokens), positions, jnp.zeros_like(tokens))


def _drawn(logits: jax.Array, keys: jax.Array, top_k: int, temperature: float | jax.Array) -> jax.Array:
    """A token for each row, int32 [R], of float32 scores [R, V]."""
    if not isinstance(temperature, jax.Array) and temperature == 0:
        return logits.argmax(-1).astype(jnp.int32)
    values, ids = jax.lax.top_k(logits, min(top_k or logits.shape[-1], logits.shape[-1]))
    chosen = jax.vmap(jax.random.categorical)(keys, values / temperature)
    return jnp.take_along_axis(ids, chosen[:, None], axis=-1)[:, 0]
