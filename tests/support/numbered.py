"""Text whose tokens all differ, so that each can be told by its id, and what rows are read back with."""

from collections.abc import Iterable, Sequence

import numpy as np
from hypothesis import strategies as st

from data_pipeline.contract.records import Row, from_bitmap
from data_pipeline.contract.tokenizer import SpecialIds
from data_pipeline.corpus.layouts.rows import RowMaker, Run, Tokens

SPECIAL = SpecialIds(pad=0, unk=1, cls=2, sep=3, mask=4)
FIRST_ID = 10
LENGTHS = st.sampled_from([16, 24, 64])
Document = list[list[Tokens]]


def numbered(lengths: Sequence[int], word_lengths: Sequence[int] = (1,)) -> list[Tokens]:
    """Texts of these lengths, of words of these lengths in turn."""
    texts, next_id = [], FIRST_ID
    pattern = np.concatenate([[True] + [False] * (length - 1) for length in word_lengths])
    for length in lengths:
        texts.append(Tokens(np.arange(next_id, next_id + length, dtype=np.uint32), np.resize(pattern, length)))
        next_id += length
    return texts


@st.composite
def document_sets(draw: st.DrawFn) -> list[Document]:
    """Up to six documents of up to three runs of up to twelve sentences."""
    shapes = draw(
        st.lists(st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=12), min_size=1, max_size=3), max_size=6)
    )
    sentences = iter(numbered([n for document in shapes for run in document for n in run], [1, 2, 3]))
    return [[[next(sentences) for _ in run] for run in document] for document in shapes]


def plain_documents(number: int, length: int = 10) -> list[Document]:
    """Documents of one run of sentences of twelve tokens."""
    sentences = iter(numbered([12] * number * length))
    return [[[next(sentences) for _ in range(length)]] for _ in range(number)]


def made(maker: RowMaker, documents: Iterable[Sequence[Run]]) -> list[Row]:
    """All rows of some documents."""
    return [*(row for document in documents for row in maker.add(document)), *maker.finish()]


class Origin:
    """Where each token of some documents comes from: the number of its document, run and sentence, and its word start."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self.document, self.run, self.sentence = dict[int, int](), dict[int, int](), dict[int, int]()
        self.starts: dict[int, bool] = {}
        runs = [(number, run) for number, document in enumerate(documents) for run in document]
        sentences = [(*each, sentence) for each in enumerate(runs) for sentence in each[1][1]]
        for number, (run, (document, _), sentence) in enumerate(sentences):
            for token, start in zip(sentence.ids.tolist(), sentence.starts.tolist(), strict=True):
                self.document[token], self.run[token], self.sentence[token] = document, run, number
                self.starts[token] = start

    def check_word_starts(self, row: Row) -> None:
        """Every token of a row starts a word where it does in its text, and specials start none."""
        for side in ("", "target_"):
            if f"{side}tokens" in row:
                flags = from_bitmap(row[f"{side}word_starts"]).tolist()
                assert flags == [self.starts.get(token, False) for token in row[f"{side}tokens"].tolist()]


def real(row: Row) -> list[int]:
    """The tokens of a row without specials and padding, those of a target last."""
    tokens = [token for name in ("tokens", "target_tokens") if name in row for token in row[name].tolist()]
    return [token for token in tokens if token >= FIRST_ID]


def segments(row: Row) -> list[tuple[np.ndarray, np.ndarray]]:
    """Tokens and word starts of each segment by the bitmap, specials included."""
    starts = np.flatnonzero(from_bitmap(row["segment_starts"]))
    words = from_bitmap(row["word_starts"])
    ends = [*starts[1:], len(row["tokens"])]
    return [(row["tokens"][start:end], words[start:end]) for start, end in zip(starts, ends, strict=True)]


def texts(row: Row) -> list[list[int]]:
    """The tokens of each segment, without specials and padding."""
    return [[token for token in tokens.tolist() if token >= FIRST_ID] for tokens, _ in segments(row)]


def consecutive(tokens: Sequence[int]) -> bool:
    """Whether tokens stand in the order of the text, and none is missing between them."""
    return list(tokens) == list(range(tokens[0], tokens[0] + len(tokens)))
