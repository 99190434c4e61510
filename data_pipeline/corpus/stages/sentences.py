"""Stage 4: documents without duplicates become filtered, decontaminated, pseudonymised sentences."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, cast

from data_pipeline import pipeline
from data_pipeline.contract.named_functions import module_of, named_function
from data_pipeline.contract.recipe_file import plain_fields
from data_pipeline.contract.storage import read_json
from data_pipeline.corpus.corpus_files import MATCHES, PartWriter, Split, SplitDocument, read_matches
from data_pipeline.corpus.document import Document, Dropped, Match, Metadata, Step
from data_pipeline.corpus.dropped_files import DroppedWriter
from data_pipeline.corpus.histograms import TextHistograms
from data_pipeline.corpus.stages.documents import document_key
from data_pipeline.corpus.stages.duplicates import repeated_documents
from data_pipeline.corpus.stages.split import split_documents
from data_pipeline.corpus.steps.decontamination import Contaminated
from data_pipeline.corpus.steps.split_sentences import NO_SENTENCE
from data_pipeline.corpus.tally import Tally
from data_pipeline.pipeline import ROWS
from data_pipeline.recipe import DataRecipe, Source
from data_pipeline.source_formats import FORMATS
from data_pipeline.tasks.shard_task import Done, Place, ShardTask, outputs_of

PART = "part.zst"
DOCUMENTS_PER_BATCH = 128
"""Documents that go through a step before the next begins: a step's code and tables stay in the processor's caches."""


STEPS = "data_pipeline.corpus.steps"


def sentence_tasks(
    place: Place,
    recipe: DataRecipe,
    split: Sequence[Done],
    sources: Sequence[Source],
    matches: Sequence[Done],
    formulae: Sequence[Done],
    keep_dropped: bool = False,
) -> list[ShardTask]:
    """A task for each part that was split; `sources`: that of each. `keep_dropped`: whether what is dropped is written, too."""
    matches_of = {done.task.name: done for done in matches}
    tasks = []
    for done, source in zip(split, sources, strict=True):
        name = done.task.name
        inputs = {
            **done.task.inputs,
            "split": outputs_of([done]),
            "matches": outputs_of([matches_of[name]], MATCHES) if matches else (),
            "formulae": outputs_of(formulae),
        }
        parameters = sentence_parameters(recipe, source) | ({"keep_dropped": True} if keep_dropped else {})
        code = tuple(module_of(step["step"], STEPS) for step in parameters["steps"])
        tasks.append(place.task("sentences", name, make_sentences, inputs, parameters, code=code))
    return tasks


def sentence_parameters(recipe: DataRecipe, source: Source) -> dict[str, Any]:
    """What a recipe says of this stage, for the documents of one source. Of an export only benchmarks are looked for: it was cut and
    filtered by the run that wrote it, and pseudonyms would be replaced by others."""
    steps = []
    for row in ROWS:
        if row.step and row.on(recipe) and (row.field == "decontamination" or not FORMATS[source.format].prepared):
            settings = row.of_source(recipe, source)
            fields = plain_fields(settings)
            read = {name: fields[name] for name in row.depends_on or fields}
            steps.append({"step": row.step, "settings": type(settings).__name__, "fields": read, "takes": row.takes})
    fraction = source.evaluation_fraction
    return {
        "steps": steps,
        "seed": recipe.seed if any("seed" in step["takes"] for step in steps) else None,
        "evaluation_fraction": recipe.evaluation_fraction if fraction is None else fraction,
    }


def make_sentences(task: ShardTask, folder: Path) -> dict[str, Any]:
    """Writes `part.zst`, the surviving documents of one part as sentences, each for training or held out; where it is asked for,
    DROPPED."""
    tally, histograms = Tally(), TextHistograms()
    repeated = {
        place: reason for file in task.inputs["repeated"] for place, reason in repeated_documents(file.path).items()
    }
    steps = steps_of(task)
    fraction = task.parameters["evaluation_fraction"]
    with (
        PartWriter(folder / PART) as writer,
        DroppedWriter(folder, task.parameters.get("keep_dropped", False)) as lost,
    ):
        for document, before, result in _results(split_documents(task), repeated, steps, tally, histograms):
            if isinstance(result, Dropped):
                tally.drop_document(result)
                lost.document(result)
                continue
            tally.remove_sentences(result)
            lost.sentences(result)
            tally.add("documents_with_holes", any(removed.match for removed in result.removed))
            if not isinstance(before, Dropped):
                tally.count_replaced(before, result)
            sentences = result.sentences or ()
            given = document.given
            split: Split = cast(Split, given.split) if given else split_of(document.text, fraction)
            key = given.key if given else document_key(document.text).hex()
            metadata = _decontaminated(result)
            writer.write_sentences(
                SplitDocument(document.id, document.source, split, sentences, document.category, key, metadata)
            )
            tally.add("documents")
            tally.add(f"{split}_documents")
            tally.add("sentences", len(sentences))
            characters = sum(len(sentence.text) for sentence in sentences)
            tally.add("characters", characters)
            kept = {"documents": 1, "sentences": len(sentences), "characters": characters}
            kept["text_bytes"] = sum(len((sentence.text + sentence.blanks).encode()) for sentence in sentences)
            tally.count_category(document.source, document.category, **kept)
    return {**tally.counts(), "histograms": histograms.counts()}


def _decontaminated(document: Document) -> Metadata:
    """The metadata of a document, without a title that went from its text as benchmark text."""
    title = document.metadata.title
    matched = (removed.text for removed in document.removed if removed.match)
    return (
        document.metadata._replace(title="")
        if any(text in title or title in text for text in matched)
        else document.metadata
    )


def split_of(text: str, evaluation_fraction: float) -> Split:
    """Whether a document is held out: decided by its text alone, so that it stays so in every run and order."""
    share = int.from_bytes(document_key(text)[-8:]) / 2**64
    return "evaluation" if share < evaluation_fraction else "train"


def _results(
    documents: Iterable[Document],
    repeated: Mapping[int, str],
    steps: Sequence[Step],
    tally: Tally,
    histograms: TextHistograms,
) -> Iterator[tuple[Document, Document | Dropped, Document | Dropped]]:
    """Each document and what the steps make of it, in order; between them, how it was before the last step."""
    numbered = enumerate(documents)
    while batch := list(islice(numbered, DOCUMENTS_PER_BATCH)):
        tally.add("documents_in", len(batch))
        tally.add("text_bytes", sum(len(document.text.encode()) for _, document in batch))
        before = results = [
            document if document.sentences else Dropped(document, repeated.get(position, NO_SENTENCE))
            for position, document in batch
        ]
        for step in steps:
            before, results = results, [result if isinstance(result, Dropped) else step(result) for result in results]
        for (_, document), result in zip(batch, results, strict=True):
            if document.sentences:
                tally.add("sentences_in", len(document.sentences))
                histograms.add(document)
                histograms.lose(document, result)
        yield from zip((document for _, document in batch), before, results, strict=True)


def steps_of(task: ShardTask) -> list[Step]:
    """The steps that the split documents of a task go through, as its parameters name them."""
    given = {"seed": task.parameters["seed"], "matches": _contaminated(task)}
    steps = []
    for named in task.parameters["steps"]:
        settings = getattr(pipeline, named["settings"])(**named["fields"])
        make = named_function(named["step"], STEPS)
        steps.append(make(settings, **{name: given[name] for name in named["takes"]}))
    return steps


def _contaminated(task: ShardTask) -> Contaminated:
    """The sentences that match a benchmark text, formulae left out."""
    if not task.inputs["matches"]:
        return Contaminated({})
    [found], [formulae] = task.inputs["matches"], task.inputs["formulae"]
    exempt = frozenset(read_json(Path(formulae.path)))
    anywhere, here = dict[str, Match](), dict[tuple[str, str], Match]()
    for each in read_matches(found.path):
        if each.match.text in exempt:
            continue
        if each.here:
            here[each.id, each.sentence] = each.match
        else:
            anywhere[each.sentence] = each.match
    return Contaminated(anywhere, here)
