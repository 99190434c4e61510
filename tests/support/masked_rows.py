"""Rows of random tokens and words, masked with the shares of BERT."""

import jax
import jax.numpy as jnp
import numpy as np

from pretrain.objectives.corruption.masking import MaskedRows, mask_rows
from pretrain.objectives.corruption.recipe import WORDS

PAD, UNK, CLS, SEP, MASK = range(5)
SPECIAL_IDS = (PAD, CLS, SEP, MASK)
VOCABULARY = 30_000
ORDINARY_IDS = np.arange(100, VOCABULARY, 2)

# Few shapes, for compiling takes longer than running: many rows for the statistics, few short ones for the rest. In those
# the slots bind above 27 maskable tokens and the rate below.
MANY, WIDE = 6000, 128
FEW, LENGTH, RATE, SLOTS = 16, 48, 0.3, 8


def masked(
    tokens: jax.Array,
    word_starts: jax.Array,
    key: jax.Array,
    row_ids: jax.Array,
    rate: float = RATE,
    slots: int = SLOTS,
    replace_unit: str = "token",
    ngrams: tuple[float, ...] = WORDS,
) -> MaskedRows:
    """`mask_rows` with BERT's shares and the ids above, and a key for each row made of one key and a number."""
    return mask_rows(
        tokens,
        word_starts,
        row_keys=jax.vmap(lambda number: jax.random.fold_in(key, number))(row_ids),
        rate=rate,
        max_predictions=slots,
        mask_share=0.8,
        random_share=0.1,
        replace_unit=replace_unit,
        ngrams=ngrams,
        mask_id=MASK,
        special_ids=SPECIAL_IDS,
        ordinary_ids=jnp.asarray(ORDINARY_IDS),
    )


jitted = jax.jit(masked, static_argnames=("rate", "slots", "replace_unit", "ngrams"))


def step_key(step: int, seed: int = 7) -> jax.Array:
    return jax.random.fold_in(jax.random.key(seed, impl="threefry2x32"), step)


def random_rows(rows: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows `[CLS] ... [SEP] [CLS] ... [SEP] padding` with words of one to several tokens (mean 2)."""
    generator = np.random.default_rng(0)
    tokens = generator.integers(100, VOCABULARY, (rows, length))
    tokens[:, 0], tokens[:, length // 2], tokens[:, length // 2 + 1] = CLS, SEP, CLS
    ends = generator.integers(length * 3 // 4, length, (rows, 1))
    index = np.arange(length)
    tokens = np.where(index == ends, SEP, np.where(index > ends, PAD, tokens))
    return tokens.astype(np.uint16), generator.random((rows, length)) < 0.5


def words_of(tokens: list[int], word_starts: list[bool]) -> list[list[int]]:
    """The words of one row as lists of positions: specials belong to none, and after one a word starts."""
    words: list[list[int]] = []
    previous_special = True
    for position, (token, start) in enumerate(zip(tokens, word_starts, strict=True)):
        special = token in SPECIAL_IDS
        if not special and (start or previous_special):
            words.append([])
        if not special:
            words[-1].append(position)
        previous_special = special
    return words
