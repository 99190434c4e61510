"""inspect: training rows as a person would read them."""

from collections.abc import Iterator

import numpy as np

from data_pipeline.api import read_rows
from data_pipeline.contract.errors import InputError
from data_pipeline.contract.records import Layout, Records, RecordsHeader, folder_of_length
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.tokenizer import Tokenizer, refuse_other_tokenizer

LEGEND = "tokens of one word are joined by ·, words stand apart"
LABELS: dict[Layout, tuple[str, str]] = {
    "sentence_pairs": ("B follows A", "B is random"),
    "sentence_order": ("B follows A", "A follows B"),
}


def print_rows(folder: RunFolder, split: str, start: int, number: int, length: int | None = None) -> None:
    """Prints rows of a split, segment by segment: the text, then its tokens with their word boundaries.

    - `length`: of the rows, where the run has several; None means the recipe's `examples.length`.
    """
    if number < 1:
        raise InputError(f"--rows {number}: must be at least 1")
    records = Records(folder_of_length(folder.examples, length) if length else folder.examples, split)
    if not 0 <= start < len(records):
        raise InputError(f"--start {start}: the {split} split has rows 0 to {len(records) - 1}")
    header = records.header
    refuse_other_tokenizer(folder.vocabulary, header.tokenizer_sha256)
    tokenizer = Tokenizer(folder.vocabulary)
    print(
        f"{len(records):,} {split} rows of {header.length} tokens, {header.layout}, word unit {header.word_unit}; {LEGEND}"
    )
    for index, row in enumerate(read_rows(folder.path, split, start=start, stop=start + number, length=length)):
        tokens, word_starts = row["tokens"], row["word_starts"]
        padding = int(np.count_nonzero(tokens == header.pad_id))
        label = f", label {row['label']} ({LABELS[header.layout][row['label']]})" if "label" in row else ""
        print(f"\nrow {start + index}: {header.length - padding} tokens, {padding} padding{label}")
        for segment in segments(tokens, row["segment_starts"], header):
            _print_text(tokens[segment], word_starts[segment], tokenizer)
        if header.target_length:
            target = row["target_tokens"]
            real = target != header.pad_id
            print(f"  target: {np.count_nonzero(real)} tokens, {np.count_nonzero(~real)} padding")
            _print_text(target[real], row["target_word_starts"][real], tokenizer)


def _print_text(tokens: np.ndarray, word_starts: np.ndarray, tokenizer: Tokenizer) -> None:
    print(f"  text    {tokenizer.backend.decode(tokens.tolist())}")
    print(f"  tokens  {' '.join(words(tokens, word_starts, tokenizer))}")


def segments(tokens: np.ndarray, segment_starts: np.ndarray, header: RecordsHeader) -> Iterator[slice]:
    """The segments of one row without its padding."""
    end = int(np.count_nonzero(tokens != header.pad_id))
    starts = [int(start) for start in np.flatnonzero(segment_starts) if start < end]
    for start, after in zip(starts, [*starts[1:], end], strict=True):
        yield slice(start, after)


def words(tokens: np.ndarray, word_starts: np.ndarray, tokenizer: Tokenizer) -> list[str]:
    """Tokens as text, those of a word joined by `·`; specials are words of their own."""
    special = {tokenizer.special.cls, tokenizer.special.sep, tokenizer.special.pad}
    joined: list[str] = []
    after_special = True
    for token, starts in zip(tokens.tolist(), word_starts.tolist(), strict=True):
        piece = tokenizer.pieces[token]
        if starts or after_special or token in special:
            joined.append(piece)
        else:
            joined[-1] += "·" + piece
        after_special = token in special
    return joined
