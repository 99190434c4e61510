"""Stage 4: documents without duplicates become filtered, decontaminated, pseudonymised sentences."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from data_pipeline.contract.storage import read_json
from data_pipeline.corpus.corpus_files import PartWriter, Split, SplitDocument, read_matches
from data_pipeline.corpus.document import Document, Dropped, Step
from data_pipeline.corpus.histograms import TextHistograms
from data_pipeline.corpus.stages.documents import document_key
from data_pipeline.corpus.stages.duplicates import repeated_documents
from data_pipeline.corpus.stages.split import split_documents
from data_pipeline.corpus.steps.decontamination import remove_matches
from data_pipeline.corpus.steps.korean_filter import korean_filter
from data_pipeline.corpus.steps.length_filter import length_filter
from data_pipeline.corpus.steps.pseudonyms.step import pseudonymiser
from data_pipeline.corpus.steps.split_sentences import NO_SENTENCE
from data_pipeline.corpus.tally import Tally
from data_pipeline.recipe import KoreanFilter, LengthFilter, Pseudonyms
from data_pipeline.tasks.shard_task import ShardTask

PART = "part.zst"
DOCUMENTS_PER_BATCH = 128
"""Documents that go through a step before the next begins: a step's code and tables stay in the processor's caches."""


def make_sentences(task: ShardTask, folder: Path) -> dict[str, Any]:
    """Writes `part.zst`, the surviving documents of one part as sentences, each for training or held out."""
    tally, histograms = Tally(), TextHistograms()
    repeated = {
        place: reason for file in task.inputs["repeated"] for place, reason in repeated_documents(file.path).items()
    }
    steps = steps_of(task)
    fraction = task.parameters["evaluation_fraction"]
    with PartWriter(folder / PART) as writer:
        for document, before, result in _results(split_documents(task), repeated, steps, tally, histograms):
            if isinstance(result, Dropped):
                tally.drop_document(result)
                continue
            tally.remove_sentences(result)
            tally.add("documents_with_holes", any(removed.match for removed in result.removed))
            if not isinstance(before, Dropped):
                tally.count_replaced(before, result)
            sentences = result.sentences or ()
            split = split_of(document.text, fraction)
            key = document_key(document.text).hex()
            writer.write_sentences(
                SplitDocument(document.id, document.source, split, sentences, document.category, key)
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
    """The steps that the split documents of a task go through."""
    parameters = task.parameters
    steps: list[Step] = [
        korean_filter(KoreanFilter(**parameters["korean"])),
        length_filter(LengthFilter(**parameters["length"])),
    ]
    if task.inputs["matches"]:
        [found], [formulae] = task.inputs["matches"], task.inputs["formulae"]
        exempt = frozenset(read_json(Path(formulae.path)))
        contaminated = {each.sentence: each.match for each in read_matches(found.path) if each.match.text not in exempt}
        steps.append(partial(remove_matches, matches=contaminated, unit=parameters["on_contaminated"]))
    if parameters["pseudonyms"]:
        # Last: what came before compares the text as people wrote it.
        steps.append(pseudonymiser(Pseudonyms(**parameters["pseudonyms"]["types"]), parameters["pseudonyms"]["seed"]))
    return steps
