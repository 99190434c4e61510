"""Which rows of another vocabulary each entry of a run's vocabulary begins with."""

from typing import NamedTuple

import numpy as np
from tokenizers import models

from data_pipeline.contract.special_tokens import ROLES
from data_pipeline.contract.tokenizer import Tokenizer, is_isolated
from data_pipeline.contract.unigram import SPACE_SYMBOL

INSIDE = "##"
"""Begins the pieces of a WordPiece vocabulary that continue a word."""


class RowOrigins(NamedTuple):
    """The rows of another vocabulary that each wanted entry is the mean of.

    - `rows`: int64, those of all entries one after the other; `counts`: int64 [wanted], how many each has, 0 for none.
    - `known`: bool [wanted], the entry is in the other vocabulary itself.
    """

    rows: np.ndarray
    counts: np.ndarray
    known: np.ndarray

    def fill(self, wanted: np.ndarray, given: np.ndarray) -> None:
        """Sets what has an origin in `wanted` (float32 [wanted, ...]) to the mean of its rows of `given` ([other vocabulary, ...])."""
        ends = np.cumsum(self.counts)
        for entry in np.flatnonzero(self.counts):
            rows = self.rows[ends[entry] - self.counts[entry] : ends[entry]]
            wanted[entry] = given[rows].mean(axis=0, dtype=np.float32)

    def in_words(self) -> str:
        """How many entries come from where."""
        kept, begun = int(self.known.sum()), int((self.counts > 0).sum())
        return (
            f"{kept:,} of {len(self.known):,} found there, {begun - kept:,} begin as the mean of their pieces there, "
            f"{len(self.known) - begun:,} as drawn"
        )


def row_origins(other: Tokenizer, wanted: Tokenizer) -> RowOrigins:
    """Where each entry of `wanted` comes from in the vocabulary of `other`.

    - Its own row, where the piece is there: the same text, at the same place in a word. A special's row is that of its role.
    - Else the rows of the pieces into which `other` cuts its text, that of "##서울" as it would inside a word.
    - Else, where `other` knows a part of the text only as [UNK], none. Nor have new [unusedN] any.
    """
    places = {_form(other, row): row for row in range(other.size)}
    roles = {getattr(wanted.special, role): getattr(other.special, role) for role in ROLES}
    reserved, cut = set(wanted.reserved_ids), _Cutter(other)
    origins: list[list[int]] = []
    known = np.zeros(wanted.size, bool)
    for row in range(wanted.size):
        form = _form(wanted, row)
        same = roles.get(row, places.get(form))
        if same is not None and form.text:
            origins.append([same])
            known[row] = True
            continue
        origins.append([] if row in reserved else cut(form))
    return RowOrigins(
        np.array([row for origin in origins for row in origin], np.int64),
        np.array([len(origin) for origin in origins], np.int64),
        known,
    )


class _Form(NamedTuple):
    """What a piece is, however its tokenizer marks that: its text, and whether that continues a word."""

    text: str
    inside: bool


def _form(tokenizer: Tokenizer, row: int) -> _Form:
    piece, inside = tokenizer.pieces[row], bool(tokenizer.continues[row])
    return _Form(piece.removeprefix(INSIDE if inside else SPACE_SYMBOL).replace(SPACE_SYMBOL, " "), inside)


class _Cutter:
    """Cuts text into the rows of a tokenizer; nothing where a part of it is unknown there."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer, self._inside = tokenizer, tokenizer.backend.model
        if isinstance(self._inside, models.WordPiece):
            # The pieces that continue a word, by their text: so a text is cut as if letters came before it.
            rows = {piece: row for row, piece in enumerate(tokenizer.pieces) if piece.startswith(INSIDE)}
            unknown = tokenizer.pieces[tokenizer.special.unk]
            inside = {unknown: tokenizer.special.unk, **{piece[len(INSIDE) :]: row for piece, row in rows.items()}}
            self._inside = models.WordPiece(inside, unk_token=unknown, continuing_subword_prefix="")

    def __call__(self, form: _Form) -> list[int]:
        backend, text = self._tokenizer.backend, form.text
        if not form.inside:
            rows = backend.encode(text, add_special_tokens=False).ids
        else:
            text = backend.normalizer.normalize_str(text).strip() if backend.normalizer else text
            words = [text] if text else []
            if self._tokenizer.is_bert:
                # A mark of punctuation is a word of its own, wherever it is, and so is what comes after it.
                words = [word for word, _ in backend.pre_tokenizer.pre_tokenize_str(text)]
            rows = []
            for number, word in enumerate(words):
                starts = number > 0 or (self._tokenizer.is_bert and is_isolated(word[0]))
                rows += [token.id for token in (backend.model if starts else self._inside).tokenize(word)]
        return [] if self._tokenizer.special.unk in rows else rows
