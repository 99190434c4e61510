"""Words of a domain for the `[unusedN]` rows of a vocabulary, so that continued pretraining can learn them (LMkor's idea)."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from data_pipeline.contract.tokenizer import Tokenizer
from data_pipeline.corpus.vocabulary.counts import Count

UNUSED = re.compile(r"\[unused\d+\]")
_WORD = re.compile(r"[가-힣0-9A-Za-z]{2,}")


@dataclass(frozen=True)
class NewWord:
    """A morpheme that the vocabulary cuts: how often it stands in the domain, and into how many pieces it is cut today."""

    text: str
    count: int
    pieces: tuple[str, ...]

    @property
    def saved(self) -> int:
        """Tokens that the domain's text is shorter by, once the word has a row."""
        return self.count * (len(self.pieces) - 1)


def new_words(tokenizer: Tokenizer, counts: Iterable[Count], most: int, min_count: int) -> list[NewWord]:
    """The words that save most tokens, in that order, of equal ones the first by code point.

    - `counts`: morphemes of the domain, by the scheme `klue`; those of at least two Hangul syllables, digits or Latin
      letters count that the vocabulary cuts, or does not know at all.
    """
    frequent = {text: count for text, count in counts if count >= min_count and _WORD.fullmatch(text)}
    found = []
    for text, (ids, _) in zip(frequent, tokenizer.encode(list(frequent), "token"), strict=True):
        pieces = tuple(tokenizer.pieces[index] for index in ids)
        unknown = len(pieces) == 1 and ids[0] == tokenizer.special.unk
        if len(pieces) > 1 or unknown:
            # An unknown word takes one token today, but one that says nothing: it counts as if cut in two.
            found.append(NewWord(text, frequent[text], pieces if len(pieces) > 1 else (*pieces, *pieces)))
    return sorted(found, key=lambda word: (-word.saved, word.text))[:most]


def extended(rows: Sequence[str], words: Sequence[str]) -> list[str]:
    """The rows with the first `[unusedN]` ones replaced by the words; every other row keeps its id."""
    waiting = iter(words)
    return [next(waiting, row) if UNUSED.fullmatch(row) else row for row in rows]
