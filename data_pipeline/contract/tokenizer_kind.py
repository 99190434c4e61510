"""Which kind of model a given vocabulary is, by its files alone: recipes ask, without the package tokenizers."""

from pathlib import Path

from data_pipeline.contract.storage import read_json

SPACE_SYMBOL = "\u2581"
"""As in data_pipeline.contract.unigram."""


def is_word_piece(given: Path) -> bool:
    """Whether `vocabulary.given` is WordPiece, which makes one [UNK] of a long word.

    A file is one by its name; of a folder tokenizer.json decides, then vocab.txt: one of SentencePiece's pieces, as KoBERT's, is none. A path that is not there counts
    as WordPiece; `data_pipeline.recipe_checks` refuses it.
    """
    if given.suffix in (".model", ".spiece"):
        return False
    if (given / "tokenizer.json").is_file():
        model = (read_json(given / "tokenizer.json") or {}).get("model") or {}
        # Files of early releases name no type.
        return bool(model.get("type", "WordPiece" if "continuing_subword_prefix" in model else "") == "WordPiece")
    vocabulary = given / "vocab.txt"
    if vocabulary.is_file():
        return f"\n{SPACE_SYMBOL}" not in vocabulary.read_text(encoding="utf-8", errors="replace")
    return not given.is_dir()
