"""What a vocabulary is like: its rows by kind, and how it does on the corpus that was tokenised with it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from data_pipeline.contract.tokenizer import Tokenizer

_HANGUL = re.compile("[가-힣]")


def unknown_characters(tokenizer: Tokenizer, texts: Sequence[str]) -> int:
    """Characters of the texts that end in an [UNK]: a whole word does, where one of its characters has no row."""
    encodings = tokenizer.backend.encode_batch(list(texts), add_special_tokens=False)
    return sum(
        end - start
        for encoding in encodings
        for (start, end), index in zip(encoding.offsets, tokenizer.as_text(encoding.ids).tolist(), strict=True)
        if index == tokenizer.special.unk
    )


def vocabulary_report(tokenizer: Tokenizer, counts: Mapping[str, int]) -> dict[str, Any]:
    """Rates on the tokenised corpus and the make-up of the rows.

    - `counts`: of the records stage: tokens, unknown, unknown_characters, continuing, eojeols, characters.

    `initial_to_continuing` is the fingerprint of the published Korean vocabularies: word-initial Hangul pieces for each
    Hangul piece that goes on inside a word (about 6 for KLUE's method, about 2 for plain WordPiece).
    """
    hangul = [piece for piece in tokenizer.pieces if _HANGUL.search(piece)]
    continuing = [
        piece
        for piece, goes_on in zip(tokenizer.pieces, tokenizer.continues, strict=True)
        if goes_on and _HANGUL.search(piece)
    ]
    reserved = set(tokenizer.reserved_ids)
    ordinary = (piece for row, piece in enumerate(tokenizer.pieces) if row not in reserved)
    tokens, eojeols = max(1, counts.get("tokens", 0)), max(1, counts.get("eojeols", 0))
    return {
        "rows": tokenizer.size,
        "unused_rows": sum(piece.startswith("[unused") for piece in tokenizer.pieces),
        "hangul_initial": len(hangul) - len(continuing),
        "hangul_continuing": len(continuing),
        "initial_to_continuing": (len(hangul) - len(continuing)) / max(1, len(continuing)),
        "unknown_rate": counts.get("unknown", 0) / tokens,
        "unknown_characters": counts.get("unknown_characters", 0),
        "unknown_character_rate": counts.get("unknown_characters", 0) / max(1, counts.get("characters", 0)),
        "tokens_per_eojeol": tokens / eojeols,
        "characters_per_token": counts.get("characters", 0) / tokens,
        "continuing_share": counts.get("continuing", 0) / tokens,
        "longest_pieces": sorted(ordinary, key=lambda piece: (-len(piece.removeprefix("##")), piece))[:20],
    }
