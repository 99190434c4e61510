"""Continuing a text with a trained model, or writing its target: a look at what it writes; transformers' `generate` on the export is for more."""

from typing import cast

import jax
import jax.numpy as jnp
import numpy as np

from data_pipeline.contract.errors import InputError
from pretrain.models.core.layers import Parameters
from pretrain.models.protocols import Decoder, NextTokenHead
from pretrain.models.sampling import continued, greedy_targets, whole_texts
from pretrain.subject import Subject


def targets(subject: Subject, text: str, tokens: int) -> str:
    """What a model finds likeliest, token by token, as the target of a text, up to [SEP] or so many tokens.

    - `subject`: with the head `target`.

    Raises InputError where the text has no token, or the model does not read so many.
    """
    tokenizer, longest = subject.tokenizer, subject.config.longest_row()
    encoding = tokenizer.backend.encode(text)
    source = encoding.ids
    if all(encoding.special_tokens_mask):
        raise InputError(f"{text!r}: has no token; give a text")
    if longest and max(len(source), tokens + 1) > longest.tokens:
        raise InputError(
            f"the text has {len(source)} tokens, and {tokens} are to be written; the model reads and writes {longest.tokens}: shorten the "
            "text, or give a smaller --tokens"
        )

    start = subject.family.target_start(tokenizer.special)

    def write(params: Parameters, rows: jax.Array) -> jax.Array:
        model, read = cast(Decoder, subject.model), whole_texts(rows)
        hidden = model.encode(params, read)
        return greedy_targets(model, params, hidden, read.segments, start=start, count=tokens)

    with jax.default_matmul_precision("highest"):
        written = np.asarray(jax.jit(write)(subject.params, np.array([source], np.int32)))[0].tolist()
    sep = tokenizer.special.sep
    return tokenizer.backend.decode(written[: written.index(sep)] if sep in written else written)


def continuations(
    subject: Subject, text: str, *, count: int, tokens: int, top_k: int, temperature: float, seed: int
) -> list[str]:
    """The text, `count` times, each with up to `tokens` tokens that the model writes behind it, until it writes [SEP].

    - `subject`: with the head `next_token`.
    - `top_k`, `temperature`: as for `pretrain.models.sampling.continued`.
    - `seed`: of what is drawn.

    As in training the text follows a [SEP], and nothing ends it. Raises InputError where the model does not read so many tokens.
    """
    tokenizer, longest = subject.tokenizer, subject.config.longest_row()
    prompt = [tokenizer.special.sep, *tokenizer.backend.encode(text, add_special_tokens=False).ids]
    if longest and len(prompt) + tokens > longest.tokens:
        raise InputError(
            f"the text has {len(prompt)} tokens with its [SEP], and {tokens} are to be written; the model reads "
            f"{longest.tokens}: shorten the text"
        )
    rows = np.full((count, len(prompt) + tokens), tokenizer.special.pad, np.int32)
    rows[:, : len(prompt)] = prompt

    def write(params: Parameters, rows: jax.Array) -> jax.Array:
        model, lengths = cast(NextTokenHead, subject.model), jnp.full(count, len(prompt))
        keys = jax.random.split(jax.random.key(seed), count)
        return continued(model, params, rows, lengths, keys, count=tokens, top_k=top_k, temperature=temperature)

    with jax.default_matmul_precision("highest"):
        written = np.asarray(jax.jit(write)(subject.params, rows))[:, len(prompt) :].tolist()
    sep, given = tokenizer.special.sep, len(tokenizer.backend.decode(prompt))
    ends = [row[: row.index(sep)] if sep in row else row for row in written]
    return [text + tokenizer.backend.decode([*prompt, *end])[given:] for end in ends]
