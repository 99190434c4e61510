"""Words into n-grams, which are hidden together."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def ngram_lengths(bits: jax.Array, weights: Sequence[float]) -> jax.Array:
    """int32 [...], 1 to N: lengths drawn by their weights.

    - `bits`: random uint32 [...].
    - `weights`: of the lengths 1 to N, 0 or more and not all 0; they need not sum to 1.
    """
    # Compared as integers, which all devices do alike; a weight of 0 at the end leaves one chance in 2**32.
    bounds = [round(2**32 * below / sum(weights)) for below in accumulate(weights)]
    lower = jnp.asarray(np.minimum(bounds[:-1], 2**32 - 1), jnp.uint32)
    return 1 + (bits[..., None] >= lower).sum(-1, dtype=jnp.int32)


def ngram_starts(word_starts: jax.Array, maskable: jax.Array, lengths: jax.Array) -> jax.Array:
    """bool [L]: the words that begin an n-gram, when from left to right each n-gram takes as many words as the length at its first
    token, or as there are before a special.

    - `word_starts`: bool [L], the first tokens of words, all maskable.
    - `maskable`: bool [L]; an n-gram ends before a token that is not.
    - `lengths`: int32 [L], 1 or more.

    Each word is in one n-gram and each n-gram will be chosen alike, so that a word's place in the row does not tell how likely it is
    hidden, and the lengths among those chosen are as drawn.
    """
    # One number a token: an n-gram's length where a word starts, 0 inside a word, -1 where nothing may be hidden.
    steps = jnp.where(word_starts, lengths, jnp.where(maskable, 0, -1))

    def turn(left: jax.Array, step: jax.Array) -> tuple[jax.Array, jax.Array]:
        opens = (step > 0) & (left == 0)
        after_word = jnp.where(opens, step, left) - 1
        return jnp.where(step > 0, after_word, jnp.where(step < 0, 0, left)), opens

    return jax.lax.scan(turn, jnp.int32(0), steps, unroll=8)[1]


def fit_ngrams(word_lengths: jax.Array, opens: jax.Array, budget: jax.Array) -> jax.Array:
    """bool [W]: which words are taken when of each n-gram, in turn, as many words are taken as fit in the budget, from its first.

    - `word_lengths`: int32 [W], tokens; the words of an n-gram follow each other. 0 is no word.
    - `opens`: bool [W], the first word of an n-gram.
    - `budget`: int32 scalar, tokens.
    """

    def turn(state: tuple[jax.Array, jax.Array], word: tuple[jax.Array, jax.Array]) -> tuple[Any, jax.Array]:
        left, taken_so_far = state
        word_length, opens = word
        fits = (word_length > 0) & (word_length <= left) & (opens | taken_so_far)
        return (left - jnp.where(fits, word_length, 0), fits), fits

    return jax.lax.scan(turn, (budget, jnp.bool_(False)), (word_lengths, opens), unroll=8)[1]
