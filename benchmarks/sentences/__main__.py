"""Sentence splitters on hand-labelled text: `python -m benchmarks.sentences`."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from benchmarks.results_page import table, write_page
from benchmarks.sentences.labels import Labelled, labelled
from benchmarks.sentences.scores import boundary_counts, normalised_f1
from benchmarks.sentences.training import petitions
from data_pipeline.contract.benchmark_files import read_benchmark
from data_pipeline.contract.errors import InputError
from data_pipeline.corpus.document import Document
from data_pipeline.corpus.steps.split_sentences import start_finder
from data_pipeline.recipe import SentenceSplit

Splitter = Callable[[str], Sequence[int]]
PARTS = ("petitions", "reviews", "comments")
MARKED_END = re.compile(r"[.?!…。~ㅋㅎㅠㅜ^;,]\W*[\d\]\W]*$")


@dataclass
class Settings:
    """Which text, and whether kss 6 runs beside the others."""

    data: Path = Path("../shared/data")
    """The folder with corpus/ and tasks/."""
    kss_6: Annotated[str, tyro.conf.arg(metavar="PYTHON")] = ""
    """The python of an environment with kss 6 (benchmarks/sentences/kss_6.py); empty leaves it out."""


def main(settings: Settings) -> None:
    texts = labelled(settings.data)
    splitters: dict[str, Splitter] = {
        "kss_repaired": _ours("kss_repaired"),
        "KSS 1.3.1 (splitter kss)": _ours("kss"),
        "blank behind . ! ? 。": _by_regex,
    }
    if settings.kss_6:
        splitters["kss 6.0.6, mecab"] = _kss_6(settings.kss_6, texts)
    rows = [_row(name, split, texts) for name, split in splitters.items()]
    labels = sum(len(each.starts) for each in texts)
    disputed = sum(len(each.second) for each in texts)
    together = labels - sum(len(each.starts_at_marks()) for each in texts)
    speeds = [[name, f"{_speed(split, settings.data):.1f}"] for name, split in list(splitters.items())[:3]]
    sentences, bare = _unmarked(splitters["kss_repaired"], settings.data)
    body = (
        f"{labels} sentences in {len(texts)} texts (how they were labelled: benchmarks/sentences/labels.py); the two readings disagree on {disputed} starts, and {together} sentences follow another without "
        "a blank or a mark, where no splitter of ours may cut: the last column counts them, the others do not. Normalised F1; thresholds were "
        "set on dev.\n\n"
        + table(
            ("splitter", *PARTS, "dev", "test", "all", "found", "missed", "wrong", "F1 with those written together"),
            rows,
        )
        + "\n\nOne core, from a string to the starts of its sentences, MB of UTF-8 a second of CPU time, all petitions:\n\n"
        + table(("splitter", "MB/s"), speeds)
        + f"\n\nKorQuAD 1.0 dev contexts with kss_repaired: {bare} cuts behind a bare letter in {sentences:,} sentences ({1000 * bare / sentences:.1f} "
        "in 1,000)."
    )
    write_page("sentences", "Sentence splitting beside hand-labelled text", ("kss", "numba", "numpy"), body)


def _ours(splitter: str) -> Splitter:
    starts_of = start_finder(SentenceSplit(splitter=splitter))  # type: ignore[arg-type]
    return lambda text: starts_of(Document("text", "text", text))


def _by_regex(text: str) -> list[int]:
    return [0, *(match.end() for match in re.finditer(r"(?<=[.!?。])\s+", text) if match.end() < len(text))]


def _kss_6(python: str, texts: Sequence[Labelled]) -> Splitter:
    request = json.dumps([each.text for each in texts])
    script = Path(__file__).with_name("kss_6.py")
    done = subprocess.run([python, str(script)], input=request, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"--kss-6 {python}: {done.stderr.strip().splitlines()[-1]}")
    starts = {}
    for each, sentences in zip(texts, json.loads(done.stdout), strict=True):
        position, found = 0, []
        for sentence in sentences:
            # It leaves out blanks at times: characters are matched one by one.
            letters = iter("".join(sentence.split()))
            first = True
            for letter in letters:
                position = each.text.index(letter, position)
                if first:
                    found.append(position)
                first = False
                position += 1
        starts[each.text] = found
    return lambda text: starts[text]


def _row(name: str, split: Splitter, texts: Sequence[Labelled]) -> list[str]:
    found = {each.id: split(each.text) for each in texts}
    counts = [
        sum(column)
        for column in zip(*(boundary_counts(each.starts_at_marks(), found[each.id]) for each in texts), strict=True)
    ]

    def mean(chosen: Sequence[Labelled], together: bool = False) -> str:
        golds = [(each, each.starts if together else each.starts_at_marks()) for each in chosen]
        total = sum(normalised_f1(each.text, gold, found[each.id]) * len(gold) for each, gold in golds)
        return f"{total / sum(len(gold) for _, gold in golds):.3f}"

    parts = [mean([each for each in texts if each.kind == kind]) for kind in PARTS]
    halves = [mean([each for each in texts if each.half == half]) for half in ("dev", "test")]
    return [name, *parts, *halves, mean(texts), *map(str, counts), mean(texts, together=True)]


def _speed(split: Splitter, data: Path) -> float:
    texts = [text for _, text in petitions(data)]
    split(texts[0])
    start = time.process_time()
    for text in texts:
        split(text)
    return sum(len(text.encode()) for text in texts) / 1e6 / (time.process_time() - start)


def _unmarked(split: Splitter, data: Path) -> tuple[int, int]:
    """Sentences of KorQuAD's contexts, and cuts among them behind a letter without any mark."""
    [file] = sorted((data / "tasks/korquad1").glob("*dev*.json"))
    contexts = {text.text for text in read_benchmark(str(file)) if text.kind == "context"}
    sentences = bare = 0
    for text in contexts:
        starts = split(text)
        sentences += len(starts)
        for start in starts[1:]:
            before = text[:start]
            bare += "\n" not in before[len(before.rstrip()) :] and not MARKED_END.search(before.rstrip())
    return sentences, bare


if __name__ == "__main__":
    try:
        main(tyro.cli(Settings, description=__doc__))
    except InputError as error:
        sys.exit(f"error: {error}")
