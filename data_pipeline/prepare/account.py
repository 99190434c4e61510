"""The data side's own account of a prepared run, for its manifest: what was read, what each step did, what the vocabulary is.

The model card prints these sentences; nobody else tells what the data side did.
"""

from collections import Counter
from typing import Any

from data_pipeline.contract.recipe_file import differences, plain
from data_pipeline.corpus.sources.encodings import UTF8
from data_pipeline.pipeline import ROWS, Row
from data_pipeline.recipe import DataRecipe, Source, Vocabulary
from data_pipeline.source_formats import FORMATS

TOLD = (
    "sources", "categories", "evaluation_fraction", "examples.length", "word_unit", "part_megabytes", "max_bad_records",
    "repair.", "clean.", "drop_duplicates", "near_duplicates.enabled", "near_duplicates.threshold", "near_duplicates.ngram", "sentences.splitter",
    "holes.", "korean.", "long_words.", "length.", "decontamination.benchmarks", "decontamination.ngram", "decontamination.threshold", "decontamination.on_contaminated",
    "pseudonyms.", "vocabulary.size", "vocabulary.lowercase", "vocabulary.scheme", "vocabulary.model", "vocabulary.unused",
    "vocabulary.given",
)  # fmt: skip
"""Fields, or how they begin up to a dot, that sentences of their own tell, the card by the files of records and tokenizer, or that shape nothing."""


def account(recipe: DataRecipe, report: dict[str, Any]) -> dict[str, Any]:
    """JSON-ready: `sources` and `steps`, a sentence each, and `vocabulary`, how it was made.

    - `report`: counts by stage.
    """
    return {
        "sources": [_source(source, recipe, report) for source in recipe.sources],
        "steps": [*_categories(recipe, report), *(_step(row, recipe, report) for row in ROWS), *_settings(recipe)],
        "vocabulary": _vocabulary(recipe.vocabulary, report["vocabulary"]),
    }


def _source(source: Source, recipe: DataRecipe, report: dict[str, Any]) -> str:
    name = source.name or source.format
    read, kept = (_total(report[stage]["categories"].get(name, {})) for stage in ("documents", "sentences"))
    fraction = recipe.evaluation_fraction if source.evaluation_fraction is None else source.evaluation_fraction
    use = f"{fraction:.3g} of it held out for evaluation" if fraction else "nothing of it held out"
    if fraction == 1:
        use = "for evaluation only: nothing of it was trained on"
    if (form := FORMATS.get(source.format)) and form.prepared:
        use = "read back from an export, whose sentences and held out documents it keeps; of the steps below only the search for benchmarks and duplicates"
    if source.encoding != UTF8:
        use += f"; decoded from {source.encoding}"
    if source.vocabulary_weight is not None:
        use += f"; weight {source.vocabulary_weight:g} for the vocabulary"
    return (
        f"{name}: {read['records']:,} records read, {kept['documents']:,} documents and {kept['sentences']:,} sentences "
        f"({kept['text_bytes'] / 1e6:,.1f} MB) kept; {use}"
    )


def _settings(recipe: DataRecipe) -> list[str]:
    """What a recipe sets otherwise than its classes do, and that neither a step, a source nor the vocabulary tells in words of its own."""
    default = DataRecipe(sources=(), examples=type(recipe.examples)())
    changes = (change.partition(": ") for change in differences(plain(default), plain(recipe)))
    told = [f"{field} {change.rpartition(' -> ')[2]}" for field, _, change in changes if not _told(field)]
    return [f"other settings than the defaults: {', '.join(told)}"] if told else []


def _told(field: str) -> bool:
    return field in TOLD or field.startswith(tuple(name for name in TOLD if name.endswith(".")))


def _total(categories: dict[str, dict[str, int]]) -> Counter[str]:
    return sum(map(Counter, categories.values()), Counter())


def _categories(recipe: DataRecipe, report: dict[str, Any]) -> list[str]:
    if not recipe.categories:
        return []
    figures = _figures(("documents: other category",), report)
    return [f"only documents of the categories {', '.join(recipe.categories)} used{figures}"]


def _step(row: Row, recipe: DataRecipe, report: dict[str, Any]) -> str:
    said = row.says(recipe)
    if not row.on(recipe):
        return said
    if row.counts:
        found: Counter[str] = sum(map(Counter, report["sentences"][row.counts].values()), Counter())
        numbers = ", ".join(f"{kind.replace('_', ' ')} ({number:,})" for kind, number in sorted(found.items()))
        return f"{said}. {row.counts.capitalize()}: {numbers or 'nothing'}"
    return said + _figures(row.reasons, report)


def _figures(headings: tuple[str, ...], report: dict[str, Any]) -> str:
    """How many documents and sentences went for these reasons."""
    lost: Counter[str] = Counter()
    for heading in headings:
        kind, _, reason = heading.partition(": ")
        for stage in ("documents", "sentences"):
            for reasons in report[stage]["dropped"].get(kind, {}).values():
                lost[kind] += reasons.get(reason, 0)
    told = [f"{number:,} {kind if number > 1 else kind[:-1]}" for kind, number in sorted(lost.items()) if number]
    # Documents end with their sentences, which are counted under the same reason.
    return f" ({'; '.join(told)}{', theirs among them' if len(told) > 1 else ''})" if told else ""


def _vocabulary(recipe: Vocabulary, counts: dict[str, Any]) -> str:
    if recipe.given:
        return f"given ({recipe.given.rstrip('/').split('/')[-1]})"
    learnt = "SentencePiece" if recipe.model == "unigram" else "BPE"
    of = "eojeols" if recipe.scheme == "plain" else f"Mecab-ko morphemes (scheme {recipe.scheme})"
    now = counts.get("corpus_morphemes", counts["morphemes"])
    kept = "" if now == counts["morphemes"] else f"; made before text was added, which has {now:,}"
    unused = f"{recipe.unused:,} of them [unusedN], " if recipe.unused else ""
    return f"{unused}learnt by {learnt} from {counts['morphemes']:,} {of}{kept}"
