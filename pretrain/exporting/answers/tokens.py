"""What a model says of single tokens of a text: the likeliest words for a mask, and which tokens were replaced."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from tokenizers import Encoding

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.tokenizer import Tokenizer
from data_pipeline.contract.unigram import SPACE_SYMBOL
from pretrain.exporting.answers.lengths import padded_length
from pretrain.subject import Subject

QUOTED = 60
"""Characters of a text that an error quotes."""


@dataclass(frozen=True)
class Filling:
    """A token for a mask.

    - `piece`: of the vocabulary; `probability`: 0 to 1; `text`: the text with it, other masks left as they are.
    - `mask`: which mask of the text, from 1; 0 where there is only one.
    """

    piece: str
    probability: float
    text: str
    mask: int


@dataclass(frozen=True)
class Token:
    """A token of a text.

    - `id`, `piece`: of the vocabulary; `text`: what it stands for in the text, of a special token its name.
    - `starts_word`, `starts_eojeol`: whether a word of BERT, or an eojeol, begins with it.
    - `unknown`: whether the vocabulary lacks it; `special`: whether the tokenizer added it.
    """

    id: int
    piece: str
    text: str
    starts_word: bool
    starts_eojeol: bool
    unknown: bool
    special: bool


@dataclass(frozen=True)
class Suspicion(Token):
    """A token, and the probability, 0 to 1, that another one was replaced by it."""

    probability: float


def quoted(text: str) -> str:
    """A text as errors quote it: its beginning, where it is long."""
    return repr(text if len(text) <= QUOTED else f"{text[:QUOTED]}...")


def fillings(subject: Subject, text: str, top: int) -> list[Filling]:
    """The `top` likeliest tokens for each mask of a text, mask by mask, likeliest first.

    Raises InputError where the text has no mask or too many tokens.
    """
    tokenizer, encoding = subject.tokenizer, _encoded(subject, text)
    mask = tokenizer.special.mask
    places = [place for place, index in enumerate(encoding.ids) if index == mask]
    if not places:
        raise InputError(f"{quoted(text)}: holds no {tokenizer.pieces[mask]}; put it where a word is to be filled in")
    probabilities = np.asarray(jax.nn.softmax(jnp.asarray(_logits(subject, encoding)[places])))
    return [
        Filling(
            tokenizer.pieces[index],
            float(scores[index]),
            _filled(tokenizer, text, *encoding.offsets[place], index),
            number if len(places) > 1 else 0,
        )
        for number, (place, scores) in enumerate(zip(places, probabilities, strict=True), 1)
        for index in np.argsort(-scores, kind="stable")[:top].tolist()
    ]


def _filled(tokenizer: Tokenizer, text: str, start: int, end: int, index: int) -> str:
    """The text as it was given, with a token in place of its characters `start` to `end`.

    A piece that continues a word, or closes what is before it, joins it; one that begins a word has a blank before it. The rest of the
    text stays, words that the vocabulary lacks too.
    """
    before, piece = text[:start], tokenizer.pieces[index]
    joins = bool(tokenizer.continues[index] or tokenizer.closing[index]) and index not in tokenizer.reserved_ids
    if joins:
        before = before.rstrip()
    elif before and before[-1].isalnum():
        before += " "
    return before + piece.removeprefix("##").strip(SPACE_SYMBOL) + text[end:]


def tokens_of(subject: Subject, text: str) -> list[Token]:
    """The tokens of a text as the model reads them, with the specials that the tokenizer adds.

    Raises InputError where there are too many.
    """
    encoding = _encoded(subject, text)
    units = (subject.tokenizer.encode([text], unit)[0][1].tolist() for unit in ("bert_word", "eojeol"))
    starts = zip(*units, strict=True)
    found = []
    for index, piece, offsets, added in zip(
        encoding.ids, encoding.tokens, encoding.offsets, encoding.special_tokens_mask, strict=True
    ):
        word, eojeol = (True, True) if added else next(starts)
        written = piece if added else text[slice(*offsets)]
        found.append(Token(index, piece, written, word, eojeol, index == subject.tokenizer.special.unk, bool(added)))
    return found


def suspicions(subject: Subject, text: str) -> list[Suspicion]:
    """Each token of a text with the probability that it was replaced, without the specials that the tokenizer adds.

    Raises InputError where the text has no token, a mask, or too many tokens.
    """
    refuse_masks(subject, text)
    tokens = tokens_of(subject, text)
    if all(token.special for token in tokens):
        raise InputError(f"{quoted(text)}: has no token; give a sentence")
    probabilities = np.asarray(jax.nn.sigmoid(jnp.asarray(_logits(subject, _encoded(subject, text))))).tolist()
    return [
        Suspicion(**vars(token), probability=probability)
        for token, probability in zip(tokens, probabilities, strict=True)
        if not token.special
    ]


def refuse_masks(subject: Subject, text: str) -> None:
    """Raises InputError where a text for a model that does not fill masks has one."""
    mask = subject.tokenizer.pieces[subject.tokenizer.special.mask]
    if mask in text:
        raise InputError(
            f"{quoted(text)}: holds {mask}, but {subject.origin} has no head that fills masks; give a text without"
        )


def _encoded(subject: Subject, text: str) -> Encoding:
    encoding, longest = subject.tokenizer.backend.encode(text), subject.config.longest_row()
    if longest and len(encoding.ids) > longest.tokens:
        raise InputError(f"the text has {len(encoding.ids)} tokens, the model reads {longest.tokens}; shorten it")
    return encoding


def _logits(subject: Subject, encoding: Encoding) -> np.ndarray:
    """What the model says at each token of a text, float32 [L, ...]."""
    longest, count = subject.config.longest_row(), len(encoding.ids)
    length = padded_length(count, longest.tokens if longest else None)
    ids = np.full((1, length), subject.tokenizer.special.pad)
    types, attends = np.zeros_like(ids), np.zeros_like(ids)
    ids[0, :count], types[0, :count], attends[0, :count] = encoding.ids, encoding.type_ids, 1
    return subject.logits(ids, types, attends)[0, :count]
