"""WordPiece as the corpus asks for it: the same tokens as the tokenizer's own, many times faster."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from tokenizers import normalizers

from data_pipeline.contract.tokenizer import Boundaries, Tokenizer, WordUnit, token_starts, word_boundaries
from data_pipeline.corpus.vocabulary.word_piece_kernels import (
    BLANK,
    CODE_POINTS,
    INSIDE,
    ISOLATED,
    ODD,
    UNKNOWN,
    WORD,
    build_trie,
    longest_pieces,
)

Encode = Callable[[Sequence[str], WordUnit, Boundaries | None], list[tuple[np.ndarray, np.ndarray]]]


def corpus_encoder(tokenizer: Tokenizer) -> Encode:
    """`tokenizer.encode`, compiled where the tokenizer is BERT's WordPiece."""
    backend = tokenizer.backend
    added = [token for token in backend.get_added_tokens_decoder().values() if not token.special]
    if not tokenizer.is_bert or added or not _looks_at_characters_alone(backend.normalizer):
        return tokenizer.encode
    return CompiledWordPiece(tokenizer).encode


def _looks_at_characters_alone(normalizer: normalizers.Normalizer | None) -> bool:
    """Whether what a character becomes depends on no other: not so where accents are split off, which may also reorder."""
    if not isinstance(normalizer, normalizers.BertNormalizer):
        return False
    strips_accents = normalizer.lowercase if normalizer.strip_accents is None else normalizer.strip_accents
    return not strips_accents


class CompiledWordPiece:
    """Encodes like `tokenizer`, whose model is a BERT WordPiece.

    What BERT's normaliser and pre-tokenizer do to a character is asked of them when the character is first met. A text with
    a character that they remove or turn into several goes to the tokenizer itself.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        model = tokenizer.backend.model
        self._longest_word: int = model.max_input_chars_per_word
        vocabulary = tokenizer.backend.get_vocab(with_added_tokens=False)
        self._unknown = vocabulary[model.unk_token]
        prefix: str = model.continuing_subword_prefix
        roots = [INSIDE if piece.startswith(prefix) else WORD for piece in vocabulary]
        # "##" itself starts a word as two marks would; after a word's start nothing is left of it.
        texts = [
            piece.removeprefix(prefix) if root == INSIDE else piece
            for piece, root in zip(vocabulary, roots, strict=True)
        ]
        ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
        self._trie = build_trie(
            _code_points("".join(texts)).astype(np.int64),
            ends,
            np.array(roots, np.int64),
            np.array(list(vocabulary.values()), np.int64),
        )
        self._kinds = np.full(CODE_POINTS, UNKNOWN, np.int32)

    def encode(
        self, texts: Sequence[str], unit: WordUnit, morpheme_starts: Boundaries | None = None
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """As `Tokenizer.encode`."""
        code_points = _code_points("".join(texts))
        text_ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
        for met in np.unique(code_points[self._kinds[code_points] == UNKNOWN]).tolist():
            self._kinds[met] = self._kind(chr(met))
        ids, ends, token_ends, odd = longest_pieces(
            code_points, text_ends, self._kinds, *self._trie, self._unknown, self._longest_word
        )
        rows = self.tokenizer.as_text(ids)
        bounds = pairwise([0, *token_ends.tolist()])
        if self.tokenizer.ids_tell_starts(unit):
            starts = self.tokenizer.starts_of(rows, unit)
            encoded = [(rows[start:end], starts[start:end]) for start, end in bounds]
        else:
            boundaries = word_boundaries(unit, morpheme_starts)
            encoded = [
                (rows[start:end], token_starts(ends[start:end], boundaries(text)))
                for text, (start, end) in zip(texts, bounds, strict=True)
            ]
        places = np.flatnonzero(odd).tolist()
        again = self.tokenizer.encode([texts[place] for place in places], unit, morpheme_starts)
        for place, tokens in zip(places, again, strict=True):
            encoded[place] = tokens
        return encoded

    def _kind(self, character: str) -> int:
        """What BERT's normaliser and pre-tokenizer make of a character, for the kernel."""
        backend = self.tokenizer.backend
        if backend.normalizer is None or 0xD800 <= ord(character) < 0xE000:
            return ODD
        normalized = backend.normalizer.normalize_str(f"0{character}0")
        match [word for word, _ in backend.pre_tokenizer.pre_tokenize_str(normalized)]:
            case ["0", "0"]:
                return BLANK
            case [word] if len(word) == 3:
                return ord(word[1])
            case ["0", word, "0"] if len(word) == 1:
                return ISOLATED + ord(word)
        return ODD


def _code_points(text: str) -> np.ndarray:
    """uint32 [characters]."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
