"""Stage 3: where the sentences of the documents start; found once, for every stage that reads them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_pipeline.contract.recipe_file import plain_fields
from data_pipeline.contract.storage import write_array
from data_pipeline.corpus.corpus_files import read_documents
from data_pipeline.corpus.document import Document
from data_pipeline.corpus.stages.duplicates import repeated_documents
from data_pipeline.corpus.steps.split_sentences import cut_at, start_finder
from data_pipeline.recipe import SentenceSplit
from data_pipeline.tasks.shard_task import Done, Output, Place, ShardTask

NUMBERS = "numbers.npy"
"""int32 [documents of a part]: sentences of each, 0 for one that is lost as a duplicate."""
STARTS = "starts.npy"
"""int32 [sentences]: where in its document's stripped text each starts."""


def split_tasks(
    place: Place, recipe: SentenceSplit, parts: Mapping[str, Output], survivors: Sequence[Done]
) -> list[ShardTask]:
    """A task for each part."""
    parameters = {"sentences": plain_fields(recipe)}
    tasks = []
    for name, part in parts.items():
        inputs = {"part": (part,), "repeated": tuple(each.outputs[f"{name}.npy"] for each in survivors)}
        tasks.append(place.task("split", name, find_sentences, inputs, parameters))
    return tasks


def find_sentences(task: ShardTask, folder: Path) -> dict[str, Any]:
    """Writes NUMBERS and STARTS for one part."""
    starts_of = start_finder(SentenceSplit(**task.parameters["sentences"]))
    repeated = {number for file in task.inputs["repeated"] for number in repeated_documents(file.path)}
    [part] = task.inputs["part"]
    numbers: list[int] = []
    starts: list[int] = []
    text_bytes = 0
    for position, document in enumerate(read_documents(part.path)):
        found = [] if position in repeated else starts_of(document)
        numbers.append(len(found))
        starts += found
        text_bytes += len(document.text.encode()) if found else 0
    write_array(folder / NUMBERS, np.array(numbers, np.int32))
    write_array(folder / STARTS, np.array(starts, np.int32))
    return {"documents": len(numbers) - len(repeated), "sentences": len(starts), "text_bytes": text_bytes}


def split_documents(task: ShardTask) -> Iterator[Document]:
    """Every document of a task's `part` in order, with the sentences that its `split` says; without any where that found none."""
    [part] = task.inputs["part"]
    files = {Path(file.path).name: file.path for file in task.inputs["split"]}
    starts = np.load(files[STARTS]).tolist()
    end = 0
    for document, number in zip(read_documents(part.path), np.load(files[NUMBERS]).tolist(), strict=True):
        start, end = end, end + number
        yield cut_at(document, starts[start:end])
