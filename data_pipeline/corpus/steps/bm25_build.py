"""Building a BM25 index over benchmark sentences."""

import hashlib
import json
import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_pipeline.contract.benchmark_files import BenchmarkText
from data_pipeline.contract.errors import InputError
from data_pipeline.contract.storage import write_array, write_json
from data_pipeline.corpus.document import Document
from data_pipeline.corpus.steps.bm25 import (
    ARRAYS,
    FORMAT,
    GRAM_ARRAYS,
    OTHER_ARRAYS,
    cut,
    least_letters,
    letters_of,
    symbols,
)
from data_pipeline.corpus.steps.bm25_copy_kernels import GRAM, grams_of
from data_pipeline.corpus.steps.bm25_kernels import FIRST_SYLLABLE
from data_pipeline.corpus.steps.removal import sentences_of
from data_pipeline.corpus.steps.split_sentences import cut_at, start_finder
from data_pipeline.recipe import SentenceSplit

K1 = 1.2
"""Saturation of a term's count (Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework", section 3.4.3)."""

B = 0.75
"""Weight of a text's length; the usual value (same source)."""

CHUNK = 8192

STREAM_LETTERS = 12
"""Letters and digits from which on texts are looked for across sentences."""
STREAM_TEXTS = 40
"""Grams in more texts say nothing of one of them, and are not looked up."""
BITS_A_GRAM = 16
"""Of the filter before the grams, at least: one in 16 of a clean text's grams passes it."""


def build_index(
    texts: Iterable[BenchmarkText],
    ngram: int,
    min_chars: int,
    folder: Path,
    splitter: SentenceSplit,
    strict_short: bool = True,
) -> None:
    """Writes the BM25 index of benchmark texts into a folder: .npy arrays, and last of all index.json.

    - `texts`: contexts are indexed as their sentences; other texts whole, and if they hold several sentences (a review,
      a premise) also as those of these that are not short, because the corpus is compared sentence by sentence. The splitter
      is the corpus' own. Those of STREAM_LETTERS or more are looked for across sentences, too (`Grams`). Of texts with the same letters and digits the first counts; texts without any are left out.
    - `ngram`: characters per term, 1 to 4.
    - `min_chars`: texts with fewer letters and digits are found as whole sentences only: 네, 맞아요 stands in any text.
    - `strict_short`: titles of SQuAD-like files are so, too, whatever their length, and texts of few letters need higher scores.

    An InputError where no longer text is among them: the wrong files were named.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.json").unlink(missing_ok=True)
    records, short, chunks, letters = list[bytes](), list[tuple[int, bytes]](), list[_TermCounts](), list[int]()
    grams = list[_Postings]()
    benchmarks: Counter[str] = Counter()
    least = least_letters(min_chars, ngram)
    for chunk in _distinct(_sentences(texts, least, splitter), ngram, least, strict_short):
        grams.append(_gram_postings(chunk.texts, len(records)))
        letters += map(len, map(letters_of, chunk.texts))
        records += chunk.records
        short += chunk.short
        benchmarks.update(chunk.benchmarks)
        if chunk.terms:
            chunks.append(chunk.terms)
    if not records:
        raise InputError(
            f"the benchmarks hold no text of {min_chars} letters and digits or more; check --benchmark or --data.decontamination.benchmarks"
        )
    arrays = _arrays(chunks) | {"text_letters": np.array(letters, np.int32)}
    gram_arrays, shift = _grams(grams)
    arrays |= gram_arrays
    short.sort()
    arrays["short_keys"] = np.array([key for key, _ in short], np.uint64)
    records += [record for _, record in short]
    arrays["records"] = np.frombuffer(b"".join(records), np.uint8)
    arrays["record_ends"] = np.cumsum([len(record) for record in records], dtype=np.int64)
    for name in (*ARRAYS, *GRAM_ARRAYS, *OTHER_ARRAYS):
        write_array(folder / f"{name}.npy", arrays[name])
    facts = {
        "format": FORMAT,
        "ngram": ngram,
        "min_chars": min_chars,
        "strict_short": strict_short,
        "k1": K1,
        "b": B,
        "gram_shift": shift,
        "mean_length": float(arrays["text_lengths"].mean()),
        "benchmarks": dict(sorted(benchmarks.items())),
    }
    write_json(folder / "index.json", facts)


def _sentences(texts: Iterable[BenchmarkText], least: int, splitter: SentenceSplit) -> Iterator[BenchmarkText]:
    """The texts composed (NFC), and the sentences that the corpus steps would make of those that hold several.

    A context is its sentences; of other texts those of `least` letters and digits or more count too.
    """
    starts_of = start_finder(splitter)
    for text in texts:
        # Lone surrogates, which JSON can hold, stop KSS and UTF-8.
        composed = unicodedata.normalize("NFC", text.text).encode("utf-8", "ignore").decode()
        if text.kind != "context":
            yield text if composed == text.text else replace(text, text=composed)
        document = Document(text.location, text.benchmark, composed)
        starts = starts_of(document)
        if text.kind == "context" or len(starts) > 1:
            for sentence in sentences_of(cut_at(document, starts)):
                if text.kind == "context" or len(letters_of(sentence.text)) >= least:
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


@dataclass(frozen=True)
class _Chunk:
    """Texts that no earlier one equals: the texts, records and terms of the long ones, (key, record) of the short ones, and the
    benchmark of each."""

    texts: list[str]
    records: list[bytes]
    terms: _TermCounts | None
    short: list[tuple[int, bytes]]
    benchmarks: list[str]


def _distinct(texts: Iterator[BenchmarkText], ngram: int, least: int, strict_short: bool) -> Iterator[_Chunk]:
    """The texts with letters and digits, the first of equal ones; those with fewer than `least`, and headings if `strict_short`, are
    short."""
    seen: set[bytes] = set()
    while batch := list(islice(texts, CHUNK)):
        codes, ends, letters, keys = cut([text.text for text in batch], ngram)
        long, records, short = list[str](), list[bytes](), list[tuple[int, bytes]]()
        benchmarks, kept = list[str](), list[NDArray[np.int64]]()
        starts = ends - np.diff(ends, prepend=0)
        for text, start, end, length, key in zip(batch, starts, ends, letters, keys.tolist(), strict=True):
            own = codes[start:end]
            scored = length >= least and not (strict_short and text.kind == "heading")
            same = own.tobytes() if scored else letters_of(text.text).encode()
            digest = hashlib.blake2b(same, digest_size=16).digest()
            if length == 0 or digest in seen:
                continue
            seen.add(digest)
            benchmarks.append(text.benchmark)
            record = json.dumps([text.text, text.benchmark, text.location, text.kind], ensure_ascii=False).encode()
            if scored:
                long.append(text.text)
                records.append(record)
                kept.append(own)
            else:
                short.append((key, record))
        yield _Chunk(long, records, _counted(kept) if kept else None, short, benchmarks)


@dataclass(frozen=True)
class _Postings:
    """Where grams stand: uint64, int32 and int32 [postings], by text and then by offset."""

    codes: NDArray[np.uint64]
    texts: NDArray[np.int32]
    offsets: NDArray[np.int32]


def _gram_postings(texts: Sequence[str], first: int) -> _Postings:
    """Where the grams with a Hangul syllable of the texts of STREAM_LETTERS or more stand; `first`: the index of the first text."""
    letters, ends = symbols(texts)
    codes = grams_of(letters, ends)
    lengths = np.diff(ends, prepend=0)
    numbers = np.maximum(lengths - GRAM + 1, 0)
    owners = np.repeat(np.arange(len(texts)), numbers)
    offsets = np.arange(len(codes)) - np.repeat(np.cumsum(numbers) - numbers, numbers)
    # Those without a Hangul syllable stand in every URL of a host.
    syllables = np.concatenate([[0], np.cumsum(letters >= FIRST_SYLLABLE)])
    starts = offsets + (ends - lengths)[owners]
    kept = (lengths[owners] >= STREAM_LETTERS) & (syllables[starts + GRAM] > syllables[starts])
    return _Postings(codes[kept], (owners[kept] + first).astype(np.int32), offsets[kept].astype(np.int32))


def _grams(postings: Sequence[_Postings]) -> tuple[dict[str, NDArray[Any]], int]:
    """The arrays of Grams and its `shift`. Of a gram that a text has twice the first place counts."""
    codes, texts, offsets = (
        np.concatenate([getattr(each, name) for each in postings]) for name in ("codes", "texts", "offsets")
    )
    order = np.argsort(codes, kind="stable")
    codes, texts, offsets = codes[order], texts[order], offsets[order]
    same = codes[1:] == codes[:-1]
    first = np.concatenate([[True], ~same | (texts[1:] != texts[:-1])])[: len(codes)]
    codes, texts, offsets = codes[first], texts[first], offsets[first]
    distinct, counts = np.unique(codes, return_counts=True)
    rare = counts <= STREAM_TEXTS
    kept = np.repeat(rare, counts)
    distinct, counts = distinct[rare], counts[rare]
    leading = max(10, math.ceil(math.log2(BITS_A_GRAM * max(len(distinct), 1))))
    shift = 64 - leading
    bits = np.zeros(2**leading, bool)
    bits[distinct >> np.uint64(shift)] = True
    arrays: dict[str, NDArray[Any]] = {
        "gram_codes": distinct,
        "gram_bits": np.packbits(bits, bitorder="little"),
        "gram_starts": np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        "gram_texts": texts[kept],
        "gram_offsets": offsets[kept],
    }
    return arrays, shift


def _counted(texts: Sequence[NDArray[np.int64]]) -> _TermCounts:
    codes, lengths = np.concatenate(texts), np.array([len(text) for text in texts], np.int64)
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
    - `text_starts` int64 [D + 1], `text_terms` int32 [P]: the terms of each text, ascending; `text_weights` float64 [P], what
      each adds to s(q, d) if it stands in q.
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
    mean_length, weights, self_scores = lengths.mean(), [], []
    for chunk, own_terms in zip(chunks, terms, strict=True):
        norms = K1 * (1 - B + B * chunk.lengths / mean_length)
        owners = np.repeat(np.arange(len(chunk.lengths)), chunk.pairs)
        weights.append(idf[own_terms] * chunk.counts * (K1 + 1) / (chunk.counts + norms[owners]))
        self_scores.append(np.bincount(owners, weights=weights[-1], minlength=len(chunk.lengths)))
    pair_texts = np.repeat(np.arange(len(lengths), dtype=np.int32), pairs)
    return {
        "term_codes": term_codes,
        "idf": idf,
        "posting_starts": np.concatenate([[0], np.cumsum(frequencies)]).astype(np.int64),
        "posting_texts": pair_texts[np.argsort(text_terms, kind="stable")],
        "text_starts": np.concatenate([[0], np.cumsum(pairs)]).astype(np.int64),
        "text_terms": text_terms,
        "text_weights": np.concatenate(weights),
        "text_lengths": lengths,
        "self_scores": np.concatenate(self_scores),
    }
