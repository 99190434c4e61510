"""Sentences that are given as eojeols: which tokens are whose."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.evaluate.kinds.pieces import Ids, Places, pieces_of


class EojeolTokens(NamedTuple):
    """The tokens of a sentence, each of which belongs to one eojeol, and every eojeol has one at least unless it is "".

    - `tokens`: int32 [n]; `starts`: int64 [n], the character in the sentence at which each starts.
    - `firsts`, `ends`: int64 [eojeols], the first token of each and the one behind its last.
    """

    tokens: Ids
    starts: Places
    firsts: Places
    ends: Places


def eojeol_tokens(tokenizer: Tokenizer, sentences: Sequence[Sequence[str]]) -> list[EojeolTokens]:
    """Tokenises sentences of eojeols, which single blanks separate.

    An eojeol of which the tokenizer leaves nothing, as of a lone zero-width blank, becomes [UNK].
    """
    found = []
    texts = [" ".join(eojeols) for eojeols in sentences]
    for eojeols, pieces in zip(sentences, pieces_of(tokenizer, texts), strict=True):
        begins = np.cumsum([0, *(len(eojeol) + 1 for eojeol in eojeols[:-1])])
        owners = np.searchsorted(begins, pieces.starts, "right") - 1
        written = np.array([number for number, eojeol in enumerate(eojeols) if eojeol], np.int64)
        empty = np.setdiff1d(written, owners)
        places = np.searchsorted(owners, empty)
        owners = np.insert(owners, places, empty)
        found.append(
            EojeolTokens(
                np.insert(pieces.tokens, places, tokenizer.special.unk),
                np.insert(pieces.starts, places, begins[empty]),
                np.searchsorted(owners, np.arange(len(eojeols))),
                np.searchsorted(owners, np.arange(len(eojeols)), "right"),
            )
        )
    return found
