"""Loading a vocabulary, tokenising text, and knowing which tokens start a word."""

import hashlib
import json
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate, chain, pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tokenizers
from tokenizers import models, pre_tokenizers

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.special_tokens import ROLES, find_specials, names_of
from data_pipeline.contract.special_tokens import SPECIAL_TOKENS as SPECIAL_TOKENS
from data_pipeline.contract.special_tokens import SpecialIds as SpecialIds
from data_pipeline.contract.storage import read_json, sha256_of_file
from data_pipeline.contract.unigram import (
    SENTENCEPIECE_FILE,
    SPACE_SYMBOL,
    build_unigram,
    read_unigram,
    rows_of,
    sentencepiece_in,
    unigram_in,
)
from data_pipeline.contract.word_piece import build_word_piece, normalizer, read_vocabulary_file
from data_pipeline.contract.word_piece import hugging_face_files as hugging_face_files

WordUnit = Literal["token", "bert_word", "eojeol", "morpheme"]
TOKENIZER_FILES = (
    "vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", SENTENCEPIECE_FILE,
)  # fmt: skip
Boundaries = Callable[[str], np.ndarray]
"""text -> bool array, one per character: a unit starts here."""


class Tokenizer:
    """A vocabulary with its tokenizer, as training, packing and export use it.

    - `folder`: holds `tokenizer.json`, or a WordPiece `vocab.txt` (with `tokenizer_config.json` for its flags), or the model file of
      a SentencePiece Unigram (`unigram.unigram_in`). Or it is such a model file itself.

    Special tokens that stand literally in a text ("[MASK]") are tokenised as ordinary text. Raises InputError where the
    folder holds no tokenizer or lacks one of the five specials.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.backend = _load_backend(folder)
        self.backend.encode_special_tokens = True
        self.backend.no_padding()
        self.backend.no_truncation()
        self.size: int = 1 + max(self.backend.get_vocab(with_added_tokens=True).values(), default=-1)
        self.special = self._special_ids()
        pieces = [self.backend.id_to_token(index) or "" for index in range(self.size)]
        self.pieces = pieces
        added = {index for index, token in self.backend.get_added_tokens_decoder().items() if token.special}
        unused = {index for index, piece in enumerate(pieces) if piece.startswith("[unused") or not piece}
        self.reserved_ids: tuple[int, ...] = tuple(
            sorted(added | unused | {getattr(self.special, role) for role in ROLES})
        )
        """Specials and `[unusedN]` rows: never a prediction target, never a random replacement."""
        self._never_text = [self.special.pad, self.special.cls, self.special.sep, self.special.mask]
        model = self.backend.model
        self.is_bert = (
            isinstance(model, models.WordPiece)
            and model.continuing_subword_prefix == "##"
            and isinstance(self.backend.pre_tokenizer, pre_tokenizers.BertPreTokenizer)
        )
        by_blank = isinstance(model, models.Unigram)
        self.continues = np.array(
            [not piece.startswith(SPACE_SYMBOL) if by_blank else piece.startswith("##") for piece in pieces]
        )
        """bool [vocabulary]: pieces that go on inside a word."""
        self._blank = np.array([bool(piece) and not piece.strip(f"{SPACE_SYMBOL} ") for piece in pieces])
        self.closing = np.array([_closes(piece) for piece in pieces])
        """bool [vocabulary]: marks that close what stands before them; a row should not begin with one."""

    @property
    def lowercases(self) -> bool:
        """Whether it takes a capital letter for the small one."""
        normaliser = self.backend.normalizer
        return normaliser is not None and normaliser.normalize_str("A").endswith("a")

    def _special_ids(self) -> SpecialIds:
        vocabulary = self.backend.get_vocab(with_added_tokens=True)
        named = _named_specials(self.folder)
        found = find_specials(vocabulary, named)
        for role, name in zip(ROLES, SPECIAL_TOKENS, strict=True):
            if role not in found:
                raise InputError(
                    f"{self.folder}: the vocabulary has no {name} token (looked for {', '.join(names_of(role, named))}); add it"
                )
        return SpecialIds(**{role: vocabulary[token] for role, token in found.items()})

    @property
    def token_dtype(self) -> np.dtype[Any]:
        """uint16, or uint32 for vocabularies above 65,536 rows."""
        return np.dtype(np.uint16 if self.size <= 2**16 else np.uint32)

    def encode(
        self, texts: Sequence[str], unit: WordUnit, morpheme_starts: Boundaries | None = None
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Tokenises texts without adding specials.

        - `unit`: what counts as a word.
        - `morpheme_starts`: needed for the unit `morpheme`: a text's morpheme starts, one bool a character.

        Returns for each text its token ids (`token_dtype`) and as many bools: the token starts a word.
        """
        if self.ids_tell_starts(unit):
            # Without offsets, which cost half the speed.
            parts = [encoding.ids for encoding in self.backend.encode_batch_fast(texts, add_special_tokens=False)]
            # Together, not text by text: a call of numpy costs as much as a sentence.
            tokens = self.as_text(list(chain.from_iterable(parts)))
            starts = self.starts_of(tokens, unit)
            bounds = pairwise(accumulate(map(len, parts), initial=0))
            return [(tokens[start:end], starts[start:end]) for start, end in bounds]
        boundaries = word_boundaries(unit, morpheme_starts)
        encoded = []
        for text, encoding in zip(texts, self.backend.encode_batch(list(texts), add_special_tokens=False), strict=True):
            ends = np.array([end for _, end in encoding.offsets], np.int64)
            # A blank that is a token by itself is the beginning of the word behind it.
            ends = np.minimum(ends + self._blank[encoding.ids], len(text))
            encoded.append((self.as_text(encoding.ids), token_starts(ends, boundaries(text))))
        return encoded

    def ids_tell_starts(self, unit: WordUnit) -> bool:
        """Whether the tokens alone tell which of them start a word: WordPiece runs inside BertPreTokenizer's words."""
        return unit == "token" or (unit == "bert_word" and self.is_bert)

    def starts_of(self, tokens: np.ndarray, unit: WordUnit) -> np.ndarray:
        """bool [tokens]: the token starts a word; for units of which `ids_tell_starts`."""
        return np.ones(len(tokens), bool) if unit == "token" else ~self.continues[tokens]

    def as_text(self, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        """Ids as an array, without specials: some models find their own "<s>" in a text that holds it literally."""
        row = np.array(ids, self.token_dtype)
        return np.where(np.isin(row, self._never_text), self.token_dtype.type(self.special.unk), row)


def word_boundaries(unit: WordUnit, morpheme_starts: Boundaries | None) -> Boundaries:
    """Where the words of a unit start in a text."""
    if unit == "morpheme":
        if morpheme_starts is None:
            raise ValueError("the unit morpheme needs morpheme_starts")
        return morpheme_starts
    return bert_word_starts if unit == "bert_word" else eojeol_starts


def token_starts(ends: np.ndarray, word_starts: np.ndarray) -> np.ndarray:
    """bool [tokens]: the token starts a word.

    - `ends`: int64 [tokens], where each ends in its text.
    - `word_starts`: bool [characters], of `word_boundaries`.
    """
    words_before = np.concatenate([[0], np.cumsum(word_starts)])
    # A token starts a word where a boundary lies between the end of the token before and its own end: tokens of
    # SentencePiece carry the blank before their word, the first byte of a character stands for all of it, and the first
    # character of a word may be one that the normaliser drops.
    words = words_before[np.maximum.accumulate(ends)]
    return np.diff(words, prepend=0) > 0


def eojeol_starts(text: str) -> np.ndarray:
    """bool [characters]: an eojeol (what stands between blanks) starts here."""
    blank = np.array([character.isspace() for character in text] or [], bool)
    return ~blank & np.concatenate([[True], blank[:-1]])[: len(text)]


def bert_word_starts(text: str) -> np.ndarray:
    """bool [characters]: a word of BertPreTokenizer starts here; punctuation marks and Han characters are words of their own."""
    kinds = np.array([_bert_kind(character) for character in text], np.int8)
    before = np.concatenate([[BLANK], kinds[:-1]])[: len(text)]
    return (kinds == ISOLATED) | ((kinds == INSIDE) & (before != INSIDE))


BLANK, INSIDE, ISOLATED = 0, 1, 2


@lru_cache(maxsize=100_000)
def _bert_kind(character: str) -> int:
    """Whether the character is a blank, part of a word, or a word by itself to BERT, whose Unicode tables are not Python's."""
    words = pre_tokenizers.BertPreTokenizer().pre_tokenize_str(normalizer(False).normalize_str(f"a{character}b"))
    return {1: INSIDE, 2: BLANK, 3: ISOLATED}[len(words)]


def _closes(piece: str) -> bool:
    """Whether a piece is a closing bracket or quote, or a mark like . , ! ? (Unicode's Pe, Pf, Po)."""
    return bool(piece) and all(unicodedata.category(character) in ("Pe", "Pf", "Po") for character in piece)


def is_isolated(character: str) -> bool:
    """Whether BertPreTokenizer makes the character a word of its own, so that it never stands after `##`."""
    return _bert_kind(character) == ISOLATED


def tokenizer_sha256(folder: Path) -> str:
    """Hash of the tokenizer's files in a folder, names included: the `tokenizer_sha256` of a records' header."""
    files = [[name, sha256_of_file(folder / name)] for name in sorted(TOKENIZER_FILES) if (folder / name).is_file()]
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()


def refuse_other_tokenizer(folder: Path, sha256: str) -> None:
    """Raises InputError where a folder's files are not the ones with which the records were made: ids would mean other words.

    - `sha256`: the header's `tokenizer_sha256`.
    """
    if tokenizer_sha256(folder) != sha256:
        raise InputError(
            f"{folder}: not the tokenizer files with which the records were made; restore them from a copy, "
            "or run `python -m data_pipeline prepare` again"
        )


def _load_backend(folder: Path) -> tokenizers.Tokenizer:
    if folder.is_file():
        return build_unigram(rows_of(read_unigram(folder), folder), lowercase=False)
    if (folder / "tokenizer.json").exists():
        try:
            return tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:
            raise InputError(f"{folder / 'tokenizer.json'}: not a tokenizer ({error}); restore the file") from None
    flags, path = _configuration(folder), folder / "vocab.txt"
    rows = read_vocabulary_file(path) if path.exists() else []
    pieces_of_words = any(row.startswith(SPACE_SYMBOL) for row in rows)
    if rows and not pieces_of_words:
        return build_word_piece(rows, bool(flags.get("do_lower_case", False)), path)
    if pieces_of_words or sentencepiece_in(folder):
        return build_unigram(rows_of(unigram_in(folder), folder), lowercase=False)
    raise InputError(f"{folder}: holds neither tokenizer.json nor vocab.txt; prepare again, or restore them")


def _configuration(folder: Path) -> dict[str, Any]:
    return (folder.is_dir() and read_json(folder / "tokenizer_config.json")) or {}


def _named_specials(folder: Path) -> dict[str, str]:
    """Specials that a Hugging Face folder names, by role; where a SentencePiece model is all it has, the model's own count: one of
    KoBERT's folders names <unk> where the model has [UNK]."""
    if not {path.name for path in folder.glob("*")} & {"tokenizer.json", "vocab.txt"}:
        return {}
    names = {}
    for role in ROLES:
        value = _configuration(folder).get(f"{role}_token")
        value = value.get("content") if isinstance(value, dict) else value
        if isinstance(value, str):
            names[role] = value
    return names
