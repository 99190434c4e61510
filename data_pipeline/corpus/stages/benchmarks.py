"""Benchmark text in the corpus: the index of what must not be trained on, the sentences that match it, and the formulae among them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from data_pipeline.contract.benchmark_files import BenchmarkText, read_benchmark
from data_pipeline.contract.recipe_file import plain_fields
from data_pipeline.contract.storage import InputFile, write_json
from data_pipeline.corpus.corpus_files import MATCHES, PartWriter, read_matches
from data_pipeline.corpus.document import Match
from data_pipeline.corpus.stages.split import split_documents
from data_pipeline.corpus.steps.benchmark_matches import across_matcher, matcher
from data_pipeline.corpus.steps.bm25 import Bm25Index, letters_of
from data_pipeline.corpus.steps.bm25_build import build_index
from data_pipeline.corpus.steps.decontamination import FORMULA_LETTERS, formula_documents
from data_pipeline.corpus.steps.removal import sentences_of
from data_pipeline.recipe import Decontamination, SentenceSplit
from data_pipeline.tasks.shard_task import Done, Place, ShardTask, outputs_of

FORMULAE = "formulae.json"
WHOLE_LETTERS = 6
"""A benchmark text of fewer letters and digits (아!, 끝., 재밌다), if `strict_short`, contaminates only documents that are nothing else."""
DOCUMENTS_PER_BATCH = 128
"""Documents whose sentences are compared in one call."""


def index_task(
    place: Place, recipe: Decontamination, splitter: SentenceSplit, files: tuple[InputFile, ...]
) -> ShardTask:
    """One task for all benchmark files, which are split as the corpus is."""
    parameters = {name: plain_fields(recipe)[name] for name in ("ngram", "min_chars", "strict_short")}
    parameters["sentences"] = plain_fields(splitter)
    return place.task("benchmarks", "index", index_benchmarks, {"files": files}, parameters)


def match_tasks(place: Place, recipe: Decontamination, split: Sequence[Done], index: Sequence[Done]) -> list[ShardTask]:
    """A task for each part that was split."""
    names = ("ngram", "min_chars", "threshold", "embedded_threshold", "across_sentences", "strict_short")
    compared = {name: plain_fields(recipe)[name] for name in names}
    tasks = []
    for done in split:
        inputs = {"part": done.task.inputs["part"], "split": outputs_of([done]), "index": outputs_of(index)}
        tasks.append(place.task("matches", done.task.name, find_matches, inputs, {"decontamination": compared}))
    return tasks


def formulae_task(place: Place, recipe: Decontamination, matches: Sequence[Done], documents: int) -> ShardTask:
    """One task, for it is asked of the whole corpus of so many documents."""
    parameters = {"share": recipe.formula_share, "documents": documents}
    return place.task("formulae", "all", find_formulae, {"matches": outputs_of(matches, MATCHES)}, parameters)


def index_benchmarks(task: ShardTask, folder: Path) -> dict[str, Any]:
    """Builds the BM25 index of all benchmark files; its files are the outputs."""
    text_bytes = 0

    def counted() -> Iterator[BenchmarkText]:
        nonlocal text_bytes
        for file in task.inputs["files"]:
            for text in read_benchmark(file.path):
                text_bytes += len(text.text.encode(errors="surrogatepass"))
                yield text

    splitter = SentenceSplit(**task.parameters["sentences"])
    names = ("ngram", "min_chars", "strict_short")
    build_index(counted(), folder=folder, splitter=splitter, **{name: task.parameters[name] for name in names})
    return {"texts": Bm25Index.open(folder).benchmarks, "text_bytes": text_bytes}


def find_matches(task: ShardTask, folder: Path) -> dict[str, Any]:
    """Writes `matches.zst`: every sentence of a part's surviving documents that stands in a benchmark, beside what it matches."""
    index = Bm25Index.open(Path(task.inputs["index"][0].path).parent)
    recipe = Decontamination(**task.parameters["decontamination"])
    matches_of, across_of = matcher(recipe, index), across_matcher(recipe, index)
    documents = (document for document in split_documents(task) if document.sentences)
    counts: Counter[str] = Counter()
    with PartWriter(folder / MATCHES) as writer:
        while batch := list(islice(documents, DOCUMENTS_PER_BATCH)):
            texts = [[sentence.text for sentence in sentences_of(document)] for document in batch]
            sentences = [sentence for document in texts for sentence in document]
            matches = matches_of(sentences)
            across: list[dict[int, Match]] = across_of(texts) if recipe.across_sentences else [{} for _ in texts]
            counts.update(
                documents=len(batch),
                sentences=len(sentences),
                text_bytes=sum(len(document.text.encode()) for document in batch),
            )
            for document, own, here in zip(batch, texts, across, strict=True):
                whole = letters_of("".join(own)) if recipe.strict_short and any(map(matches.get, own)) else ""
                for number, sentence in enumerate(own):
                    match = matches.get(sentence)
                    tiny = recipe.strict_short and match and len(letters_of(match.text)) < WHOLE_LETTERS
                    if match and tiny and letters_of(match.text) == whole:
                        writer.write_match(document, sentence, match, here=True)
                    elif match and not tiny:
                        writer.write_match(document, sentence, match, here=False)
                    elif match := here.get(number):
                        writer.write_match(document, sentence, match, here=True)
                    else:
                        continue
                    counts["matches"] += 1
    return dict(counts)


def find_formulae(task: ShardTask, folder: Path) -> dict[str, Any]:
    """Writes `formulae.json`: the benchmark texts that so many documents hold that they are anybody's, such as 감사합니다."""
    documents: Counter[str] = Counter()
    sentences: Counter[str] = Counter()
    benchmarks: dict[str, str] = {}
    for part in task.inputs["matches"]:
        # A part's matches stand document by document.
        for _, found in groupby(read_matches(part.path), key=lambda each: (each.source, each.id)):
            of_document = Counter((each.match.text, each.match.benchmark) for each in found)
            for (text, benchmark), number in of_document.items():
                benchmarks[text] = benchmark
                documents[text] += 1
                sentences[text] += number
    most = formula_documents(task.parameters["share"], task.parameters["documents"])
    formulae: dict[str, dict[str, dict[str, int]]] = {}
    for text, number in documents.items():
        if number > most and len(letters_of(text)) <= FORMULA_LETTERS:
            formulae.setdefault(benchmarks[text], {})[text] = {"documents": number, "sentences": sentences[text]}
    write_json(folder / FORMULAE, sorted(text for texts in formulae.values() for text in texts))
    return {"matches": sentences.total(), "formulae": formulae}
