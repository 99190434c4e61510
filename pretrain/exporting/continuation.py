"""Continuing a text with a trained model, or writing its target: a look at what it writes; transformers' `generate` on the export is for more."""

from functools import partial
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.exporting.answers.lengths import padded_length
from pretrain.exporting.answers.tokens import quoted
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
        raise InputError(f"{quoted(text)}: has no token; give a text")
    if longest and max(len(source), tokens + 1) > longest.tokens:
        raise InputError(
            f"the text has {len(source)} tokens, and {tokens} are to be written; the model reads and writes {longest.tokens}: shorten the "
            "text, or let fewer tokens be written (--tokens)"
        )
    row = np.full((1, padded_length(len(source), longest.tokens if longest else None)), tokenizer.special.pad, np.int32)
    row[0, : len(source)] = source
    with jax.default_matmul_precision("highest"):
        model, start = cast(Decoder, subject.model), subject.family.target_start(tokenizer.special)
        found = _targets(model, subject.params_on_device, row, len(source), start=start, count=tokens)
    written = np.asarray(found)[0].tolist()
    sep = tokenizer.special.sep
    return _every_token(tokenizer, written[: written.index(sep)] if sep in written else written)


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
    width = padded_length(len(prompt) + tokens, longest.tokens if longest else None)
    rows = np.full((count, width), tokenizer.special.pad, np.int32)
    rows[:, : len(prompt)] = prompt
    keys = jax.random.split(jax.random.key(seed), count)
    with jax.default_matmul_precision("highest"):
        found = _continued(
            cast(NextTokenHead, subject.model),
            subject.params_on_device,
            rows,
            len(prompt),
            keys,
            tokens,
            jnp.float32(temperature),
            top_k=top_k,
            greedy=temperature == 0,
        )
    written = np.asarray(found)[:, len(prompt) : len(prompt) + tokens].tolist()
    sep, given = tokenizer.special.sep, len(_every_token(tokenizer, prompt))
    ends = [row[: row.index(sep)] if sep in row else row for row in written]
    return [text + _every_token(tokenizer, [*prompt, *end])[given:] for end in ends]


def _every_token(tokenizer: Tokenizer, ids: list[int]) -> str:
    """Tokens as a text; a special that was written ([UNK]) is shown by its name."""
    return tokenizer.backend.decode(ids, skip_special_tokens=False)


# Compiled once for a model and a padded length: of the rest only the shapes and the keyword arguments make another program.
@partial(jax.jit, static_argnames=("model", "start", "count"))
def _targets(
    model: Decoder, params: Parameters, row: jax.Array, length: jax.Array, *, start: int, count: int
) -> jax.Array:
    """The targets, int32 [1, count], of the first `length` tokens of an int32 [1, S]."""
    read = whole_texts(row)
    segments = (read.positions < length).astype(jnp.int32)
    hidden = model.encode(params, read._replace(segments=segments))
    return greedy_targets(model, params, hidden, segments, start=start, count=count)


@partial(jax.jit, static_argnames=("model", "top_k", "greedy"))
def _continued(
    model: NextTokenHead,
    params: Parameters,
    rows: jax.Array,
    length: jax.Array,
    keys: jax.Array,
    count: jax.Array,
    temperature: jax.Array,
    *,
    top_k: int,
    greedy: bool,
) -> jax.Array:
    """The rows, int32 [R, S], with `count` tokens behind their first `length`."""
    lengths, warmth = jnp.full(len(rows), length), 0.0 if greedy else temperature
    return continued(model, params, rows, lengths, keys, count=count, top_k=top_k, temperature=warmth)
