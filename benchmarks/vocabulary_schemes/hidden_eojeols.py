"""Bits per character that a masked language model needs for hidden eojeols: comparable between vocabularies, unlike its loss."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.models.bert.model import Bert
from pretrain.models.core.layers import Parameters
from pretrain.models.protocols import Inputs

HIDDEN_SHARE = 0.15
LENGTH = 64
"""Tokens a row, [CLS] and [SEP] included; a sentence that is longer by any vocabulary is left out."""
ROWS = 64
"""Rows that the model sees at once."""


@dataclass(frozen=True)
class Question:
    """A sentence, and which of its eojeols are hidden, counted from 0."""

    text: str
    hidden: tuple[int, ...]

    @property
    def characters(self) -> int:
        """Of the hidden eojeols."""
        eojeols = self.text.split()
        return sum(len(eojeols[index]) for index in self.hidden)


def questions(texts: Sequence[str], tokenizers: Sequence[Tokenizer], most: int, seed: int) -> list[Question]:
    """At most so many sentences of four eojeols or more, in random order, each with 15 % of its eojeols hidden (at least one).

    Left out are those that some vocabulary cuts into more than LENGTH tokens, sees other eojeols in, or has an [UNK] for.
    """
    draw = random.Random(seed)
    found = []
    for text in draw.sample(texts, len(texts)):
        eojeols = text.split()
        hidden = draw.sample(range(len(eojeols)), max(1, round(HIDDEN_SHARE * len(eojeols))))
        if len(eojeols) >= 4 and all(_fits(tokenizer, text) for tokenizer in tokenizers):
            found.append(Question(text, tuple(sorted(hidden))))
        if len(found) == most:
            break
    return found


def _fits(tokenizer: Tokenizer, text: str) -> bool:
    [(ids, starts)] = tokenizer.encode([text], "eojeol")
    return len(ids) <= LENGTH - 2 and starts.sum() == len(text.split()) and tokenizer.special.unk not in ids


@dataclass(frozen=True)
class Rows:
    """One row for each piece of each hidden eojeol: int [N, LENGTH], and int [N] where the piece stood and which it was."""

    tokens: np.ndarray
    positions: np.ndarray
    pieces: np.ndarray


def rows_of(question: Question, tokenizer: Tokenizer) -> Rows:
    """Pieces are asked for from left to right within an eojeol: those before it are seen, it and those behind it are [MASK].

    The other hidden eojeols stay hidden as a whole, so that the answers of one sentence tell each other nothing.
    """
    special = tokenizer.special
    [(ids, starts)] = tokenizer.encode([question.text], "eojeol")
    eojeol_of = np.cumsum(starts) - 1
    row = np.full(LENGTH, special.pad, np.int32)
    row[: len(ids) + 2] = [special.cls, *ids, special.sep]
    hidden = np.flatnonzero(np.isin(eojeol_of, question.hidden)) + 1
    all_hidden = row.copy()
    all_hidden[hidden] = special.mask
    tokens = np.tile(all_hidden, (len(hidden), 1))
    for line, position in zip(tokens, hidden, strict=True):
        before = hidden[(eojeol_of[hidden - 1] == eojeol_of[position - 1]) & (hidden < position)]
        line[before] = row[before]
    return Rows(tokens, hidden, row[hidden])


def bits_per_character(model: Bert, params: Parameters, tokenizer: Tokenizer, asked: Sequence[Question]) -> float:
    """Sum of -log2 p(piece) over all pieces of all hidden eojeols, by the characters of these eojeols."""
    pad = tokenizer.special.pad
    listed = [rows_of(question, tokenizer) for question in asked]
    tokens, positions, pieces = (
        np.concatenate([getattr(rows, name) for rows in listed]) for name in ("tokens", "positions", "pieces")
    )
    number = len(tokens)

    @jax.jit
    def nats(tokens: jax.Array, positions: jax.Array, pieces: jax.Array) -> jax.Array:
        hidden = encode(model, params, tokens, pad)
        at = jnp.take_along_axis(hidden, positions[:, None, None], 1)[:, 0]
        scores = jax.nn.log_softmax(model.vocabulary_logits(params, at))
        return -jnp.take_along_axis(scores, pieces[:, None], 1)[:, 0]

    total = 0.0
    for start in range(0, number, ROWS):
        chosen = np.arange(start, start + ROWS).clip(max=number - 1)
        found = np.asarray(nats(tokens[chosen], positions[chosen], pieces[chosen]), np.float64)
        total += float(found[: number - start].sum())
    return total / math.log(2) / sum(question.characters for question in asked)


def encode(model: Bert, params: Parameters, tokens: jax.Array, pad: int) -> jax.Array:
    """The last hidden states [B, L, H] of padded rows int [B, L]."""
    positions = jnp.broadcast_to(jnp.arange(tokens.shape[1]), tokens.shape)
    segments = (tokens != pad).astype(jnp.int32)
    return model.encode(params, Inputs(tokens, segments, positions, jnp.zeros_like(tokens)))
