"""contaminated: which benchmark texts stand in a corpus. No filter, no vocabulary, nothing is trained."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from rich.console import Console
from rich.table import Table

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_fields import check_limits, flag
from data_pipeline.contract.recipe_file import plain, plain_fields
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import write_json
from data_pipeline.corpus.corpus_files import MATCHES, FoundMatch, read_matches
from data_pipeline.corpus.steps.pseudonyms.masked import masked
from data_pipeline.prepare.flow import Stages
from data_pipeline.prepare.formulae import formulae_table
from data_pipeline.prepare.losses import tell
from data_pipeline.recipe import DataRecipe, Decontamination, NearDuplicates, Source
from data_pipeline.recipe_checks import check
from data_pipeline.tasks.engines.local import LocalEngine
from data_pipeline.tasks.engines.runner import mending
from data_pipeline.tasks.shard_task import Done

CERTIFICATE = "contamination.json"


def certify(
    folder: RunFolder, sources: Sequence[Source], settings: Decontamination, workers: int, examples: int
) -> None:
    """Compares every sentence of a corpus with every benchmark text, prints what was found and writes `contamination.json`.

    - `folder`: where the work is kept; run again after a stop, it goes on where it was.
    - `settings`: benchmarks, terms and thresholds, as `prepare` takes them.
    - `examples`: matches to print for each benchmark; the file holds all.

    Raises InputError for a source or benchmark that is wrong, WorkError where the machine fails.
    """
    if not settings.benchmarks:
        raise InputError("--benchmark PATH is missing; name the benchmark files or folders to look for")
    check_limits(settings, partial(flag, "decontamination"))
    recipe = DataRecipe(
        sources=tuple(sources),
        drop_duplicates=False,  # of equal documents each is counted
        near_duplicates=NearDuplicates(enabled=False),
        decontamination=settings,
    )
    check(recipe)

    def work() -> dict[str, Any]:
        stages = Stages(folder, recipe, LocalEngine(workers))
        index = stages.benchmark_index()
        matches = stages.matches(stages.split(stages.documents(), []), index)
        stages.formulae(matches)
        tell(stages.losses)
        return _certificate(stages, recipe, matches)

    with folder.locked():
        certificate = mending(work)
        write_json(folder.path / CERTIFICATE, certificate)
    _print(certificate, examples)
    print(f"\n{folder.path / CERTIFICATE} holds every match")


def _matches(done: Sequence[Done]) -> Iterator[FoundMatch]:
    for task in done:
        yield from read_matches(task.outputs[MATCHES].path)


def _certificate(stages: Stages, recipe: DataRecipe, done: Sequence[Done]) -> dict[str, Any]:
    """JSON-ready: what was compared, how, and what was found, by benchmark; formulae, which prepare would leave, included."""
    counts = stages.report["matches"]
    sentences: Counter[str] = Counter()
    found: dict[str, set[str]] = defaultdict(set)
    listed = []
    for each in _matches(done):
        benchmark = each.match.benchmark
        sentences[benchmark] += 1
        found[benchmark].add(f"{each.match.location}\0{each.match.text}")
        listed.append(
            {"id": each.id, "source": each.source, "sentence": each.sentence, "match": plain_fields(each.match)}
        )
    return {
        "settings": plain(recipe.decontamination),
        "inputs": [plain_fields(file) for file in stages.inputs],
        "corpus": {"documents": counts["documents"], "sentences": counts["sentences"]},
        "benchmarks": {
            name: {"texts": texts, "texts_found": len(found[name]), "sentences": sentences[name]}
            for name, texts in stages.report["benchmarks"]["texts"].items()
        },
        "formulae": stages.report["formulae"]["formulae"],
        "matches": listed,
    }


def _print(certificate: dict[str, Any], examples: int) -> None:
    console = Console(highlight=False, soft_wrap=True)
    corpus, settings = certificate["corpus"], certificate["settings"]
    console.print(
        f"{corpus['sentences']:,} sentences of {corpus['documents']:,} documents compared; a sentence counts from "
        f"symmetric BM25 {settings['threshold']} or embedded {settings['embedded_threshold']} on"
    )
    table = Table()
    for column in ("benchmark", "texts", "found in the corpus", "share", "by sentences"):
        table.add_column(column, justify="left" if column == "benchmark" else "right")
    for name, counts in certificate["benchmarks"].items():
        share = counts["texts_found"] / max(1, counts["texts"])
        cells = (f"{counts['texts']:,}", f"{counts['texts_found']:,}", f"{share:.2%}", f"{counts['sentences']:,}")
        table.add_row(name, *cells)
    console.print(table)
    if certificate["formulae"]:
        console.print(formulae_table(certificate["formulae"]))
    by_benchmark: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for each in certificate["matches"]:
        by_benchmark[each["match"]["benchmark"]].append(each)
    for name, matches in by_benchmark.items() if examples else ():
        console.print(f"\n{name}")
        for each in matches[:examples]:
            match = each["match"]
            console.print(f"  - {each['id']}: {masked(each['sentence'])}", markup=False)
            console.print(f"    {match['score']:.2f} {match['location']}: {match['text']}", markup=False)
