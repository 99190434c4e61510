"""Words of a domain for the `[unusedN]` rows of a vocabulary, so that continued pretraining can learn them (LMkor's idea)."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from data_pipeline.contract.tokenizer import Tokenizer
from data_pipeline.corpus.vocabulary.counts import Count, Counts

UNUSED = re.compile(r"\[unused\d+\]")
INSIDE = "##"
LONGEST_WORD = 100
"""Characters of a word; to transformers' BERT tokenizers a longer one is [UNK]."""
ROUNDS = 4
"""In so many rounds the rows are filled, each time by what saves most beside those filled before."""
TRIES = 3
"""How often rows whose word the tokenizer hardly uses are given to another."""
_WORD = re.compile(r"[가-힣0-9A-Za-z]{2,}")


@dataclass(frozen=True)
class NewWord:
    """A morpheme that gets a row.

    - `text`: the row; with ## where the morpheme goes on inside a word.
    - `count`: how often the tokenizer uses it in the domain, of all words together with it.
    - `pieces`: what the vocabulary cuts it into today; [UNK] where it cannot.
    """

    text: str
    count: int
    pieces: tuple[str, ...]


class WordPieces:
    """The rows of a WordPiece vocabulary, and how they cut a word: the longest piece first."""

    def __init__(self, pieces: Iterable[str]) -> None:
        self.pieces = set(pieces)
        self._longest = max(len(piece) for piece in self.pieces)

    def add(self, pieces: Iterable[str]) -> None:
        for piece in pieces:
            self.pieces.add(piece)
            self._longest = max(self._longest, len(piece))

    def remove(self, pieces: Iterable[str]) -> None:
        self.pieces.difference_update(pieces)

    def piece(self, word: str, start: int, end: int) -> str:
        """What the row of a part of a word is called."""
        return word[start:end] if start == 0 else INSIDE + word[start:end]

    def ends(self, word: str, start: int = 0) -> list[int] | None:
        """Where the pieces of a word end, from `start` on; None where a part of it is unknown, which makes the whole word [UNK]."""
        if len(word) > LONGEST_WORD:
            return None
        ends = []
        while start < len(word):
            end = min(len(word), start + self._longest)
            while end > start and self.piece(word, start, end) not in self.pieces:
                end -= 1
            if end == start:
                return None
            ends.append(end)
            start = end
        return ends

    def cut(self, text: str) -> tuple[str, ...]:
        """The pieces of a row's text, for people."""
        inside = text.startswith(INSIDE)
        word = f"_{text.removeprefix(INSIDE)}" if inside else text
        start = int(inside)
        ends = self.ends(word, start)
        if ends is None:
            return ("[UNK]",)
        return tuple(self.piece(word, *bounds) for bounds in zip([start, *ends], ends, strict=False))


def new_words(
    tokenizer: Tokenizer, words: Counts, morphemes_of: Callable[[str], Sequence[str]], most: int, min_count: int
) -> list[NewWord]:
    """The morphemes that save most tokens, in that order, of equal ones the first by code point.

    - `words`: how often the domain holds each word, as BertPreTokenizer cuts them; read several times.
    - `morphemes_of`: a word -> its morphemes in turn. One is offered where a piece of the vocabulary begins, as a piece of its own or,
      inside a word, with ##; those of at least two Hangul syllables, digits or Latin letters, used `min_count` times or more.

    Each round counts beside the words that have a row already: 청원 saves little where 국민청원 has one.
    """
    before, now = WordPieces(tokenizer.pieces), WordPieces(tokenizer.pieces)
    refused: set[str] = set()
    chosen: list[str] = []
    uses = Counter[str]()
    goals = [most * (number + 1) // ROUNDS for number in range(ROUNDS)] + [most] * TRIES
    for number, goal in enumerate(goals):
        saved, offered = _savings(now, words, morphemes_of, refused)
        best = sorted(
            (piece for piece, number_ in offered.items() if number_ >= min_count and saved[piece] > 0),
            key=lambda piece: (-saved[piece], piece),
        )[: goal - len(chosen)]
        now.add(best)
        chosen += best
        if number < ROUNDS - 1:
            continue
        uses = _uses(now, words, set(chosen))
        idle = {piece for piece in chosen if uses[piece] < min_count}
        refused |= idle
        now.remove(idle)
        chosen = [piece for piece in chosen if piece not in idle]
        if not idle:
            break
    uses = _uses(now, words, set(chosen))
    found = [NewWord(piece, uses[piece], before.cut(piece)) for piece in chosen]
    return sorted(found, key=lambda word: (-word.count * (max(2, len(word.pieces)) - 1), word.text))


def _savings(
    now: WordPieces, words: Counts, morphemes_of: Callable[[str], Sequence[str]], refused: Collection[str]
) -> tuple[Counter[str], Counter[str]]:
    """Of each morpheme that could have a row: tokens that it would save, and how often it would be used."""
    saved, offered = Counter[str](), Counter[str]()
    for word, count in words:
        ends = now.ends(word)
        if len(word) < 2 or len(word) > LONGEST_WORD or (ends is not None and len(ends) == 1):
            continue
        start = 0
        for morpheme in morphemes_of(word):
            end = start + len(morpheme)
            piece = now.piece(word, start, end)
            if _WORD.fullmatch(morpheme) and piece not in now.pieces and piece not in refused:
                tokens = _tokens_saved(now, word, start, end, ends)
                if tokens > 0:
                    saved[piece] += tokens * count
                    offered[piece] += count
            start = end
    return saved, offered


def _tokens_saved(now: WordPieces, word: str, start: int, end: int, ends: Sequence[int] | None) -> int:
    """Tokens fewer of a word, if `word[start:end]` were a piece; a word that is [UNK] today counts as one more than it would have."""
    if ends is None:
        head = now.ends(word[:start])
        if head is None or (end < len(word) and now.ends(word, end) is None):
            return 0
        return 1
    if start and start not in ends:
        return 0
    # A longer piece that begins here is taken instead.
    following = next(each for each in ends if each > start)
    rest = now.ends(word, end) if end < len(word) else []
    if following >= end or rest is None:
        return 0
    return sum(each > start for each in ends) - 1 - len(rest)


def _uses(now: WordPieces, words: Counts, pieces: Collection[str]) -> Counter[str]:
    """How often each of these pieces is a token of the domain."""
    uses = Counter[str]()
    for word, count in words:
        start = 0
        for end in now.ends(word) or ():
            piece = now.piece(word, start, end)
            if piece in pieces:
                uses[piece] += count
            start = end
    return uses


@dataclass(frozen=True)
class Tokens:
    """What a tokenizer makes of a domain's words: tokens, and characters of which it knows nothing."""

    number: int
    unknown_characters: int


def tokens_of(tokenizer: Tokenizer, words: Counts) -> Tokens:
    """Tokenises every word of a domain, and counts."""
    number = unknown = 0
    for batch in _batches(words):
        for (word, count), (ids, _) in zip(batch, tokenizer.encode([word for word, _ in batch], "token"), strict=True):
            number += count * len(ids)
            unknown += count * len(word) * int(tokenizer.special.unk in ids)
    return Tokens(number, unknown)


def _batches(words: Counts, size: int = 10_000) -> Iterator[list[Count]]:
    batch: list[Count] = []
    for each in words:
        batch.append(each)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def extended(rows: Sequence[str], words: Sequence[str]) -> list[str]:
    """The rows with the first `[unusedN]` ones replaced by the words; every other row keeps its id."""
    waiting = iter(words)
    return [next(waiting, row) if UNUSED.fullmatch(row) else row for row in rows]
