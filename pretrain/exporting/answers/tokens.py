"""What a model says of single tokens of a text: the likeliest words for a mask, and which tokens were replaced."""

import jax
import jax.numpy as jnp
import numpy as np
from tokenizers import Encoding

from data_pipeline.contract.errors import InputError
from pretrain.subject import Subject


def fillings(subject: Subject, text: str, top: int) -> list[tuple[str, float, str]]:
    """The `top` likeliest tokens for the first mask of a text: piece, probability, and the text with it.

    Raises InputError where the text has no mask or too many tokens.
    """
    tokenizer, encoding = subject.tokenizer, _encoded(subject, text)
    mask = tokenizer.special.mask
    if mask not in encoding.ids:
        raise InputError(f"{text!r}: holds no {tokenizer.pieces[mask]}; put it where a word is to be filled in")
    place = encoding.ids.index(mask)
    scores = np.asarray(jax.nn.softmax(jnp.asarray(_logits(subject, encoding)[place])))
    filled = []
    for index in np.argsort(-scores, kind="stable")[:top].tolist():
        with_it = [*encoding.ids[:place], index, *encoding.ids[place + 1 :]]
        filled.append((tokenizer.pieces[index], float(scores[index]), tokenizer.backend.decode(with_it)))
    return filled


def suspicions(subject: Subject, text: str) -> list[tuple[str, float]]:
    """Each piece of a text with the probability that it was replaced, without the specials that the tokenizer adds.

    A word that the vocabulary lacks follows its piece.

    Raises InputError where the text has no token, a mask, or too many tokens.
    """
    refuse_masks(subject, text)
    encoding = _encoded(subject, text)
    own = [place for place, added in enumerate(encoding.special_tokens_mask) if not added]
    if not own:
        raise InputError(f"{text!r}: has no token; give a sentence")
    probabilities = np.asarray(jax.nn.sigmoid(jnp.asarray(_logits(subject, encoding)))).tolist()
    words = {
        place: f" {text[slice(*encoding.offsets[place])]}"
        for place in own
        if encoding.ids[place] == subject.tokenizer.special.unk
    }
    return [(encoding.tokens[place] + words.get(place, ""), probabilities[place]) for place in own]


def refuse_masks(subject: Subject, text: str) -> None:
    """Raises InputError where a text for a model that does not fill masks has one."""
    mask = subject.tokenizer.pieces[subject.tokenizer.special.mask]
    if mask in text:
        raise InputError(
            f"{text!r}: holds {mask}, but {subject.origin} has no head that fills masks; give a text without"
        )


def _encoded(subject: Subject, text: str) -> Encoding:
    encoding, longest = subject.tokenizer.backend.encode(text), subject.config.longest_row()
    if longest and len(encoding.ids) > longest.tokens:
        raise InputError(f"the text has {len(encoding.ids)} tokens, the model reads {longest.tokens}; shorten it")
    return encoding


def _logits(subject: Subject, encoding: Encoding) -> np.ndarray:
    """What the model says at each token of a text, float32 [L, ...]."""
    ids = np.array([encoding.ids])
    types = np.array([encoding.type_ids])
    return subject.logits(ids, types, np.ones_like(ids))[0]
