"""Decontamination: what it finds of planted and of natural copies, what clean text it costs, how fast it is.

python -m benchmarks.decontamination
"""

import contextlib
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from benchmarks.corpora import corpora
from benchmarks.decontamination.across import WRAPPED_AT, CleanDocuments, Recall, clean_losses, recall_of_breaks
from benchmarks.decontamination.natural import BENCHMARKS, Result, prepare_reviews
from benchmarks.decontamination.recall import MOST_CLEAN, Measured, Trial
from benchmarks.decontamination.speed import WORKERS, Memory, memory_of_workers, sentences_per_second
from benchmarks.decontamination.texts import FILLER, SHORT, clean_documents, halves, index_of
from benchmarks.results_page import table, write_page
from data_pipeline.contract.errors import InputError, run_command
from data_pipeline.corpus.steps.bm25 import Bm25Index
from data_pipeline.corpus.steps.bm25_copy_kernels import EDITED_LETTERS
from data_pipeline.recipe import Decontamination

MEMORY_DOCUMENTS = 500
"""Petitions that each worker compares before its memory is read."""


@dataclass(frozen=True)
class Options:
    """Plants, speed, memory, and the benchmark sentences that stand in the reviews."""

    data: Path = Path("../shared/data")
    """Folder with corpus/, tasks/ and vocabularies/."""
    filler: int = 150_000
    """Reviews that fill the index up to some 300,000 texts."""
    plants: int = 3_000
    """Benchmark sentences that are edited in every way, for each half."""
    runs: int = 3
    """Times that the speed is measured; the page gives the median."""
    breaks: int = 500
    """Benchmark sentences that are cut in every way, for copies across sentences."""
    reviews: bool = True
    """Whether the reviews are prepared too, which takes most of the time."""
    work: Path | None = None
    """Folder to keep the work in: a command that was stopped goes on with the reviews where it was. None: a temporary one."""


def main() -> None:
    """The command."""
    run_command(lambda: run(tyro.cli(Options)))


def run(options: Options) -> None:
    """Measures everything in a temporary folder and writes the page."""
    if min(options.filler, options.plants, options.breaks, options.runs) < 1:
        raise InputError("--filler, --plants, --breaks and --runs must be at least 1")
    found, recipe = corpora(options.data), Decontamination()
    with contextlib.ExitStack() as stack:
        work = options.work or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder = work / "index"
        index = index_of(found, options.filler, folder)
        documents = clean_documents(found)
        chooses, measured = halves(index, documents, options.plants)
        chosen, tried = Trial(index, chooses).choose(recipe)
        print(f"chosen: {chosen}", file=sys.stderr, flush=True)
        plants = Trial(index, measured).measure(recipe, recipe.threshold, recipe.embedded_threshold)
        speed = sentences_per_second(recipe, folder, documents, options.runs)
        memory = memory_of_workers(recipe, folder, documents[:MEMORY_DOCUMENTS])
        breaks = recall_of_breaks(recipe, index, documents, options.breaks, seed=300)
        across = across_page(breaks, clean_losses(recipe, index, documents))
        body = plants_page(index, recipe, chosen, tried, plants) + across + speed_page(index, speed, memory)
        if options.reviews:
            body += natural_page(prepare_reviews(found, work / "reviews"))
    write_page("decontamination", "Decontamination: what it finds, and what it costs", ("kss", "numba", "numpy"), body)


def plants_page(
    index: Bm25Index, recipe: Decontamination, chosen: Measured, tried: Sequence[Measured], plants: Measured
) -> str:
    """Recall by kind of edit, clean text that goes, and how the thresholds were chosen."""
    ours = next(each for each in tried if _thresholds(each) == (recipe.threshold, recipe.embedded_threshold))
    recalls = [(kind, f"{ours.recall[kind]:.3f}", f"{recall:.3f}") for kind, recall in plants.recall.items()]
    clean = [
        (name, f"{of_ours:,}", f"{of_plants:,}", f"{of_plants / plants.sentences:.3%}")
        for name, of_ours, of_plants in (
            ("clean sentences", ours.sentences, plants.sentences),
            ("above a threshold", ours.flagged, plants.flagged),
            ("of these stay as formulae", ours.formulae, plants.formulae),
            ("of these go", ours.flagged - ours.formulae, plants.flagged - plants.formulae),
            ("and hold the benchmark text verbatim, or stand in it", ours.verbatim, plants.verbatim),
        )
    ]
    grid = [
        (f"{each.threshold} / {each.embedded_threshold}", f"{min(each.recall.values()):.3f}", f"{each.clean_share:.3%}")
        for each in tried
    ]
    return f"""
## Planted copies

An index of {len(index):,} texts: {len(index) - index.benchmarks[FILLER]:,} of all benchmark files, the rest reviews, such as
NSMC has. Benchmark sentences (by the hash of their letters) and petitions (every other one) are halved: one half chooses the
thresholds, the other, with a seed of its own, is measured. A plant is an edited benchmark sentence that has {SHORT} letters and
digits or more left; it is found when a threshold is reached, by whatever benchmark text.

{table(("edit", "found, choosing half", "found, measured half"), recalls)}

Petitions cannot hold the benchmarks but by quoting the same source or by chance, so all that goes of them counts as an error;
the last line says how much of it is in truth the benchmark's text, letter by letter.

{table(("petitions", "choosing half", "measured half", "share"), clean)}

The thresholds are those under which the kind of edit that is found worst is found best, while at most {MOST_CLEAN:.1%} of the clean
sentences of the choosing half go: {chosen.threshold} (symmetric) and {chosen.embedded_threshold} (embedded); the defaults are
{recipe.threshold} and {recipe.embedded_threshold}. All that were tried:

{table(("symmetric / embedded", "least recall", "clean sentences that go"), grid)}
"""


def across_page(breaks: Sequence[Recall], clean: CleanDocuments) -> str:
    """Copies that a break cuts, and what the search for them takes of clean documents."""
    rows = [
        (each.kind, f"{each.plants:,}", f"{each.gone_without / each.plants:.3f}", f"{each.gone / each.plants:.3f}")
        for each in breaks
    ]
    losses = [(sentence[:60].replace("|", "/"), match[:90].replace("|", "/")) for sentence, match in clean.losses[:20]]
    return f"""
## Copies that a break cuts

Benchmark sentences of {EDITED_LETTERS} letters or more between two sentences of petitions, cut by a line break anywhere, by "다." and a line break in their
middle half, or into lines of {WRAPPED_AT} characters. Wholly gone is a copy of which no sentence with a letter of it is left.

{table(("break", "plants", "wholly gone, in sentences alone", "wholly gone, across sentences"), rows)}

Of {clean.documents:,} petitions {clean.flagged:,} lose a sentence to the search across sentences that the search in sentences leaves; the search
reads {clean.megabytes_per_second:.1f} MB/s on one core (CPU time). What goes (the first 20):

{table(("sentence", "match"), losses)}
"""


def _thresholds(measured: Measured) -> tuple[float, float]:
    return measured.threshold, measured.embedded_threshold


def speed_page(index: Bm25Index, speed: float, memory: Sequence[Memory]) -> str:
    """Sentences a second and megabytes a worker."""
    files = sum(path.stat().st_size for path in index.folder.iterdir()) / 1e6
    rows = [
        (f"worker {number}", f"{each.resident:.0f}", f"{each.proportional:.0f}", f"{each.own:.0f}")
        for number, each in enumerate(memory, start=1)
    ]
    return f"""
## Speed and memory

All petitions against the {len(index):,} texts: **{speed:,.0f} sentences/s** on one core (CPU time), from strings to matches, cutting
into n-grams included. {WORKERS} workers after {MEMORY_DOCUMENTS} petitions each at the same time, in MB; the index's files have {files:.0f} MB, are mapped
and shared:

{table(("", "resident (RSS)", "proportional (PSS)", "own (USS)"), rows)}
"""


def natural_page(result: Result) -> str:
    """What is left of KLUE in the reviews that it was made from."""
    rows = [
        (
            f"{name}, {'below' if short else 'from'} {SHORT} letters and digits",
            f"{len(natural.standing):,}",
            f"{len(natural.formulae):,}",
            f"{len(natural.left):,}",
            f"{natural.gone:.3f}",
        )
        for (name, short), natural in result.natural.items()
    ]
    counts = result.report["sentences"]
    removed = sum(number for of_source in counts["matched"].values() for number in of_source.values())
    certified = []
    for name in BENCHMARKS:
        standing = frozenset().union(*(natural.standing for (own, _), natural in result.natural.items() if own == name))
        texts = sum(each["texts"] for full, each in result.certificate.items() if full.startswith(name))
        listed = result.certified[name]
        certified.append((name, f"{texts:,}", f"{len(listed):,}", f"{len(standing):,}", f"{len(standing & listed):,}"))
    held: list[tuple[int, str]] = [
        (found["documents"], text.replace("|", "\\|"))
        for texts in result.report["formulae"]["formulae"].values()
        for text, found in texts.items()
    ]
    formulae = [(text, f"{documents:,}") for documents, text in sorted(held, reverse=True)]
    return f"""
## Benchmark sentences in the text that they come from

{result.report["documents"]["records"]:,} movie reviews (`reviews_train`), from which KLUE took sentences, prepared against {" and ".join(BENCHMARKS)}
with every filter off but exact duplicates. A benchmark sentence stands in the reviews, or is left after, if its letters and digits
are those of a part of a review ({SHORT} or more) or of a whole one (fewer); compared without the index. Gone is what is neither left
nor a formula.

{table(("sentences", "stand in the reviews", "formulae", "left", "gone"), rows)}

{removed:,} of {counts["sentences_in"]:,} sentences were removed; {counts.get("documents_with_holes", 0):,} reviews live on with holes.
Formulae, which more than {Decontamination().formula_share:.1%} of the reviews hold and which stay:

{table(("formula", "reviews"), formulae)}

`contaminated` on the same files, where nothing is filtered and of equal texts that of the first benchmark counts:

{table(("benchmark", "texts", "found", "stand in the reviews", "of these found"), certified)}
"""


if __name__ == "__main__":
    main()
