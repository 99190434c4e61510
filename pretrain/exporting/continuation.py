"""Continuing a text with a trained model: a look at what it writes; transformers' `generate` on the export is for more."""

from typing import cast

import jax
import jax.numpy as jnp
import numpy as np

from data_pipeline.contract.errors import InputError
from pretrain.models.core.layers import Parameters
from pretrain.models.protocols import NextTokenHead
from pretrain.models.sampling import continued
from pretrain.subject import Subject


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
