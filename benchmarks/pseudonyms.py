"""Personal data that the pseudonym step finds in real text: counts by type, and how many of the hits are right.

    python -m benchmarks.pseudonyms

A person judges: the command draws hits and writes them to results/pseudonyms_judged.tsv with `?` for each that is new; once
every `?` is `right` or `wrong`, it writes the page. What is written of a hit has its fake value, and other digits and letters
are scrambled; --show prints the text as it is, for judging.
"""

import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import get_args

import tyro

from benchmarks.corpora import corpora
from benchmarks.results_page import RESULTS, table, write_page
from data_pipeline.contract.benchmark_files import benchmark_paths, read_benchmark
from data_pipeline.contract.errors import InputError, WorkError, run_command
from data_pipeline.contract.storage import find_input_files, open_input, write_atomically
from data_pipeline.corpus.document import Document, Sentence
from data_pipeline.corpus.sources.lines import Unreadable
from data_pipeline.corpus.steps.clean import cleaner
from data_pipeline.corpus.steps.pseudonyms.line import Kind
from data_pipeline.corpus.steps.pseudonyms.step import find, pseudonymiser
from data_pipeline.corpus.steps.split_sentences import sentence_splitter
from data_pipeline.recipe import Clean, Pseudonyms, SentenceSplit, Source
from data_pipeline.source_formats import reader_of

JUDGED = RESULTS / "pseudonyms_judged.tsv"
CONTEXT_CHARS = 15
SHOWN_CONTEXT_CHARS = 60
_HANGUL = re.compile(
    "(전화|연락|번호|휴대폰|폰번|팩스|문의|유선|메일|주소|계좌|은행|농협|국민|예금주|입금처|보낼곳|모금|트위터|인스타그램|기자|기사|제보"
    "|링크|출처|참고|뉴스|영상|홈페이지|누리집|웹사이트|블로그|카페|청원|아파트|사무실|담당|서울|부산|대구|인천|[가-힣]{1,4}[시군구](?= ))|[가-힣]"
)
MEASURED, OTHER, FRESH = "measured", "other", "fresh"


@dataclass(frozen=True)
class Options:
    """Counts and samples."""

    data: Path = Path("../shared/data")
    """Folder with corpus/, tasks/ and vocabularies/."""
    reviews: int = 50_000
    """Reviews, from the first on, beside all petitions."""
    other_reviews: int = 150_000
    """Reviews after these, beside the news comments: the second sample. The third are the texts of the benchmarks."""
    urls: int = 140
    """URLs drawn of the first sample, and half as many of the others; of every other type all hits are."""
    seed: int = 0
    """Of the URLs that are drawn."""
    show: bool = False
    """Print each hit that is not judged yet, unscrambled."""


@dataclass(frozen=True)
class Hit:
    """A value found: where, of which type, its scrambled context, and the context as it is."""

    sample: str
    place: str
    kind: Kind
    scrambled: str
    context: str

    @property
    def key(self) -> str:
        return f"{self.sample}\t{self.place}\t{self.kind}"


def main() -> None:
    """The command."""
    run_command(lambda: measure(tyro.cli(Options)))


def measure(options: Options) -> None:
    """Counts, draws, takes judgements over, and writes the page when none is missing."""
    hits: list[Hit] = []
    texts = Counter[tuple[str, str]]()
    seconds: defaultdict[str, float] = defaultdict(float)
    megabytes: defaultdict[str, float] = defaultdict(float)
    step = pseudonymiser(Pseudonyms(), options.seed)
    for sample, name, document in _documents(options):
        texts[sample, name] += 1
        megabytes[name] += sum(len(sentence.text.encode()) for sentence in document.sentences or ()) / 1e6
        start = time.process_time()
        fake = step(document)
        seconds[name] += time.process_time() - start
        assert isinstance(fake, Document)
        if fake is not document:
            hits += _hits(sample, name, document, fake)
    chosen = _chosen(hits, options)
    judged = _judged()
    rows = [f"{judged.get(hit.key, '?')}\t{hit.key}\t{hit.scrambled}" for hit in chosen]
    header = "judged\tsample\tplace\ttype\ttext (the fake value in brackets; other digits and letters scrambled, other Hangul hidden)"
    write_atomically(JUDGED, "\n".join([header, *rows, ""]).encode())
    missing = [hit for hit in chosen if judged.get(hit.key) not in ("right", "wrong")]
    if options.show:
        for hit in missing:
            print(f"{hit.key}\t{hit.context}")
    if missing:
        raise WorkError(
            f"{JUDGED}: {len(missing)} of {len(chosen)} hits are not judged; write right or wrong for each ?"
        )
    body = _page(
        hits,
        {hit: judged[hit.key] == "right" for hit in chosen},
        texts,
        {name: megabytes[name] / seconds[name] for name in seconds},
        options,
    )
    write_page("pseudonyms", "Personal data in petitions and reviews", ("kss",), body)


def _documents(options: Options) -> Iterator[tuple[str, str, Document]]:
    """Sample, name of the corpus, and each of its documents, cleaned and split."""
    clean, split = cleaner(Clean()), sentence_splitter(SentenceSplit())
    for sample, name, item in _raw(options):
        document = clean(item)
        document = split(document) if isinstance(document, Document) else document
        if isinstance(document, Document):
            yield sample, name, document


def _raw(options: Options) -> Iterator[tuple[str, str, Document]]:
    found = corpora(options.data)
    first, last = options.reviews, options.reviews + options.other_reviews
    for document in _read("petitions", found.petitions):
        yield MEASURED, "petitions", document
    for number, document in enumerate(islice(_read("jsonl", str(found.reviews)), last)):
        yield (MEASURED if number < first else OTHER), "reviews", document
    for document in _read("lines", str(options.data / "corpus" / "news_comments.txt.gz")):
        yield OTHER, "comments", document
    seen = set()
    for path in benchmark_paths((str(found.benchmarks),)):
        for text in read_benchmark(str(path)):
            if text.text not in seen:
                seen.add(text.text)
                yield FRESH, "benchmark texts", Document(text.location, text.benchmark, text.text)


def _read(source_format: str, glob: str) -> Iterator[Document]:
    for file in find_input_files(glob):
        with open_input(file.path) as stream:
            for item in reader_of(source_format)(stream, Path(file.path).name, Source(source_format, glob)):
                if isinstance(item, Unreadable):
                    raise InputError(f"{item.location}: {item.problem}")
                if isinstance(item, Document):
                    yield item


def _hits(sample: str, name: str, document: Document, fake: Document) -> Iterator[Hit]:
    sentences, fakes = document.sentences or (), fake.sentences or ()
    for number, (before, sentence) in enumerate(pairwise((Sentence(""), *sentences))):
        new = fakes[number]
        for value in find(sentence.text, before.text):
            start, end = value.start, value.end
            scrambled = (
                f"{_scrambled(sentence.text[max(0, start - CONTEXT_CHARS) : start])}[{new.text[start:end]}]"
                f"{_scrambled(sentence.text[end : end + CONTEXT_CHARS])}"
            )
            left = sentence.text[max(0, start - SHOWN_CONTEXT_CHARS) : start]
            context = f"{left}[{sentence.text[start:end]}]{sentence.text[end : end + SHOWN_CONTEXT_CHARS]}"
            yield Hit(sample, f"{document.id}#{number}:{start}-{end}", value.found.kind, scrambled, context)


def _scrambled(text: str) -> str:
    """Other digits and Latin letters, and Hangul hidden but for the words that tell what a value is."""
    draw = random.Random(text)
    text = re.sub("[0-9０-９]", lambda _: str(draw.randrange(10)), text)
    text = re.sub("[A-Za-z]", lambda _: draw.choice("abcdefghijklmnopqrstuvwxyz"), text)
    return _HANGUL.sub(lambda match: match[0] if match[1] else "○", text)


def _chosen(hits: list[Hit], options: Options) -> list[Hit]:
    """All hits that are no URLs, and so many URLs of each sample, in the order of the text."""
    chosen = {hit for hit in hits if hit.kind != "url"}
    for sample in (MEASURED, OTHER, FRESH):
        urls = [hit for hit in hits if hit.kind == "url" and hit.sample == sample]
        number = options.urls if sample == MEASURED else options.urls // 2
        chosen |= set(random.Random(options.seed).sample(urls, min(number, len(urls))))
    return [hit for hit in hits if hit in chosen]


def _judged() -> dict[str, str]:
    """Key of a hit -> right, wrong or ?."""
    if not JUDGED.is_file():
        return {}
    rows = (line.split("\t") for line in JUDGED.read_text(encoding="utf-8").splitlines()[1:])
    return {"\t".join(row[1:4]): row[0] for row in rows}


def _page(
    hits: list[Hit], judged: dict[Hit, bool], texts: Counter[tuple[str, str]], speed: dict[str, float], options: Options
) -> str:
    sections = []
    for sample, title in (
        (MEASURED, "Petitions and reviews"),
        (OTHER, "Other reviews, news comments"),
        (FRESH, "Fresh text"),
    ):
        counts = Counter(hit.kind for hit in hits if hit.sample == sample)
        right = Counter(hit.kind for hit, is_right in judged.items() if hit.sample == sample and is_right)
        number = Counter(hit.kind for hit in judged if hit.sample == sample)
        rows = [
            (
                kind,
                f"{counts[kind]:,}",
                number[kind],
                right[kind],
                f"{right[kind] / number[kind]:.1%}" if number[kind] else "",
            )
            for kind in get_args(Kind)
        ]
        weighted = sum(counts[kind] * right[kind] / number[kind] for kind in number) / counts.total()
        rows.append(
            ("all", f"{counts.total():,}", number.total(), right.total(), f"{right.total() / number.total():.1%}")
        )
        other = number.total() - number["url"]
        read = ", ".join(f"{count:,} {name}" for (where, name), count in texts.items() if where == sample)
        sections.append(
            f"## {title}\n\n{read}.\n\n{table(('type', 'found', 'judged', 'right', 'precision'), rows)}\n\n"
            f"Precision, types weighted by what was found: {weighted:.1%}; without URLs: "
            f"{(right.total() - right['url']) / other:.1%} of {other}."
        )
    speeds = ", ".join(f"{name} {rate:.1f}" for name, rate in speed.items())
    wrong = "\n".join(
        f"- {hit.sample}, {hit.kind}: `{hit.scrambled}`" for hit, is_right in judged.items() if not is_right
    )
    measured = [is_right for hit, is_right in judged.items() if hit.sample == MEASURED]
    return f"""
**{sum(measured)} of {len(measured)} judged hits are right ({sum(measured) / len(measured):.1%})** in the petitions and {options.reviews:,} reviews.

A hit is right when the value is of its type and its span is whole: whose it is does not count, so that an office's
telephone number, a newspaper's URL and the address of a building site are right. All hits but URLs were judged, of URLs
{options.urls} and {options.urls // 2} drawn at random; the judgements are in [pseudonyms_judged.tsv](pseudonyms_judged.tsv), with
fake values, other digits and letters scrambled and most Hangul hidden. One reader judged, the author of the detectors.

Speed of the step alone, MB/s of one core: {speeds}. The text was cleaned and split, and nothing else was dropped.

{(chr(10) * 2).join(sections)}

The detectors were mended by what was wrong in the first two samples, so these say what is left. The fresh text (the inputs of
the benchmark files: news, encyclopaedia, questions) was judged after that, and nothing was mended by it; later changes came from
invented lines and left its hits as they were. It repeats
the e-mail addresses of a few editorial offices.

## Judged wrong

{wrong}

Recall on real text was not measured: it would need a reading of all of it. On the labelled lines
(`tests/data_pipeline/corpus/steps/pseudonyms/labelled.tsv`) the test asks for 95 %, and for 98 % precision.
"""


if __name__ == "__main__":
    main()
