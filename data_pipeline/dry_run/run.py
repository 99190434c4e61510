"""prepare --dry-run: every step on a sample, in a folder that is thrown away, and what the whole would come to."""

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.file_names import tidy_name
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.dry_run import console
from data_pipeline.dry_run.projection import project
from data_pipeline.dry_run.sample import Sample, draw
from data_pipeline.dry_run.shown import examples
from data_pipeline.prepare.flow import Stages
from data_pipeline.recipe import DataRecipe, Source
from data_pipeline.recipe_checks import check
from data_pipeline.tasks.engines.local import LocalEngine

EXAMPLES = 2


def dry_run(recipe: DataRecipe, number: int, workers: int) -> None:
    """Prepares about `number` documents of all sources in a temporary folder and prints what became of them.

    Raises InputError for what is wrong with the recipe or its files, WorkError where the machine fails.
    """
    if number < 1:
        raise InputError(f"--dry-run {number}: must be at least 1 document")
    check(recipe)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # as in prepare
    os.environ["RAYON_NUM_THREADS"] = "1"
    sources = [replace(source, name=source.name or source.format) for source in recipe.sources]
    samples = draw(sources, number)
    documents = [document for sample in samples for document in sample.documents]
    if not documents:
        raise InputError(f"no document in {', '.join(source.glob for source in sources)}; give files with text in them")
    console.print_sample(samples)
    with TemporaryDirectory(prefix="dry-run-") as temporary:
        places = _write(samples, Path(temporary), workers)
        sampled = _of_sample(recipe, samples, Path(temporary))
        run = Stages(RunFolder(Path(temporary) / "run"), sampled, LocalEngine(workers))
        index = run.benchmark_index()
        cleaned = run.documents()
        sentences = run.sentences(cleaned, run.survivors(cleaned), index)
        not_trained = ""
        try:
            run.records(sentences, run.vocabulary(sentences))
        except InputError as error:  # the whole corpus may well be enough for what the sample is too small for
            not_trained = str(error)
        shown = examples(recipe, documents, run.report, EXAMPLES)
        shown = [replace(each, id=places.get(each.id, each.id)) for each in shown]
        console.print_examples(shown, run.report)
        console.print_projection(samples, run.report, project(samples, run, workers), workers)
    if not_trained:
        print(f"not projected: vocabulary and records, for the sample does not give them ({not_trained})")


def _write(samples: Sequence[Sample], folder: Path, workers: int) -> dict[str, str]:
    """Writes each source's sample as one JSON Lines file for each worker; place there -> place in the source."""
    places = {}
    for number, sample in enumerate(samples):
        for worker in range(workers):
            chunk = [len(sample.documents) * edge // workers for edge in (worker, worker + 1)]
            path = folder / f"{number:03d}-{worker:03d}.jsonl"
            with open(path, "w", encoding="ascii") as file:
                for line, document in enumerate(sample.documents[slice(*chunk)], 1):
                    summary = {} if document.summary is None else {"title": document.summary}
                    record = {**summary, "text": document.text, "category": document.category}
                    file.write(json.dumps(record) + "\n")
                    places[f"{path.name}:{line}"] = document.id
    return places


def _of_sample(recipe: DataRecipe, samples: Sequence[Sample], folder: Path) -> DataRecipe:
    """The recipe with the sample in the place of its sources."""

    def sampled(number: int, source: Source) -> Source:
        glob = str(folder / f"{number:03d}-*.jsonl")
        with_summaries = any(document.summary is not None for document in samples[number].documents)
        read_as = "news" if with_summaries else "jsonl"
        return replace(source, format=read_as, glob=glob, text_field="text", category="", category_field="category")

    found = {document.category for sample in samples for document in sample.documents}
    categories = tuple(category for category in recipe.categories if tidy_name(category) in found)
    if recipe.categories and not categories:
        raise InputError(f"--data.categories: no document of the sample has one of them (found: {sorted(found)[:20]})")
    sources = tuple(sampled(number, sample.source) for number, sample in enumerate(samples))
    return replace(recipe, sources=sources, categories=categories)
