"""A BM25 index over benchmark sentences: built once, memory-mapped by every worker."""

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_pipeline.contract.benchmark_files import BenchmarkText
from data_pipeline.contract.errors import InputError, WorkError
from data_pipeline.contract.storage import read_json, write_array, write_json
from data_pipeline.document import Document
from data_pipeline.recipe import SentenceSplit
from data_pipeline.steps.bm25_kernels import MAX_NGRAM, SYMBOLS, closest, ngrams
from data_pipeline.steps.removal import sentences_of
from data_pipeline.steps.split_sentences import sentence_splitter

K1 = 1.2
"""Saturation of a term's count (Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework", section 3.4.3)."""

B = 0.75
"""Weight of a text's length; the usual value (same source)."""

ARRAYS = (
    "term_codes",
    "idf",
    "posting_starts",
    "posting_texts",
    "text_starts",
    "text_terms",
    "text_counts",
    "text_lengths",
    "self_scores",
)
"""What a search needs, in the order in which the compiled search takes them."""

RECORD_ARRAYS = ("records", "record_ends")
"""The texts themselves, for people: UTF-8 JSON, and where each record ends, in bytes."""

FORMAT = 1
CHUNK = 8192


@dataclass(frozen=True)
class Prefilter:
    """Which benchmark texts are scored for a query: those that hold enough of its rarest terms.

    - `rare_terms`, `stretch`: the query is cut into equal stretches of at most `stretch` n-grams, and the `rare_terms`
      rarest known terms of each are looked up (of equally rare ones those of the smaller code). Stretches, because the
      rarest terms of a long sentence need not lie in the benchmark sentence that it holds.
    - `frequency_cap`: terms that stand in more benchmark texts are not looked up, unless they are among the first
      `min_hits` of their stretch.
    - `min_hits`: how many of the terms looked up a text must hold (all of them, where there are fewer); at most 255.

    A text that holds every term of the query is therefore always scored: no exact copy is missed.
    """

    rare_terms: int = 8
    stretch: int = 32
    frequency_cap: int = 2000
    min_hits: int = 3


@dataclass(frozen=True)
class Closest:
    """The closest benchmark text of each query.

    - `texts`: int64 [queries], its index; -1 where no text passed the prefilter or the query is too short.
    - `symmetric`, `embedded`: float64 [queries], its scores; 0 where there is none.
    """

    texts: NDArray[np.int64]
    symmetric: NDArray[np.float64]
    embedded: NDArray[np.float64]


@dataclass(frozen=True)
class Bm25Index:
    """An index on disk, opened read-only: workers of one machine share its memory. Not for several threads at once.

    BM25 over character n-grams of letters and digits. Text is cut to 0-9, A-Z (as a-z) and 가-힣: blanks and
    punctuation do not count, nor do loose jamo, whose number is a matter of mood (ㅋㅋ, ㅋㅋㅋㅋ). For a query q and a
    benchmark text d, with counts c, lengths |.| in n-grams, the mean length m of the N benchmark texts, and the number
    n(t) of texts that hold a term t:

        s(q, d) = sum over the distinct terms t of q:  idf(t) c(t, d) (k1 + 1) / (c(t, d) + k1 (1 - b + b |d| / m))
        idf(t)  = ln(1 + (N - n(t) + 0.5) / (n(t) + 0.5))

    (Robertson and Zaragoza 2009, with the 1 inside the logarithm as in Lucene's BM25Similarity so that no term counts
    negatively, and without a weight for a term's count in q.) s(q, q) treats the query as a text of the collection; a
    term that the index does not know counts with the largest idf of the index. A copy scores 1 in both ways of
    `closest`; chance can lift a symmetric score above that, as idf is the same but lengths are not.
    """

    folder: Path
    ngram: int
    min_chars: int
    k1: float
    b: float
    mean_length: float
    unknown_idf: float
    arrays: dict[str, NDArray[Any]]
    first_terms: NDArray[np.int64]
    scratch: tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.uint8]]

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
            name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r")) for name in (*ARRAYS, *RECORD_ARRAYS)
        }
        return cls(
            folder=folder,
            ngram=facts["ngram"],
            min_chars=facts["min_chars"],
            k1=facts["k1"],
            b=facts["b"],
            mean_length=facts["mean_length"],
            arrays=arrays,
            scratch=(
                np.zeros(len(arrays["self_scores"]), np.uint8),
                np.empty(len(arrays["self_scores"]), np.int64),
                np.zeros(len(arrays["term_codes"]), np.uint8),
            ),
            unknown_idf=float(arrays["idf"].max()),
            first_terms=np.searchsorted(
                arrays["term_codes"], np.arange(SYMBOLS + 1) * SYMBOLS ** (facts["ngram"] - 1)
            ).astype(np.int64),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process maps the files again instead of receiving a copy of them.
        return Bm25Index.open, (self.folder,)

    def __len__(self) -> int:
        return len(self.arrays["self_scores"])

    def closest(
        self,
        queries: Sequence[str],
        threshold: float,
        embedded_threshold: float,
        prefilter: Prefilter = Prefilter(),
    ) -> Closest:
        """Finds for each query the benchmark text that is furthest above, or least below, its thresholds.

        - `queries`: sentences in NFC; those with fewer letters and digits than the index's `min_chars` have no match.
        - `threshold`, `embedded_threshold`: the text d with the largest of symmetric / threshold and embedded /
          embedded_threshold is the closest; symmetric is 2 s(q,d) / (s(q,q) + s(d,d)), embedded s(q,d) / s(d,d). Of
          equal ones the first in the index is.

        Scores are exact BM25 in float64; only texts that pass the prefilter are scored.
        """
        codes, ends, letters = _cut(queries, self.ngram)
        texts, scores = closest(
            codes,
            ends,
            letters,
            self.min_chars,
            self.ngram,
            self.first_terms,
            *(self.arrays[name] for name in ARRAYS),
            self.unknown_idf,
            self.k1,
            self.b,
            self.mean_length,
            prefilter.rare_terms,
            prefilter.stretch,
            prefilter.frequency_cap,
            prefilter.min_hits,
            float(threshold),
            float(embedded_threshold),
            *self.scratch,
        )
        return Closest(texts, scores[:, 0], scores[:, 1])

    def text(self, number: int) -> BenchmarkText:
        """The benchmark text at an index."""
        ends = self.arrays["record_ends"]
        start = int(ends[number - 1]) if number else 0
        return BenchmarkText(*json.loads(self.arrays["records"][start : int(ends[number])].tobytes()))


def build_index(texts: Iterable[BenchmarkText], ngram: int, min_chars: int, folder: Path) -> None:
    """Writes the BM25 index of benchmark texts into a folder: .npy arrays, and last of all index.json.

    - `texts`: contexts are indexed as their sentences; other texts whole, and if they hold several sentences (a review,
      a premise) also as these, because the corpus is compared sentence by sentence. The splitter is the corpus' own
      (KSS 1.3.1). Of texts with the same letters and digits the first counts.
    - `ngram`: characters per term, 1 to 4.
    - `min_chars`: texts with fewer letters and digits are left out: a short formula stands embedded in any text.

    An InputError where nothing is left to index: the wrong files were named.
    """
    if not 1 <= ngram <= MAX_NGRAM:
        raise InputError(f"decontamination.ngram is {ngram}; it must be 1 to {MAX_NGRAM}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.json").unlink(missing_ok=True)
    records, chunks = list[bytes](), list[_TermCounts]()
    for own_records, chunk in _distinct(_sentences(texts), ngram, max(min_chars, ngram)):
        records += own_records
        chunks.append(chunk)
    if not records:
        raise InputError(
            f"the benchmarks hold no text of {min_chars} letters and digits or more; check --benchmark or decontamination.benchmarks"
        )
    arrays = _arrays(chunks)
    arrays["records"] = np.frombuffer(b"".join(records), np.uint8)
    arrays["record_ends"] = np.cumsum([len(record) for record in records], dtype=np.int64)
    for name in (*ARRAYS, *RECORD_ARRAYS):
        write_array(folder / f"{name}.npy", arrays[name])
    facts = {
        "format": FORMAT,
        "ngram": ngram,
        "min_chars": min_chars,
        "k1": K1,
        "b": B,
        "texts": len(records),
        "terms": len(arrays["term_codes"]),
        "mean_length": float(arrays["text_lengths"].mean()),
    }
    write_json(folder / "index.json", facts)


def _cut(texts: Sequence[str], ngram: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """N-gram codes of all texts, where each text ends in them, and each text's letters and digits."""
    code_points = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    text_ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)))
    return ngrams(code_points, text_ends, ngram)


def _sentences(texts: Iterable[BenchmarkText]) -> Iterator[BenchmarkText]:
    """The texts composed (NFC), and the sentences that the corpus steps would make of those that hold several."""
    split = sentence_splitter(SentenceSplit())
    for text in texts:
        # Lone surrogates, which JSON can hold, stop KSS and UTF-8.
        composed = unicodedata.normalize("NFC", text.text).encode("utf-8", "ignore").decode()
        if text.kind != "context":
            yield text if composed == text.text else replace(text, text=composed)
        document = split(Document(text.location, text.benchmark, composed))
        sentences = sentences_of(document) if isinstance(document, Document) else ()
        if text.kind == "context" or len(sentences) > 1:
            for sentence in sentences:
                yield replace(text, text=sentence.text, kind="sentence")


@dataclass(frozen=True)
class _TermCounts:
    """The terms of some texts: P pairs of a text and one of its terms, by text and then by code.

    - `codes`: int64, ascending, each once.
    - `terms`: int32 [P], a place in `codes`; `counts`: int32 [P].
    - `pairs`: int64 [texts], how many are each text's; `lengths`: int64 [texts], in n-grams.
    """

    codes: NDArray[np.int64]
    terms: NDArray[np.int32]
    counts: NDArray[np.int32]
    pairs: NDArray[np.int64]
    lengths: NDArray[np.int64]


def _distinct(texts: Iterator[BenchmarkText], ngram: int, min_chars: int) -> Iterator[tuple[list[bytes], _TermCounts]]:
    """The records of the texts that are long enough, the first of equal ones, and their terms; chunk by chunk."""
    seen: set[bytes] = set()
    while chunk := list(islice(texts, CHUNK)):
        codes, ends, letters = _cut([text.text for text in chunk], ngram)
        records, kept = list[bytes](), list[NDArray[np.int64]]()
        starts = ends - np.diff(ends, prepend=0)
        for text, start, end, length in zip(chunk, starts, ends, letters, strict=True):
            own = codes[start:end]
            key = hashlib.blake2b(own.tobytes(), digest_size=16).digest()
            if length >= min_chars and key not in seen:
                seen.add(key)
                fields = [text.text, text.benchmark, text.location, text.kind]
                records.append(json.dumps(fields, ensure_ascii=False).encode())
                kept.append(own)
        if kept:
            yield records, _counted(np.concatenate(kept), np.array([len(own) for own in kept], np.int64))


def _counted(codes: NDArray[np.int64], lengths: NDArray[np.int64]) -> _TermCounts:
    distinct, terms = np.unique(codes, return_inverse=True)
    owners = np.repeat(np.arange(len(lengths)), lengths)
    pairs, counts = np.unique(owners * len(distinct) + terms, return_counts=True)
    pair_owners, pair_terms = np.divmod(pairs, len(distinct))
    of_each = np.bincount(pair_owners, minlength=len(lengths))
    return _TermCounts(distinct, pair_terms.astype(np.int32), counts.astype(np.int32), of_each, lengths)


def _arrays(chunks: Sequence[_TermCounts]) -> dict[str, NDArray[Any]]:
    """The index proper; T terms, D texts, P pairs of a text and one of its terms.

    - `term_codes` int64 [T], ascending; `idf` float64 [T].
    - `posting_starts` int64 [T + 1], `posting_texts` int32 [P]: the texts of each term, ascending.
    - `text_starts` int64 [D + 1], `text_terms` and `text_counts` int32 [P]: the terms of each text, ascending.
    - `text_lengths` int64 [D], in n-grams; `self_scores` float64 [D], s(d, d).
    """
    term_codes = np.unique(np.concatenate([chunk.codes for chunk in chunks]))
    terms = [np.searchsorted(term_codes, chunk.codes).astype(np.int32)[chunk.terms] for chunk in chunks]
    text_terms = np.concatenate(terms)
    lengths = np.concatenate([chunk.lengths for chunk in chunks])
    pairs = np.concatenate([chunk.pairs for chunk in chunks])
    frequencies = np.zeros(len(term_codes), np.int64)
    for own_terms in terms:
        frequencies += np.bincount(own_terms, minlength=len(term_codes))
    idf = np.log1p((len(lengths) - frequencies + 0.5) / (frequencies + 0.5))
    mean_length, self_scores = lengths.mean(), []
    for chunk, own_terms in zip(chunks, terms, strict=True):
        norms = K1 * (1 - B + B * chunk.lengths / mean_length)
        owners = np.repeat(np.arange(len(chunk.lengths)), chunk.pairs)
        weights = idf[own_terms] * chunk.counts * (K1 + 1) / (chunk.counts + norms[owners])
        self_scores.append(np.bincount(owners, weights=weights, minlength=len(chunk.lengths)))
    pair_texts = np.repeat(np.arange(len(lengths), dtype=np.int32), pairs)
    return {
        "term_codes": term_codes,
        "idf": idf,
        "posting_starts": np.concatenate([[0], np.cumsum(frequencies)]).astype(np.int64),
        "posting_texts": pair_texts[np.argsort(text_terms, kind="stable")],
        "text_starts": np.concatenate([[0], np.cumsum(pairs)]).astype(np.int64),
        "text_terms": text_terms,
        "text_counts": np.concatenate([chunk.counts for chunk in chunks]),
        "text_lengths": lengths,
        "self_scores": np.concatenate(self_scores),
    }
