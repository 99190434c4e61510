"""The head of KLUE-DP: eojeols from their first and last tokens, and a biaffine choice of heads and relations among them.

KLUE-baseline's (klue_baseline/models/dependency_parsing.py at 443c38b), of which the biaffine forms are those of Dozat and Manning 2017
(arXiv 1611.01734): a BiLSTM over the root, which is [CLS], and the eojeols gives candidates for heads; an LSTM over the eojeols alone,
from the BiLSTM's last cells on, gives dependents. Ours is an LSTM with one bias, not two that add up; biases that begin at 0; and no
terms of an arc's score that are the same for all heads, which a softmax over heads does not see.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from pretrain.models.core.dropout import dropout
from pretrain.models.core.layers import (
    Embedding,
    Linear,
    Parameters,
    embed,
    fold_key,
    linear,
    normal,
    uniform,
    wide_einsum,
)
from pretrain.models.parameter_rules import Kind, ParameterRule, Rules
from pretrain.models.task_heads import ParserSizes, TaskHead

DROPOUT = 0.33
"""Of KLUE-baseline's parser, whatever the encoder's is."""


Pair = tuple[jax.Array, jax.Array]


class Eojeols(NamedTuple):
    """The eojeols of sentences, int32 [B, W] each, below 0 behind the last eojeol of a sentence.

    - `firsts`, `lasts`: the places of their first and last tokens.
    - `parts_of_speech`: of their last morphemes.
    """

    firsts: jax.Array
    lasts: jax.Array
    parts_of_speech: jax.Array


class Lstm(nnx.Module):
    """Parameters of LSTMs of one size, with gates in torch's order: input, forget, cell, output.

    - `stack`: as for `Linear`.
    """

    def __init__(self, inputs: int, width: int, *, rngs: nnx.Rngs, stack: tuple[int, ...] = ()) -> None:
        draw = uniform(width**-0.5)
        self.input = Linear(inputs, 4 * width, draw=draw, rngs=rngs, stack=stack)
        self.recurrent = nnx.Param(draw(rngs.params(), (*stack, width, 4 * width)))


class DependencyParser(nnx.Module):
    """Parameters of the head, drawn as KLUE-baseline's but for the biases, which are 0.

    - `head`: of the kind `dependencies`; `width`: of the hidden states.
    """

    def __init__(self, head: TaskHead, width: int, rngs: nnx.Rngs) -> None:
        sizes = head.parser or ParserSizes()
        hidden, arcs, relations, count = sizes.hidden, sizes.arcs, sizes.relations, len(head.labels)

        def dense(inputs: int, outputs: int, bound: float | None = None) -> Linear:
            return Linear(inputs, outputs, draw=uniform(bound or inputs**-0.5), rngs=rngs)

        # The last row is that of the root and of padding.
        self.part_of_speech = Embedding(sizes.parts_of_speech + 1, sizes.part_of_speech, draw=normal(1.0), rngs=rngs)
        self.encoder = Lstm(2 * width + sizes.part_of_speech, hidden, rngs=rngs, stack=(2,))
        self.decoder = Lstm(hidden, hidden, rngs=rngs)
        self.decoder_input = dense(2 * hidden, hidden)
        self.decoder_start = dense(2 * hidden, hidden)
        self.arc_head, self.arc_dependent = dense(2 * hidden, arcs), dense(hidden, arcs)
        self.relation_head, self.relation_dependent = dense(2 * hidden, relations), dense(hidden, relations)
        # Bounds of torch's xavier_uniform_ for the baseline's tensors [1, A, A], [R, T, T] and [R, T].
        self.arc = dense(arcs, arcs, math.sqrt(6 / (arcs * arcs + arcs)))
        self.relation = dense(relations, count * relations, math.sqrt(6 / (relations * relations + count * relations)))
        self.relation_of_dependent = dense(relations, count, math.sqrt(6 / (relations + count)))


def parser_rules(path: str) -> Rules:
    """The rows of the head's parameters. They are not split: inside the loops over eojeols a gather would be one a step."""

    def rule(pattern: str, name: str, kind: Kind, stacked: int = 0) -> ParameterRule:
        theirs, transposed = f"{path}.{name}", kind == "matrix"
        return ParameterRule(
            f"{path}/{pattern}", kind, stacked=stacked, group="head", hugging_face=theirs, transposed=transposed
        )

    maps = r"(decoder_input|decoder_start|arc(?:_head|_dependent)?|relation(?:_head|_dependent|_of_dependent)?)"
    return (
        rule("part_of_speech/embedding", "part_of_speech.weight", "table"),
        rule("encoder/input/kernel", "encoder.{layer}.input.weight", "matrix", stacked=1),
        rule("encoder/input/bias", "encoder.{layer}.input.bias", "bias", stacked=1),
        rule("encoder/recurrent", "encoder.{layer}.recurrent.weight", "matrix", stacked=1),
        rule("decoder/input/kernel", "decoder.input.weight", "matrix"),
        rule("decoder/input/bias", "decoder.input.bias", "bias"),
        rule("decoder/recurrent", "decoder.recurrent.weight", "matrix"),
        rule(f"{maps}/kernel", r"\1.weight", "matrix"),
        rule(f"{maps}/bias", r"\1.bias", "bias"),
    )


def parse(
    params: Parameters,
    hidden: jax.Array,
    eojeols: Eojeols,
    heads: jax.Array | None,
    *,
    rate: float | None = None,
    key: jax.Array | None = None,
) -> Pair:
    """Scores of heads and of relations, float32 [B, W, 1 + W] and [B, W, R]. Head 0 is the root, and what is no eojeol is no head.

    - `hidden`: [B, L, H], the encoder's; products are in its type.
    - `heads`: int32 [B, W], with which relations are scored: the right ones in training. None: each eojeol's best head by itself, as
      the baseline takes it; nothing makes them a tree.
    - `rate`: of dropout, None for DROPOUT; `key`: as for `pretrain.models.core.dropout.dropout`.

    Dropout is torch's Dropout2d as the baseline applies it: a part of speech is dropped whole, and a feature of either LSTM for the
    whole sentence. In the baseline padding has the score 0 where it predicts, and may be the head in a batch of longer sentences.
    """
    dtype, rate = hidden.dtype, DROPOUT if rate is None else rate
    keys = [fold_key(key, number) for number in range(3)]
    real = eojeols.firsts >= 0
    candidates = jnp.pad(real, ((0, 0), (1, 0)), constant_values=True)
    words = jnp.concatenate([_tokens(hidden, eojeols.firsts), _tokens(hidden, eojeols.lasts)], -1)
    none = params["part_of_speech"]["embedding"].shape[0] - 1
    tags = jnp.pad(jnp.where(real, eojeols.parts_of_speech, none), ((0, 0), (1, 0)), constant_values=none)
    tagged = _dropped(embed(params["part_of_speech"], tags), -1, rate, keys[0]).astype(dtype)
    words = jnp.concatenate([words, tagged], -1)

    directions = jnp.stack([words, words[:, ::-1]]), jnp.stack([candidates, candidates[:, ::-1]])
    rest = jnp.zeros((2, len(hidden), params["encoder"]["recurrent"].shape[1]), jnp.float32)
    (onwards, backwards), cells = jax.vmap(_lstm)(params["encoder"], *directions, rest, rest)
    encoded = _dropped(jnp.concatenate([onwards, backwards[:, ::-1]], -1), 1, rate, keys[1])

    cell = linear(params["decoder_start"], jnp.concatenate([*cells], -1), dtype).astype(jnp.float32)
    inputs = _dense(params["decoder_input"], encoded[:, 1:], dtype)
    decoded = _dropped(_lstm(params["decoder"], inputs, real, jnp.tanh(cell), cell)[0], 1, rate, keys[2])

    # The bias of the middle map scores a head by itself.
    dependents = linear(params["arc"], _dense(params["arc_dependent"], decoded, dtype), dtype)
    arcs = wide_einsum("bwa,bha->bwh", dependents, _dense(params["arc_head"], encoded, dtype))
    arcs = jnp.where(candidates[:, None], arcs, jnp.finfo(arcs.dtype).min)

    chosen = jnp.argmax(arcs, -1) if heads is None else jnp.maximum(heads, 0)
    of_heads = jnp.take_along_axis(_dense(params["relation_head"], encoded, dtype), chosen[..., None], 1)
    of_dependents = _dense(params["relation_dependent"], decoded, dtype)
    products = linear(params["relation"], of_dependents, dtype).reshape(*chosen.shape, -1, of_heads.shape[-1])
    relations = wide_einsum("bwrt,bwt->bwr", products, of_heads)
    return arcs, relations + linear(params["relation_of_dependent"], of_dependents, dtype).astype(jnp.float32)


def _tokens(hidden: jax.Array, places: jax.Array) -> jax.Array:
    """Hidden states [B, 1 + W, H] of the first token, which is the root, and of those at the places [B, W]."""
    at = jnp.pad(jnp.maximum(places, 0), ((0, 0), (1, 0)))
    return jnp.take_along_axis(hidden, at[..., None], 1)


def _dense(params: Parameters, inputs: jax.Array, dtype: DTypeLike) -> jax.Array:
    return jax.nn.elu(linear(params, inputs, dtype))


def _dropped(inputs: jax.Array, along: int, rate: float, key: jax.Array | None) -> jax.Array:
    """Dropout of [B, W, H] that decides once for all values along an axis."""
    shape = list(inputs.shape)
    shape[along] = 1
    return (inputs.astype(jnp.float32) * dropout(jnp.ones(shape, jnp.float32), rate, key)).astype(inputs.dtype)


def _lstm(params: Parameters, inputs: jax.Array, real: jax.Array, hidden: jax.Array, cell: jax.Array) -> Pair:
    """Outputs [B, W, H] in the type of the inputs [B, W, I], and the last cells, float32 [B, H].

    - `real`: bool [B, W]; other places leave the state as it is.
    - `hidden`, `cell`: the state before, float32 [B, H].
    """
    dtype = inputs.dtype
    kernel = params["recurrent"].astype(dtype)

    def step(state: Pair, place: Pair) -> tuple[Pair, jax.Array]:
        hidden, cell = state
        given, is_real = place
        gates = given.astype(jnp.float32) + (hidden.astype(dtype) @ kernel).astype(jnp.float32)
        take, keep, value, show = jnp.split(gates, 4, -1)
        new_cell = jax.nn.sigmoid(keep) * cell + jax.nn.sigmoid(take) * jnp.tanh(value)
        new_hidden = jax.nn.sigmoid(show) * jnp.tanh(new_cell)
        hidden, cell = jnp.where(is_real[:, None], new_hidden, hidden), jnp.where(is_real[:, None], new_cell, cell)
        return (hidden, cell), hidden.astype(dtype)

    places = linear(params["input"], inputs, dtype).swapaxes(0, 1), real.swapaxes(0, 1)
    (_, cell), outputs = jax.lax.scan(step, (hidden, cell), places)
    return outputs.swapaxes(0, 1), cell
