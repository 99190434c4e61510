"""Benchmark sentences that were taken from the corpus itself: KLUE's from movie reviews. Which of them are left?

What "stands in" means is computed here without the index, from letters and digits alone.
"""

import gzip
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.corpora import Corpora
from data_pipeline.contract.benchmark_files import benchmark_paths, read_benchmark
from data_pipeline.contract.errors import WorkError
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import read_json
from data_pipeline.corpus.corpus_files import read_sentences
from data_pipeline.corpus.stages.sentences import PART
from data_pipeline.prepare.contaminated import CERTIFICATE
from data_pipeline.prepare.flow import Stages
from data_pipeline.recipe import DataRecipe, Decontamination, KoreanFilter, LengthFilter, NearDuplicates, Source
from data_pipeline.tasks.engines.local import LocalEngine

BENCHMARKS = ("klue-ner", "klue-nli")
SHORT = 12
PREFIX = 8


@dataclass(frozen=True)
class Natural:
    """Sentences of one benchmark, by letters and digits; each counted once.

    - `standing`: found in the reviews: of SHORT or more letters as a part of a review, shorter as a whole one.
    - `formulae`: of these, those that stay as formulae. `left`: of the others, those found in what was prepared.
    """

    standing: frozenset[str]
    formulae: frozenset[str]
    left: frozenset[str]

    @property
    def gone(self) -> float:
        """Share of those standing that are left nowhere; formulae count as left. 1 where none stands."""
        return 1 - len(self.formulae | self.left) / max(1, len(self.standing))


@dataclass(frozen=True)
class Result:
    """By benchmark and by length (long, short); the counts of the stages; and what `contaminated` says of the same files."""

    natural: dict[tuple[str, bool], Natural]
    report: dict[str, Any]
    certificate: dict[str, dict[str, int]]
    certified: dict[str, frozenset[str]]


def prepare_reviews(found: Corpora, folder: Path) -> Result:
    """Prepares all reviews against the benchmarks, with every filter off but decontamination and exact duplicates."""
    paths = tuple(str(found.benchmarks / name) for name in BENCHMARKS)
    recipe = DataRecipe(
        sources=(Source("jsonl", str(found.reviews)),),
        near_duplicates=NearDuplicates(enabled=False),
        korean=KoreanFilter(min_hangul_share=0.0, max_han_kana=1_000_000),
        length=LengthFilter(min_chars=0, unit="sentence"),
        decontamination=Decontamination(benchmarks=paths),
    )
    run = RunFolder(folder)
    with run.locked():
        stages = Stages(run, recipe, LocalEngine(1))
        index = stages.benchmark_index()
        documents = stages.documents()
        done = stages.sentences(documents, stages.survivors(documents), index)
    kept = (read_sentences(task.outputs[PART].path) for task in done)
    rest = [
        "".join(sentence.text for sentence in sentences)
        for documents_of_part in kept
        for document in documents_of_part
        for sentences in document.runs()
    ]
    with gzip.open(found.reviews, "rt", encoding="utf-8") as lines:
        reviews = [json.loads(line)["text"] for line in lines]
    exempt = frozenset(letters(text) for texts in stages.report["formulae"]["formulae"].values() for text in texts)
    natural = {}
    for name, path in zip(BENCHMARKS, paths, strict=True):
        own = {letters(text.text) for file in benchmark_paths([path]) for text in read_benchmark(file)} - {""}
        for short in (False, True):
            sought = {text for text in own if (len(text) < SHORT) == short}
            standing = frozenset(found_in(sought, reviews))
            left = frozenset(found_in(standing, rest))
            natural[name, short] = Natural(standing, standing & exempt, left - exempt)
    certificate = _certificate(found, paths, folder)
    certified = {
        name: frozenset(
            letters(each["match"]["text"])
            for each in certificate["matches"]
            if each["match"]["benchmark"].startswith(name)
        )
        for name in BENCHMARKS
    }
    return Result(natural, stages.report, certificate["benchmarks"], certified)


def letters(text: str) -> str:
    """The letters and digits of a text."""
    return "".join(re.findall("[0-9A-Za-z가-힣]", text)).lower()


def found_in(sought: Iterable[str], texts: Sequence[str]) -> Iterator[str]:
    """Those of the sought letters that stand in a text: long ones anywhere, short ones as the whole of it."""
    by_prefix: dict[str, set[str]] = {}
    short = set()
    for text in sought:
        if len(text) < SHORT:
            short.add(text)
        else:
            by_prefix.setdefault(text[:PREFIX], set()).add(text)
    for text in texts:
        own = letters(text)
        if own in short:
            yield own
        for start in range(len(own) - SHORT + 1 if by_prefix else 0):
            for candidate in by_prefix.get(own[start : start + PREFIX], ()):
                if own.startswith(candidate, start):
                    yield candidate


def _certificate(found: Corpora, benchmarks: Sequence[str], folder: Path) -> dict[str, Any]:
    """The public command on the same files."""
    command = [
        sys.executable,
        "-m",
        "data_pipeline",
        "contaminated",
        f"jsonl:{found.reviews}",
        "--benchmark",
        *benchmarks,
    ]
    command += ["--run-dir", str(folder), "--workers", "1", "--examples", "0"]
    if code := subprocess.run(command, stdout=sys.stderr).returncode:
        raise WorkError(f"{' '.join(command[1:])}: exit code {code}")
    certificate: dict[str, Any] = read_json(folder / CERTIFICATE)
    return certificate
