"""Whole-word masking on the device: what is hidden depends on the row's key and on nothing else."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from data_pipeline.contract.errors import InputError
from pretrain.objectives.corruption.ngrams import fit_ngrams, ngram_lengths, ngram_starts
from pretrain.objectives.corruption.recipe import WEIGHTS, WORDS

REPLACE_UNITS = ("token", "word", "ngram")
RATE_UNIT = 2**14
"""A rate that changes with the step is a whole number of 1 / RATE_UNIT, so that its product with up to 65,536 tokens is an int32."""
MOST_RATES = 1024
"""Most values that a rate takes on its way from the first to the last, so that arithmetic with their numbers is exact, too."""


class MaskedRows(NamedTuple):
    """Rows with some tokens hidden, and what stood there.

    - `inputs`: int32 [B, L], the tokens that the model sees.
    - `positions`: int32 [B, K], the predicted positions in rising order; 0 in an empty slot.
    - `labels`: int32 [B, K], the tokens that stood there; 0 in an empty slot.
    - `weights`: float32 [B, K], 1 for a prediction, 0 for an empty slot.
    """

    inputs: jax.Array
    positions: jax.Array
    labels: jax.Array
    weights: jax.Array


def mask_rows(
    tokens: jax.Array,
    word_starts: jax.Array,
    *,
    row_keys: jax.Array,
    rate: float | jax.Array,
    max_predictions: int,
    mask_share: float,
    random_share: float,
    replace_unit: str = "token",
    ngrams: Sequence[float] = WORDS,
    mask_id: int,
    special_ids: Sequence[int],
    ordinary_ids: jax.Array,
) -> MaskedRows:
    """Chooses whole words in random order up to a budget of tokens and hides them (Devlin et al. 2019, section 3.1, and
    the whole-word rule of google-research/bert, create_pretraining_data.py).

    A row's budget is min(K, max(1, round(rate x maskable tokens))). A word that would exceed what is left of it is
    skipped and later, shorter ones are still tried, so a row may stay below its budget but never above, and where each
    word is longer than the budget nothing is masked. First fit favours short words: at 15 % of
    rows of 128 tokens of petitions (KLUE's vocabulary) it hides 17.5 % of the words of one piece and 10.8 % of those of eight; at 512
    tokens 15.6 and 12.4 %.

    With n-grams the words of a row are first divided into them from left to right, and n-grams are tried in random order: of each as many
    words are taken as fit, from its first. None reaches over a token that may not be hidden.

    - `tokens`: int [B, L], before masking.
    - `word_starts`: bool [B, L], true where a token starts a word. A maskable token after one that is not, or at the
      row's start, starts a word in any case: a document may go on in the middle of a word.
    - `row_keys`: threefry keys [B]; a row's key decides its mask, wherever the row stands in whatever batch. Other
      implementations are refused: under vmap their bits may depend on the other rows and on the topology.
    - `rate`: share of a row's maskable tokens to predict, 0 to 1; or what `rate_at` makes of two of them and a step.
    - `max_predictions`: K, slots a row; static, 1 to L.
    - `mask_share`, `random_share`: shares of the predicted tokens that become `mask_id` or a random token; the rest stays.
    - `replace_unit`: "token" draws that for each token on its own, "word" once for all tokens of a word, of which each then
      gets a random token of its own, "ngram" once for all words of an n-gram (create_masked_lm_predictions of google-research/bert
      and of monologg/KoBigBird).
    - `ngrams`: weights of n-grams of 1, 2, ... words.
    - `special_ids`: ids, padding among them, that are never masked and do not count as maskable.
    - `ordinary_ids`: int [N], the ids that random replacements are drawn from, each alike.

    Raises InputError where rate, shares, weights, replace_unit or max_predictions are out of range, ValueError for a key that is not
    threefry.
    """
    length = tokens.shape[-1]
    if not 1 <= max_predictions <= length:
        raise InputError(
            f"--training.objective.masking.max-predictions {max_predictions}: must be 1 to {length}, the tokens of a row"
        )
    if not isinstance(rate, jax.Array) and not 0 < rate <= 1:
        raise InputError(f"--training.objective.masking.rate {rate}: must be above 0 and at most 1")
    if min(mask_share, random_share) < 0 or mask_share + random_share > 1:
        raise InputError(
            f"--training.objective.masking.mask-share {mask_share} and --training.objective.masking.random-share {random_share}: must be at least 0 and sum to at most 1"
        )
    if replace_unit not in REPLACE_UNITS:
        raise InputError(
            f"--training.objective.masking.replace-unit {replace_unit}: must be {', '.join(REPLACE_UNITS[:-1])} or {REPLACE_UNITS[-1]}"
        )
    if not WEIGHTS.holds(tuple(ngrams)):
        raise InputError(f"--training.objective.masking.ngrams {tuple(ngrams)}: must be {WEIGHTS.words}")
    if str(jax.random.key_impl(row_keys)) != "threefry2x32":
        raise ValueError(f"masks need threefry2x32 keys, not {jax.random.key_impl(row_keys)}")
    mask_row = partial(
        _mask_row,
        budgets=token_budgets(length, rate, max_predictions),
        max_predictions=max_predictions,
        mask_share=mask_share,
        random_share=random_share,
        replace_unit=replace_unit,
        ngrams=ngrams,
        mask_id=mask_id,
        special_ids=special_ids,
        ordinary_ids=ordinary_ids,
    )
    return jax.vmap(mask_row)(tokens.astype(jnp.int32), word_starts, row_keys)


def rate_at(step: jax.Array, steps: range, first: float, last: float) -> jax.Array:
    """int32 scalar, in 1 / RATE_UNIT: the rate of a step, linear from that of the first to that of the last.

    - `step`: steps done, int32 scalar.
    - `steps`: those over which it changes; before and behind them it is that of the nearest.

    Computed in integers, because the device's float32 rounds differently, and a TPU's differently again.
    """
    stride = -(-len(steps) // MOST_RATES)
    number = (jnp.clip(step, steps.start, steps.stop - 1) - steps.start) // stride
    begin, end = round(RATE_UNIT * first), round(RATE_UNIT * last)
    return begin + (end - begin) * number // max(1, (len(steps) - 1) // stride)


def token_budgets(length: int, rate: float | jax.Array, max_predictions: int) -> np.ndarray | jax.Array:
    """int32 [length + 1]: the tokens to predict in a row with 0, 1, ... maskable tokens.

    - `rate`: see `mask_rows`.

    A table, because the product rounds differently in the device's float32 (and on a TPU differs again).
    """
    if isinstance(rate, jax.Array):
        maskable = jnp.arange(length + 1, dtype=jnp.int32)
        wanted = jnp.clip((rate * maskable + RATE_UNIT // 2) // RATE_UNIT, 1, max_predictions)
        return jnp.where(maskable > 0, wanted, 0)
    budgets = [min(max_predictions, max(1, round(rate * maskable))) for maskable in range(length + 1)]
    return np.array([0, *budgets[1:]], np.int32)


def _mask_row(
    tokens: jax.Array,
    word_starts: jax.Array,
    key: jax.Array,
    *,
    budgets: np.ndarray | jax.Array,
    max_predictions: int,
    mask_share: float,
    random_share: float,
    replace_unit: str,
    ngrams: Sequence[float],
    mask_id: int,
    special_ids: Sequence[int],
    ordinary_ids: jax.Array,
) -> MaskedRows:
    """`mask_rows` for one row, tokens [L]."""
    (length,) = tokens.shape
    several = len(ngrams) > 1
    order_bits, action_bits, ordinary_bits, *ngram_bits = jax.random.bits(key, (3 + several, length), jnp.uint32)
    maskable = ~(tokens[:, None] == jnp.asarray(special_ids, jnp.int32)).any(-1)
    budget = jnp.asarray(budgets)[maskable.sum()]
    opens = None
    if several:
        opens = ngram_starts(_starts(maskable, word_starts), maskable, ngram_lengths(ngram_bits[0], ngrams))
        # The words of an n-gram share its random bits, and so follow each other in the order of the scores.
        order_bits = order_bits[_last_index_of(opens)]
    chosen = _choose_words(maskable, word_starts, _word_scores(order_bits), budget, opens)

    # The remainder prefers low ids by one part in 2**32 / N, which is below 0.01 % for any vocabulary.
    ordinary = ordinary_ids[ordinary_bits % jnp.uint32(ordinary_ids.shape[0])].astype(jnp.int32)
    if replace_unit != "token":
        together = opens if replace_unit == "ngram" and opens is not None else _starts(maskable, word_starts)
        action_bits = action_bits[_last_index_of(together)]
    action = (action_bits >> 8).astype(jnp.float32) / 2**24
    replacement = jnp.where(
        action < mask_share, mask_id, jnp.where(action < mask_share + random_share, ordinary, tokens)
    )

    # The chosen positions keep their index as key, so sorting brings them to the front.
    index = jnp.arange(length, dtype=jnp.int32)
    positions = jnp.sort(jnp.where(chosen, index, length))[:max_predictions]
    filled = positions < length
    positions = jnp.where(filled, positions, 0)
    return MaskedRows(
        inputs=jnp.where(chosen, replacement, tokens),
        positions=positions,
        labels=jnp.where(filled, tokens[positions], 0),
        weights=filled.astype(jnp.float32),
    )


def _word_scores(bits: jax.Array) -> jax.Array:
    """uint32 [L] below 2**31, all different, from random uint32 [L]: words are tried in rising order of the score at their
    first token.

    The lowest bits are the position, for then one sorted array tells the order: sorting with a payload takes ten times as
    long on a CPU. That leaves 22 random bits at length 512; of equals the earlier goes first.
    """
    (length,) = bits.shape
    position_bits = (length - 1).bit_length()
    return bits >> (1 + position_bits) << position_bits | jnp.arange(length, dtype=jnp.uint32)


def _starts(maskable: jax.Array, word_starts: jax.Array) -> jax.Array:
    """bool [L]: a maskable token that starts a word, or follows one that is not maskable."""
    after_maskable = jnp.concatenate([jnp.zeros(1, bool), maskable[:-1]])
    return maskable & (word_starts | ~after_maskable)


def _last_index_of(starts: jax.Array) -> jax.Array:
    """int32 [L]: of each position the last start at or before it, 0 where there is none."""
    return jax.lax.cummax(jnp.where(starts, jnp.arange(len(starts), dtype=jnp.int32), 0))


def _choose_words(
    maskable: jax.Array, word_starts: jax.Array, scores: jax.Array, budget: jax.Array, opens: jax.Array | None = None
) -> jax.Array:
    """bool [L]: the tokens of the words that the order of `_word_scores` puts within the budget of tokens.

    - `opens`: bool [L], the first tokens of n-grams; None where each word is one.
    """
    (length,) = maskable.shape
    index = jnp.arange(length, dtype=jnp.int32)
    starts = _starts(maskable, word_starts)
    # A word is kept at its first token, as its length: it ends where the next word or special begins.
    boundary = starts | ~maskable
    here_or_later = jax.lax.cummin(jnp.where(boundary, index, length), reverse=True)
    end = jnp.concatenate([here_or_later[1:], jnp.full(1, length, jnp.int32)])
    word_length = jnp.where(starts, end - index, 0)

    position_mask = (1 << (length - 1).bit_length()) - 1
    not_a_word = jnp.uint32(1 << 31)
    in_order = jnp.sort(jnp.where(starts, scores, scores | not_a_word))
    first_token = (in_order & position_mask).astype(jnp.int32)
    if opens is None:
        taken = _first_fit(word_length[first_token], budget)
    else:
        words = (word_length << 1 | opens)[first_token]
        taken = fit_ngrams(words >> 1, (words & 1).astype(bool), budget)
    # Back to the order of the row. Sorting again instead of a scatter, which runs one by one on a TPU.
    taken_at = jnp.sort(first_token << 1 | taken.astype(jnp.int32)) & 1
    # The running maximum carries the lowest bit of the last boundary over the word that it opens.
    return (jax.lax.cummax(jnp.where(boundary, index << 1 | taken_at, 0)) & 1).astype(bool)


def _first_fit(word_lengths: jax.Array, budget: jax.Array) -> jax.Array:
    """bool [W]: which words are taken when each, in turn, is taken if it still fits in the budget. Length 0 is no word.

    All W turns are taken: a loop that ends when the budgets of all rows are spent would need a collective.
    """

    def turn(left: jax.Array, word_length: jax.Array) -> tuple[jax.Array, jax.Array]:
        fits = (word_length > 0) & (word_length <= left)
        return left - jnp.where(fits, word_length, 0), fits

    # A turn is one comparison a row, so that starting it is the whole cost on a GPU or TPU: eight are compiled into one.
    return jax.lax.scan(turn, budget, word_lengths, unroll=8)[1]
