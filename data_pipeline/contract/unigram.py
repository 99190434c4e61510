"""The tokenizer of a SentencePiece Unigram model as Hugging Face loads it, without the package sentencepiece."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, processors

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.sentencepiece_file import (
    CONTROL,
    NORMAL,
    UNKNOWN,
    USER_DEFINED,
    Piece,
    SentencePieceModel,
    read_sentencepiece,
)
from data_pipeline.contract.special_tokens import ROLES, SPECIAL_TOKENS, configuration_files, find_specials
from data_pipeline.contract.word_piece import read_vocabulary_file

SPACE_SYMBOL = "\u2581"
"""Stands for the blank before a word, in SentencePiece's pieces."""
SENTENCEPIECE_FILE = "spiece.model"
"""A Unigram vocabulary as the package sentencepiece reads it; nothing here needs the package."""
MODEL_ENDINGS = (".spiece", ".model")
UNIGRAM_ORDER = ("[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]")
"""KoBERT's rows 0 to 4."""
NEVER_TEXT = -100.0
"""Score of specials and reserved rows: far below a piece's, so that no text is cut into one that stands in it literally."""
Pieces = Sequence[tuple[str, float]]
"""Rows in the order of their ids: piece and log probability."""
_BERTS = dict(zip(ROLES, SPECIAL_TOKENS, strict=True))
_APART = "\ufdd0"
"""A code point that no text may hold (Unicode's noncharacters)."""
_FINAL_JAMO = "\u11a8-\u11c2\u3133\u3135\u3136\u313a-\u313f\uffa3\uffa5\uffa6\uffaa-\uffaf"
"""What NFKC makes a consonant at the end of a syllable of, ㄳ and ㄶ among them."""


@dataclass(frozen=True)
class UnigramRows:
    """A Unigram vocabulary, and how its text is normalised.

    - `pieces`: with NEVER_TEXT as the score of those that no text is cut into.
    - `charsmap`: SentencePiece's normaliser as its model file holds it; empty: NFC.
    - `specials`: role -> piece.
    - `controls`: further pieces that mean no text.
    """

    pieces: Pieces
    charsmap: bytes = b""
    specials: Mapping[str, str] = field(default_factory=lambda: _BERTS)
    controls: tuple[str, ...] = ()


def unigram_normalizer(lowercase: bool, charsmap: bytes = b"") -> normalizers.Normalizer:
    """How text is normalised before it is cut, one blank for any white space included.

    - `charsmap`: empty: NFC, for NFKC, SentencePiece's own, turns loose jamo into other characters. Else what SentencePiece does with
      this table. It looks for the longest entry at each place; tokenizers' Precompiled only for single characters, so that ㅋㅏ and
      decomposed Hangul would stay as they are: NFC joins them, before and after. What must not join, for SentencePiece does not look
      behind a syllable (너 ㄶ), is held apart meanwhile. One thing differs: of a combining mark behind a character that the
      table replaces (Ⅲ with an acute) Precompiled leaves nothing.
    """
    lower = [normalizers.Lowercase()] if lowercase else []
    if not charsmap:
        return normalizers.Sequence(
            [normalizers.NFC(), *lower, normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
        )
    return normalizers.Sequence(
        [
            *lower,
            normalizers.Replace(Regex(f"(?<=[가-힣])(?=[{_FINAL_JAMO}])"), _APART),
            normalizers.NFC(),
            normalizers.Precompiled(charsmap),
            normalizers.NFC(),
            normalizers.Replace(_APART, ""),
            normalizers.Replace(Regex("^ +| +$| +(?= )"), ""),
        ]
    )


def build_unigram(rows: UnigramRows, lowercase: bool) -> tokenizers.Tokenizer:
    """A tokenizer that cuts as SentencePiece does: `[CLS] A [SEP] B [SEP]`, words begin with SPACE_SYMBOL.

    Of two cuts with the same sum of scores ("..." and "." for four dots) it may take the other one: SentencePiece adds the scores up in
    float32 from the beginning of the text, and rounding decides.
    """
    ids = {piece: index for index, (piece, _) in enumerate(rows.pieces)}
    first, last = rows.specials["cls"], rows.specials["sep"]
    backend = tokenizers.Tokenizer(models.Unigram(list(rows.pieces), unk_id=ids[rows.specials["unk"]]))
    backend.normalizer = unigram_normalizer(lowercase, rows.charsmap)
    backend.pre_tokenizer = pre_tokenizers.Metaspace(SPACE_SYMBOL, prepend_scheme="always")
    backend.decoder = decoders.Metaspace(SPACE_SYMBOL, prepend_scheme="always")
    backend.post_processor = processors.TemplateProcessing(
        single=f"{first}:0 $A:0 {last}:0",
        pair=f"{first}:0 $A:0 {last}:0 $B:1 {last}:1",
        special_tokens=[(first, ids[first]), (last, ids[last])],
    )
    special = [*rows.specials.values(), *rows.controls]
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return backend


def unigram_files(rows: UnigramRows | Pieces, lowercase: bool, ends: bool = False) -> dict[str, str]:
    """The three files by which every transformers release loads the tokenizer: name -> content.

    - `rows`: pieces alone are normalised by NFC and have the five SPECIAL_TOKENS among them.
    - `ends`: whether they name bos_token and eos_token as well.
    """
    found = rows if isinstance(rows, UnigramRows) else UnigramRows(rows)
    # The general class: BertTokenizer would make a WordPiece of the rows.
    configuration = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
    }
    return {
        "tokenizer.json": build_unigram(found, lowercase).to_str(pretty=True) + "\n",
        **configuration_files(configuration, found.specials, ends),
    }


def sentencepiece_in(folder: Path) -> Path | None:
    """The model file of a folder: spiece.model, or the only other with such an ending; None where there is none.

    Raises InputError where there are several.
    """
    if (folder / SENTENCEPIECE_FILE).is_file():
        return folder / SENTENCEPIECE_FILE
    found = sorted(path for path in folder.glob("*") if path.suffix in MODEL_ENDINGS and path.is_file())
    if len(found) > 1:
        raise InputError(
            f"{folder}: holds several SentencePiece models ({', '.join(path.name for path in found)}); keep one"
        )
    return found[0] if found else None


def unigram_in(folder: Path) -> SentencePieceModel:
    """The SentencePiece model of a folder, with the five specials among its rows; InputError where there is none.

    See `read_unigram`; `beside` is the folder's vocab.txt.
    """
    path, beside = sentencepiece_in(folder), folder / "vocab.txt"
    if path is None:
        raise InputError(f"{folder}: holds no SentencePiece model; put spiece.model there")
    return read_unigram(path, beside if beside.exists() else None)


def read_unigram(path: Path, beside: Path | None = None) -> SentencePieceModel:
    """A SentencePiece model file, with the five specials among its rows.

    - `beside`: a vocab.txt of the same pieces.

    A model without padding and mask token is as SentencePiece trains it: <unk> <s> </s> and pieces. Its rows are those of the vocab.txt
    `beside`; without one UNIGRAM_ORDER and the pieces by code point, as KoBERT's vocabulary was made of its model.

    Raises InputError where the file cannot be read, or vocab.txt holds other pieces.
    """
    model = read_sentencepiece(path)
    if find_specials(model.ids(), {}).keys() & {"pad", "mask"}:
        return model
    pieces = {piece.text: piece for piece in model.pieces if piece.kind == NORMAL}
    rows = read_vocabulary_file(beside) if beside else [*UNIGRAM_ORDER, *sorted(pieces)]
    if other := pieces.keys() ^ set(rows) - set(SPECIAL_TOKENS):
        raise InputError(
            f"{beside}: its pieces are not those of {path.name} ({min(other)!r} is in one of them); remove vocab.txt"
        )
    unknown = Piece("[UNK]", 0.0, UNKNOWN)
    specials = {name: Piece(name, 0.0, USER_DEFINED) for name in SPECIAL_TOKENS} | {unknown.text: unknown}
    return model.with_pieces([pieces.get(row) or specials[row] for row in rows])


def rows_of(model: SentencePieceModel, path: Path) -> UnigramRows:
    """What `build_unigram` makes a tokenizer of.

    - `path`: where the model comes from, for the error.

    Raises InputError where the model lacks a special, or has pieces that are found in a text whatever they score.
    """
    specials = find_specials(model.ids(), {})
    if missing := [name for role, name in _BERTS.items() if role not in specials]:
        raise InputError(f"{path}: has no {', '.join(missing)}; give a model with all five specials, or with none")
    meant = {*specials.values(), *(piece.text for piece in model.pieces if piece.text.startswith("[unused"))}
    if always := [piece.text for piece in model.pieces if piece.kind == USER_DEFINED and piece.text not in meant]:
        raise InputError(
            f"{path}: {always[0]!r} is a piece of the user's, which is found in a text whatever it scores; give the model's Hugging "
            "Face folder with tokenizer.json instead"
        )
    pieces = [
        (piece.text, piece.score if piece.kind == NORMAL and piece.text not in meant else NEVER_TEXT)
        for piece in model.pieces
    ]
    controls = (piece.text for piece in model.pieces if piece.kind in (CONTROL, UNKNOWN) and piece.text not in meant)
    return UnigramRows(pieces, model.charsmap, specials, tuple(controls))
