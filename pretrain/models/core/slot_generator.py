"""The head of KLUE-DST: of every slot of a dialogue's state a gate, and a value that is generated token by token.

KLUE-baseline's (klue_baseline/models/dialogue_state_tracking.py at 443c38b, decoding all slots at once), which is the generator of TRADE
(Wu et al. 2019, arXiv 1905.08743): a GRU that starts from the pooled dialogue and reads the name of the slot, then its own tokens. At
each step it attends to the dialogue's hidden states; the next token is a mixture of one from the word table and one copied from the
dialogue. The context of the first step decides the gate. Ours has biases that begin at 0, no vectors of padding in the sum over the
pieces of a name, and a further map where the word table is narrower than the hidden states.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from pretrain.models.core.dropout import dropout
from pretrain.models.core.layers import (
    Draw,
    Linear,
    Parameters,
    embed,
    fold_key,
    split_rows,
    uniform,
    whole,
    wide_einsum,
)
from pretrain.models.core.vocabulary import vocabulary_scores
from pretrain.models.parameter_rules import ParameterRule, Rules
from pretrain.models.task_heads import GATES

STEPS = 10
"""Tokens that are generated of a value where none are given, as in KLUE-baseline."""
LOW = -1e30
"""Logarithm of a probability of nothing: finite, so that no gradient is NaN."""
TINY = 1e-30
"""Probabilities below it are nothing: the gradient of their logarithm would overflow."""

Pair = tuple[jax.Array, jax.Array]


class Dialogues(NamedTuple):
    """What the encoder has read.

    - `hidden`: [B, L, H], its last hidden states; products are in their type.
    - `summary`: [B, H], of them that of the token which has seen the whole row.
    - `tokens`: int32 [B, L]; `real`: bool [B, L], False for padding.
    """

    hidden: jax.Array
    summary: jax.Array
    tokens: jax.Array
    real: jax.Array


class Generated(NamedTuple):
    """What the head says of J slots.

    - `gates`: scores of GATES, float32 [B, J, 5].
    - `tokens`: the most probable token of each step, int32 [B, J, T].
    - `losses`: of each wanted token, float32 [B, J, T] (nats); 0 where none are given.
    """

    gates: jax.Array
    tokens: jax.Array
    losses: jax.Array


class Gru(nnx.Module):
    """Parameters of a GRU, with gates in torch's order: reset, update, new."""

    def __init__(self, inputs: int, width: int, rngs: nnx.Rngs) -> None:
        draw = uniform(width**-0.5)
        self.input = Linear(inputs, 3 * width, draw=draw, rngs=rngs)
        self.recurrent = Linear(width, 3 * width, draw=draw, rngs=rngs)


class SlotGenerator(nnx.Module):
    """Parameters of the head, drawn as KLUE-baseline's but for the biases, which are 0.

    - `width`: of the hidden states; `table_width`: of the word table.
    - `draw`: of the pooler.
    """

    def __init__(self, width: int, table_width: int, *, draw: Draw, rngs: nnx.Rngs) -> None:
        inputs = 2 * width + table_width
        self.pooler = Linear(width, width, draw=draw, rngs=rngs)
        self.gru = Gru(table_width, width, rngs)
        self.generates = Linear(inputs, 1, draw=uniform(inputs**-0.5), rngs=rngs)
        self.gate = Linear(width, len(GATES), draw=uniform(width**-0.5), rngs=rngs)
        if table_width != width:
            self.to_table = Linear(width, table_width, draw=uniform(width**-0.5), rngs=rngs)


def generator_rules(path: str, body: str, *, projected: bool) -> Rules:
    """The rows of the head's parameters. They are not split: inside the loop over steps a gather would be one a step.

    - `body`: the encoder's name in Hugging Face's files, whose pooler the head begins with where there is one.
    - `projected`: whether the word table has another width than the hidden states.
    """

    def affine(pattern: str, name: str) -> Rules:
        kernel = ParameterRule(
            f"{path}/{pattern}/kernel", "matrix", group="head", hugging_face=f"{name}.weight", transposed=True
        )
        return kernel, ParameterRule(f"{path}/{pattern}/bias", "bias", group="head", hugging_face=f"{name}.bias")

    return (
        *affine("pooler", f"{body}.pooler.dense"),
        *affine("gru/(input|recurrent)", rf"{path}.gru.\1"),
        *affine("(generates|gate)", rf"{path}.\1"),
        *(affine("to_table", f"{path}.to_table") if projected else ()),
    )


class Step(NamedTuple):
    """What decides the next token of each slot.

    - `logits`: of the word table, float32 [B, J, V].
    - `generates`, `copies`: the logarithms of the shares of both in the mixture, float32 [B, J, 1]; the first less the logarithm of the
      sum of the logits' exponentials.
    - `attended`: the probabilities of the dialogue's tokens, float32 [B, J, L], 0 for padding.
    """

    logits: jax.Array
    generates: jax.Array
    copies: jax.Array
    attended: jax.Array


def generate(
    params: Parameters,
    table: jax.Array,
    vocab_size: int,
    dialogues: Dialogues,
    names: Sequence[Sequence[int]],
    wanted: jax.Array | None = None,
    *,
    teacher: jax.Array | None = None,
    rate: float = 0.0,
    key: jax.Array | None = None,
) -> Generated:
    """Generates the values of all slots of a batch at once.

    - `params`: of SlotGenerator; `table`: [V, W], the word table, with padding (`pretrain.models.core.vocabulary`).
    - `names`: of each slot the tokens of its name.
    - `wanted`: int32 [B, J, T], the tokens of each value, below 0 behind its end. None: STEPS tokens are generated.
    - `teacher`: bool [B], whether the wanted tokens are read in place of those generated.
    - `rate`: of dropout on what the GRU reads; `key`: as for `pretrain.models.core.dropout.dropout`.

    Scores of the vocabulary exist for one step at a time, forward and backward (where the step is computed again): float32 [B, J, V] is
    92 MB for 16 x 45 x 32,000 and the gradient as much, where 10 steps at once would be 0.9 GB each. Nothing is scattered into the
    vocabulary: the most probable token is either the best of the word table or in the dialogue. The table lies whole on each device
    for the loop, and so does its float32 gradient, 98 MB for 32,000 x 768. In all XLA takes 0.30 GB for 10 steps of such a batch
    of 384 tokens, and 4 MB for each step more.
    """
    hidden, dtype = dialogues.hidden, dialogues.hidden.dtype
    words = {"embedding": whole(table)}
    shape = len(hidden), len(names)
    start = jnp.tanh(_affine(params["pooler"], dialogues.summary))[:, None]
    start = split_rows(jnp.broadcast_to(start, (*shape, start.shape[-1])))
    first = split_rows(jnp.broadcast_to(_sums(words, names), (*shape, table.shape[1])))
    in_dialogue = embed(words, dialogues.tokens).astype(dtype)

    def step(state: Pair, turn: tuple[jax.Array, jax.Array | None]) -> tuple[Pair, Generated]:
        (before, read), (number, asked) = state, turn
        read = dropout(read, rate, fold_key(key, number)).astype(dtype)
        after = split_rows(_gru(params["gru"], read, before))
        narrow = after.astype(dtype)
        scores = wide_einsum("bjh,blh->bjl", narrow, hidden)
        attended = jax.nn.softmax(jnp.where(dialogues.real[:, None], scores, LOW))
        context = jnp.einsum("bjl,blh->bjh", attended.astype(dtype), hidden)
        share = _affine(params["generates"], jnp.concatenate([read, narrow, context], -1))
        out = _affine(params["to_table"], narrow).astype(dtype) if "to_table" in params else narrow
        logits = vocabulary_scores(out, words["embedding"], None, vocab_size)
        generates = jax.nn.log_sigmoid(share) - jax.nn.logsumexp(logits, -1, keepdims=True)
        found = Step(logits, generates, jax.nn.log_sigmoid(-share), attended)
        chosen = _most_probable(found, dialogues, wide_einsum("bjw,blw->bjl", out, in_dialogue))
        losses = jnp.zeros(shape) if asked is None else _losses(found, dialogues, asked)
        following = chosen
        if asked is not None and teacher is not None:
            following = jnp.where(teacher[:, None], jnp.maximum(asked, 0), chosen)
        return (after, embed(words, following)), Generated(_affine(params["gate"], context), chosen, losses)

    asked = None if wanted is None else jnp.moveaxis(wanted, -1, 0)
    turns = jnp.arange(STEPS if asked is None else len(asked)), asked
    _, (gates, tokens, losses) = jax.lax.scan(jax.checkpoint(step, prevent_cse=False), (start, first), turns)
    return Generated(gates[0], jnp.moveaxis(tokens, 0, -1), jnp.moveaxis(losses, 0, -1))


def _most_probable(found: Step, dialogues: Dialogues, of_dialogue: jax.Array) -> jax.Array:
    """The most probable token of the mixture, int32 [B, J]: the best of the word table, unless one of the dialogue is better.

    - `of_dialogue`: the logits of its tokens, float32 [B, J, L].
    """
    same = (dialogues.tokens[:, :, None] == dialogues.tokens[:, None]).astype(jnp.float32)
    copied = found.copies + _log(jnp.einsum("bjl,blm->bjm", found.attended, same, precision="highest"))
    in_place = jnp.where(dialogues.real[:, None], jnp.logaddexp(found.generates + of_dialogue, copied), LOW)
    there = jnp.take_along_axis(dialogues.tokens, jnp.argmax(in_place, -1), 1)
    is_there = in_place.max(-1) >= found.generates[..., 0] + found.logits.max(-1)
    return jnp.where(is_there, there, jnp.argmax(found.logits, -1)).astype(jnp.int32)


def _losses(found: Step, dialogues: Dialogues, asked: jax.Array) -> jax.Array:
    """The cross-entropy of the tokens asked for, float32 [B, J] for int32 [B, J]."""
    of_asked = jnp.where(jnp.arange(found.logits.shape[-1]) == asked[..., None], found.logits, 0.0).sum(-1)
    is_asked = dialogues.tokens[:, None] == asked[..., None]
    copied = _log(jnp.where(is_asked, found.attended, 0.0).sum(-1))
    return -jnp.logaddexp(found.generates[..., 0] + of_asked, found.copies[..., 0] + copied)


def _sums(words: Parameters, names: Sequence[Sequence[int]]) -> jax.Array:
    """The sum of the vectors of each name's tokens, float32 [J, W]."""
    real = np.arange(max(map(len, names))) < np.array([len(name) for name in names])[:, None]
    tokens = np.zeros(real.shape, np.int32)
    tokens[real] = np.concatenate([np.array(name, np.int32) for name in names])
    return (embed(words, jnp.asarray(tokens)) * real[..., None]).sum(1)


def _gru(params: Parameters, inputs: jax.Array, hidden: jax.Array) -> jax.Array:
    """The state after inputs [..., I], float32 [..., H]."""
    given, kept = _affine(params["input"], inputs), _affine(params["recurrent"], hidden.astype(inputs.dtype))
    (reset, update, new), (own_reset, own_update, own_new) = (jnp.split(each, 3, -1) for each in (given, kept))
    share = jax.nn.sigmoid(update + own_update)
    return (1 - share) * jnp.tanh(new + jax.nn.sigmoid(reset + own_reset) * own_new) + share * hidden


def _affine(params: Parameters, inputs: jax.Array) -> jax.Array:
    """An affine map of [..., I] to float32 [..., O]; the product is in the type of the inputs."""
    return wide_einsum("...i,io->...o", inputs, params["kernel"].astype(inputs.dtype)) + params["bias"]


def _log(probabilities: jax.Array) -> jax.Array:
    """Their logarithms, LOW where they are nothing."""
    some = probabilities > TINY
    return jnp.where(some, jnp.log(jnp.where(some, probabilities, 1.0)), LOW)
