"""Searching a BM25 index over benchmark sentences, which every worker maps into its memory; bm25_build.py writes it."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_letters, digits
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_pipeline.contract.benchmark_files import BenchmarkText
from data_pipeline.contract.errors import WorkError
from data_pipeline.contract.storage import read_json
from data_pipeline.corpus.steps.bm25_copy_kernels import CopySearch, Grams, copies, symbols_of
from data_pipeline.corpus.steps.bm25_kernels import WIDER, Index, Scratch, Search, closest, hash_terms, ngrams

NUMBERS = ("k1", "b", "mean_length")
ARRAYS = tuple(name for name in Index._fields if name not in ("slots", "unknown_idf", *NUMBERS))
"""What of the index of a search lies on disk."""
GRAM_ARRAYS = tuple(f"gram_{name}" for name in Grams._fields if name != "shift")
OTHER_ARRAYS = ("short_keys", "records", "record_ends")
"""The keys of the texts found as whole sentences only, ascending; and for people all texts, the short ones last: UTF-8 JSON, and where each record
ends, in bytes."""

FORMAT = 5
SHORT_LETTERS = 16
"""Letters and digits below which a text is a phrase, of which half the bigrams stand in another by chance."""
SHORT_FACTOR = 0.85
"""What its scores count: with the default thresholds 0.71 and 0.94 are needed instead of 0.6 and 0.8."""
MIN_GRAMS = 2
"""Grams of a text that must lie on a diagonal: a text of 20 letters has 15, of which three wrong letters may leave two."""
_NOT_LETTER = re.compile("[^0-9A-Za-z가-힣]")
_USUAL_WIDTH = {ord(letter) + WIDER: letter for letter in digits + ascii_letters}


@dataclass(frozen=True)
class Prefilter:
    """Which benchmark texts are scored for a query: those that hold enough of its rarest terms.

    - `rare_terms`, `stretch`: the query is cut into equal stretches of at most `stretch` n-grams, and the `rare_terms`
      rarest known terms of each are looked up (of equally rare ones those of the smaller code). Stretches, because the
      rarest terms of a long sentence need not lie in the benchmark sentence that it holds.
    - `frequency_cap`: terms that stand in more benchmark texts are not looked up, unless they are among the first
      `min_hits` of their stretch.
    - `min_hits`: how many of the terms looked up a text must hold (all of them, where there are fewer); at most 255.

    A text that holds every term of the query is therefore always scored: no exact copy is missed. The defaults: benchmarks/decontamination.
    """

    rare_terms: int = 4
    stretch: int = 10
    frequency_cap: int = 500
    min_hits: int = 3


@dataclass(frozen=True)
class Closest:
    """The closest benchmark text of each query.

    - `texts`: int64 [queries], its index; -1 where there is none.
    - `symmetric`, `embedded`: float64 [queries], its scores; 0 where there is none, 1 for a short text.
    - `margins`: float64 [queries], how far the text is above its thresholds: a match from 1 on.
    """

    texts: NDArray[np.int64]
    symmetric: NDArray[np.float64]
    embedded: NDArray[np.float64]
    margins: NDArray[np.float64]


@dataclass(frozen=True)
class Copies:
    """Benchmark texts in documents, whatever sentences these are cut into.

    - `sentences`: int64 [copies, 2], the first and the last sentence that each touches, counted over all documents.
    - `texts`: int64 [copies], its index. `symmetric`, `embedded`: float64 [copies], the scores of the span.
    """

    sentences: NDArray[np.int64]
    texts: NDArray[np.int64]
    symmetric: NDArray[np.float64]
    embedded: NDArray[np.float64]


@dataclass(frozen=True)
class Bm25Index:
    """An index on disk, opened read-only: workers of one machine share its memory. Not for several threads at once.

    BM25 over character n-grams of letters and digits. Text is cut to 0-9, A-Z (as a-z, full width as usual) and 가-힣: blanks and
    punctuation do not count, nor do loose jamo, whose number is a matter of mood (ㅋㅋ, ㅋㅋㅋㅋ). For a query q and a
    benchmark text d, with counts c, lengths |.| in n-grams, the mean length m of the N benchmark texts, and the number
    n(t) of texts that hold a term t:

        s(q, d) = sum over the distinct terms t of q:  idf(t) c(t, d) (k1 + 1) / (c(t, d) + k1 (1 - b + b |d| / m))
        idf(t)  = ln(1 + (N - n(t) + 0.5) / (n(t) + 0.5))

    (Robertson and Zaragoza 2009, with the 1 inside the logarithm as in Lucene's BM25Similarity so that no term counts
    negatively, and without a weight for a term's count in q.) s(q, q) treats the query as a text of the collection; a
    term that the index does not know counts with the largest idf of the index. A copy scores 1 in both ways of
    `closest`; chance can lift a symmetric score above that, as idf is the same but lengths are not.

    Texts of fewer than `min_chars` letters and digits have no scores: in them a few n-grams say little. Such a text is the
    closest to a query that has exactly its letters and digits. They have the last indices. With `strict_short` so have the titles of
    SQuAD-like files (구글, 대한민국의 역사), of any length, and texts below SHORT_LETTERS count SHORT_FACTOR of their scores.

    - `benchmarks`: how many texts each benchmark has in the index.
    - `terms`: what is searched, `grams`: in streams; `arrays`: by name, with the texts themselves; `scratch`: memory of the search.
    """

    folder: Path
    ngram: int
    min_chars: int
    strict_short: bool
    benchmarks: dict[str, int]
    terms: Index
    grams: Grams
    arrays: dict[str, NDArray[Any]]
    scratch: Scratch

    @classmethod
    def open(cls, folder: str | Path) -> "Bm25Index":
        """Maps the index that `build_index` wrote into `folder`. A WorkError where there is none, or of another version."""
        folder = Path(folder)
        facts = read_json(folder / "index.json")
        if facts is None:
            raise WorkError(f"{folder}: no finished benchmark index here; run the preparation again to build it")
        if facts["format"] != FORMAT:
            raise WorkError(
                f"{folder}: benchmark index of version {facts['format']}, not {FORMAT}; remove the folder and run again"
            )
        arrays = {
            name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r"))
            for name in (*ARRAYS, *GRAM_ARRAYS, *OTHER_ARRAYS)
        }
        known: dict[str, Any] = {name: arrays[name] for name in ARRAYS} | {name: float(facts[name]) for name in NUMBERS}
        terms = Index(slots=hash_terms(arrays["term_codes"]), unknown_idf=float(arrays["idf"].max()), **known)
        grams = Grams(shift=facts["gram_shift"], **{name.removeprefix("gram_"): arrays[name] for name in GRAM_ARRAYS})
        texts = len(terms.self_scores)
        scratch = Scratch(np.empty(texts, np.uint16), np.empty(texts, np.int64), np.zeros(len(terms.idf), np.uint8))
        return cls(
            folder,
            facts["ngram"],
            facts["min_chars"],
            facts["strict_short"],
            facts["benchmarks"],
            terms,
            grams,
            arrays,
            scratch,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process maps the files again instead of receiving a copy of them.
        return Bm25Index.open, (self.folder,)

    def __len__(self) -> int:
        return len(self.arrays["record_ends"])

    def closest(
        self,
        queries: Sequence[str],
        threshold: float,
        embedded_threshold: float,
        prefilter: Prefilter = Prefilter(),
    ) -> Closest:
        """Finds for each query the benchmark text that is furthest above, or least below, its thresholds.

        - `queries`: sentences in NFC.
        - `threshold`, `embedded_threshold`: the text d with the largest of symmetric / threshold and embedded /
          embedded_threshold is the closest; symmetric is 2 s(q,d) / (s(q,q) + s(d,d)), embedded s(q,d) / s(d,d). Of
          equal ones the first in the index is.

        Scores are exact BM25 in float64; only texts that pass the prefilter are scored.
        """
        codes, ends, letters, keys = cut(queries, self.ngram)
        search = Search(
            prefilter.rare_terms,
            prefilter.stretch,
            prefilter.frequency_cap,
            prefilter.min_hits,
            least_letters(self.min_chars, self.ngram),
            float(threshold),
            float(embedded_threshold),
            SHORT_LETTERS if self.strict_short else 0,
            SHORT_FACTOR,
        )
        texts, scores = closest(codes, ends, letters, self.terms, search, self.scratch)
        for query, text in self._short_copies(queries, letters, keys):
            texts[query], scores[query] = text, (1, 1, 1 / min(threshold, embedded_threshold))
        return Closest(texts, scores[:, 0], scores[:, 1], scores[:, 2])

    def copies(self, documents: Sequence[Sequence[str]], threshold: float, embedded_threshold: float) -> Copies:
        """Finds the benchmark texts that stand in documents, across the boundaries of their sentences, too.

        - `documents`: sentences of each, in NFC.

        A document's letters and digits are one stream. Where GRAM letters of it are those of a benchmark text that is looked for
        in streams (build_index), stream and text lie on a diagonal; MIN_GRAMS of one text on diagonals at most SHIFT apart make a
        span, from where the text would begin to where it would end. It counts if one of its two scores (`closest`) reaches its threshold, and
        for a text below EDITED_LETTERS if it is whole, without what at its ends is not the text's.
        """
        sentences = [sentence for document in documents for sentence in document]
        letters, ends = symbols(sentences)
        last = np.cumsum(np.fromiter(map(len, documents), np.int64, len(documents)))
        document_ends = np.concatenate([[0], ends])[last]
        search = CopySearch(MIN_GRAMS, self.ngram, float(threshold), float(embedded_threshold))
        spans, scores = copies(letters, document_ends, self.terms, self.grams, search, self.scratch.term_marks)
        touched = np.searchsorted(ends, np.stack([spans[:, 0], spans[:, 1] - 1], axis=1), side="right")
        return Copies(touched, spans[:, 2], scores[:, 0], scores[:, 1])

    def _short_copies(
        self, queries: Sequence[str], letters: NDArray[np.int64], keys: NDArray[np.uint64]
    ) -> Iterator[tuple[int, int]]:
        """(query, text) of each query that has the letters and digits of a text that is found as a whole sentence only."""
        known = self.arrays["short_keys"]
        if not len(known):
            return
        firsts = np.searchsorted(known, keys)
        same = ((letters > 0) & (known[np.minimum(firsts, len(known) - 1)] == keys)).nonzero()[0]
        for query, first in zip(same.tolist(), firsts[same].tolist(), strict=True):
            while first < len(known) and known[first] == keys[query]:
                text = len(self.terms.self_scores) + first
                if letters_of(self.text(text).text) == letters_of(queries[query]):
                    yield query, text
                    break
                first += 1

    def text(self, number: int) -> BenchmarkText:
        """The benchmark text at an index."""
        ends = self.arrays["record_ends"]
        start = int(ends[number - 1]) if number else 0
        return BenchmarkText(*json.loads(self.arrays["records"][start : int(ends[number])].tobytes()))


def least_letters(min_chars: int, ngram: int) -> int:
    """Letters and digits from which on texts are scored; shorter ones are short texts."""
    return max(min_chars, ngram)


def letters_of(text: str) -> str:
    """The letters and digits that count, in lower case and of the usual width."""
    return _NOT_LETTER.sub("", text.translate(_USUAL_WIDTH)).lower()


def cut(
    texts: Sequence[str], ngram: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.uint64]]:
    """N-gram codes of all texts, where each text ends in them, each text's letters and digits, and their key."""
    return ngrams(*_code_points(texts), ngram)


def symbols(texts: Sequence[str]) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
    """The letters and digits of all texts as symbols, and where each text ends in them."""
    cut_texts: tuple[NDArray[np.uint16], NDArray[np.int64]] = symbols_of(*_code_points(texts))
    return cut_texts


def _code_points(texts: Sequence[str]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    code_points = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    return code_points, np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)))
