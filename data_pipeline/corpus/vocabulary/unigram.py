"""Eojeol counts -> SentencePiece Unigram model, as KoBERT's."""

import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.packages import needed
from data_pipeline.contract.sentencepiece_file import NORMAL, SentencePieceModel, parse_sentencepiece
from data_pipeline.contract.unigram import SPACE_SYMBOL, UnigramRows, rows_of, unigram_normalizer
from data_pipeline.corpus.vocabulary.counts import COUNTED_AT_ONCE, Counts
from data_pipeline.recipe import Vocabulary

MOST_READ = 4_000_000
"""Eojeols, as often as they stand in the text, that pieces are learnt from: sentencepiece takes 300 bytes for each."""
CONTROL = ("[CLS]", "[SEP]", "[MASK]")
_TOO_MANY = re.compile(r"Vocabulary size too high \(\d+\).*?<= (\d+)")
_TOO_FEW = re.compile(r"Vocabulary size is smaller than required_chars\. \d+ vs (\d+)")


@dataclass(frozen=True)
class Unigram:
    """A trained model: its rows in the order of their ids, and SentencePiece's own file of it."""

    rows: UnigramRows
    model: bytes


def count_eojeols(texts: Iterable[str], lowercase: bool, most_types: int = COUNTED_AT_ONCE) -> Iterator[Counter[str]]:
    """Counts what stands between blanks, in batches of about so many types."""
    normalise = unigram_normalizer(lowercase).normalize_str
    counts = Counter[str]()
    for text in texts:
        counts.update(normalise(text).split())
        if len(counts) >= most_types:
            yield counts
            counts = Counter()
    if counts:
        yield counts


def train_unigram(counts: Counts, recipe: Vocabulary, most_read: int = MOST_READ) -> Unigram:
    """Exactly `recipe.size` rows: specials, then pieces by score or code point; `[unusedN]` behind the specials or last.

    - `counts`: what `count_eojeols` counted, sorted by text; read several times.
    - `most_read`: all counts are made smaller by one factor where their sum is larger.

    Raises InputError where the corpus is empty or too small for the size.
    """
    sentencepiece = needed("sentencepiece", "the training of a vocabulary")
    if not any(True for _ in counts):
        raise InputError(
            "no eojeol was counted: the corpus is empty after the filters; see `python -m data_pipeline report`"
        )
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=_lines(counts, recipe.min_count, most_read),
            input_format="tsv",
            model_writer=model,
            model_type="unigram",
            vocab_size=recipe.size,
            character_coverage=recipe.character_coverage,
            normalization_rule_name="identity" if recipe.normalization == "nfc" else recipe.normalization,
            unk_id=0,
            unk_piece="[UNK]",
            pad_id=1,
            pad_piece="[PAD]",
            bos_id=-1,
            eos_id=-1,
            # Not user_defined_symbols, which are found in a text that holds them literally.
            control_symbols=[*CONTROL, *(f"[unused{index}]" for index in range(recipe.unused))],
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        size = f"--data.vocabulary.size {recipe.size}"
        if most := _TOO_MANY.search(str(error)):
            problem = f"the corpus yields only {most[1]} rows; lower the size to that or give more text"
        elif least_rows := _TOO_FEW.search(str(error)):
            problem = (
                f"too small for the characters and the reserved rows; at least {least_rows[1]} are needed, or a lower "
                "--data.vocabulary.character-coverage"
            )
        else:
            raise
        raise InputError(f"{size}: {problem}") from None
    learnt = _arranged(parse_sentencepiece(model.getvalue()), recipe)
    return Unigram(rows_of(learnt, Path("model")), learnt.to_bytes())


def _arranged(model: SentencePieceModel, recipe: Vocabulary) -> SentencePieceModel:
    """The model with its rows where the recipe wants them."""
    reserved = {piece.text: piece for piece in model.pieces if piece.kind != NORMAL}
    specials = [reserved.pop(token) for token in recipe.special_tokens()]
    pieces = [piece for piece in model.pieces if piece.kind == NORMAL]
    if recipe.order == "code_point":
        pieces.sort()
    unused = list(reserved.values())
    first, last = (unused, []) if recipe.unused_rows == "first" else ([], unused)
    return model.with_pieces([*specials, *first, *pieces, *last])


def _lines(counts: Counts, min_count: int, most_read: int) -> Iterator[str]:
    """Lines `TEXT tab COUNT`."""
    total = sum(number for _, number in counts if number >= min_count)
    for text, number in counts:
        read = number if total <= most_read else (number * most_read + total // 2) // total
        if number >= min_count and read and SPACE_SYMBOL not in text:
            yield f"{text}\t{read}"
