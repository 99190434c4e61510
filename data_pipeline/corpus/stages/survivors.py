"""Stage 2c: which of the documents that repeat each other stays; one task, which writes for each part what it loses. And a few to look at."""

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from data_pipeline.contract.storage import write_array
from data_pipeline.corpus.corpus_files import read_documents
from data_pipeline.corpus.document import Document
from data_pipeline.corpus.stages.duplicates import REPEATED, duplicates_of_part
from data_pipeline.corpus.stages.signatures import WORTHS
from data_pipeline.corpus.steps.min_hash import shingles
from data_pipeline.corpus.tally import EXAMPLE_CHARS, EXAMPLES_PER_REASON
from data_pipeline.recipe import NearDuplicates
from data_pipeline.tasks.shard_task import Done, Output, Place, ShardTask, outputs_of


def survivors_task(
    place: Place,
    parts: Sequence[str],
    priorities: Sequence[int],
    documents: Sequence[Done],
    duplicates: Sequence[Done],
    signed: Sequence[Done],
    near: Sequence[Done],
    prepared: Sequence[bool] = (),
) -> ShardTask:
    """One task, for it is asked of the whole corpus; of its text it reads nothing.

    - `parts`: their names; `priorities`: of each the place of its source in the recipe; `prepared`: whether each is of an export, which
      loses no near duplicates: its run has dropped them.
    """
    inputs = {
        "keys": outputs_of(documents, ".keys.npy"),
        "duplicates": outputs_of(duplicates, ".npy"),
        "worths": outputs_of(signed, WORTHS),
        "pairs": outputs_of(near, ".npy"),
    }
    parameters = {
        "parts": list(parts),
        "priorities": list(priorities),
        **({"prepared": list(prepared)} if any(prepared) else {}),
    }
    return place.task("survivors", "all", choose_survivors, inputs, parameters)


def shown_task(place: Place, recipe: NearDuplicates, survivors: Done, parts: Mapping[str, Output]) -> ShardTask:
    """One task, which reads the parts that hold what is shown, and no others."""
    shown = list(survivors.counts["shown"].values())
    read = sorted({part for pair in shown for part in pair[::2]})
    files = list(parts.values())
    places = [[read.index(pair[0]), pair[1], read.index(pair[2]), pair[3]] for pair in shown]
    inputs = {"documents": tuple(files[part] for part in read)}
    return place.task("shown", "all", show_near_duplicates, inputs, {"places": places, "ngram": recipe.ngram})


def choose_survivors(task: ShardTask, folder: Path) -> dict[str, Any]:
    """Writes `NAME.npy` for each part: the documents that it loses, as exact (near=False) or as near duplicates.

    Of documents that are connected by pairs of near duplicates the one stays whose source comes first and, in that, which says
    most (`min_hash.worths`: the longest, unless it is so by repetition); of equals the one whose key (the hash of its text) is
    smallest. Neither the order of files nor where parts end changes who that is. Exact duplicates have one key, so that of them
    the first source's stays. Memory: some 200 bytes for each document in a pair.
    """
    names: list[str] = task.parameters["parts"]
    duplicates = [file.path for file in task.inputs["duplicates"]]
    pairs = np.concatenate([np.empty((0, 4), np.int64), *(np.load(file.path) for file in task.inputs["pairs"])])
    part, position, component = _connected(pairs)
    key = _keys(task.inputs["keys"], part, position)
    priority = np.array(task.parameters["priorities"], np.int64)[part]
    worth = _worths(task.inputs["worths"], part, position)
    order = np.lexsort((position, part, key, -worth, priority, component))
    survives = np.ones(len(order), bool)
    survives[1:] = np.diff(component[order]) > 0
    stays = np.array(task.parameters.get("prepared", [False] * len(names)), bool)
    kept, lost = order[survives], order[~survives & ~stays[part[order]]]
    lost_beside = kept[component[lost]]  # components are numbered from 0, and `kept` is in their order
    for number, name in enumerate(names):
        exact = sorted(duplicates_of_part(duplicates, number))
        near = position[lost[part[lost] == number]]
        table = np.empty(len(exact) + len(near), REPEATED)
        table["position"], table["near"] = (
            np.concatenate([exact, near]),
            np.repeat([False, True], [len(exact), len(near)]),
        )
        write_array(folder / f"{name}.npy", np.sort(table, order="position"))
    shown = np.argsort(key[lost])[:EXAMPLES_PER_REASON]
    pairs_shown = zip(lost[shown], lost_beside[shown], strict=True)
    places = [[int(at[node]) for node in pair for at in (part, position)] for pair in pairs_shown]
    sizes = np.bincount(component) if len(component) else np.zeros(1, np.int64)
    return {
        "near_duplicates": len(lost),
        "groups": len(kept),
        "largest_group": int(sizes.max()),
        # Part and position of a few near duplicates, and of what stays beside each.
        "shown": {str(number): place for number, place in enumerate(places)},
    }


def show_near_duplicates(task: ShardTask, folder: Path) -> dict[str, Any]:
    """Writes nothing; its counts are examples: near duplicates beside what stays."""
    places = [((one, at), (other, there)) for one, at, other, there in task.parameters["places"]]
    examples = _examples(task.inputs["documents"], places, task.parameters["ngram"])
    return {"examples": {"near duplicates, and what stays": examples}}


def _connected(
    pairs: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Part, position and number of the connected component of every document in a pair."""
    places = np.concatenate([pairs[:, :2], pairs[:, 2:]])
    nodes, number = np.unique(places[:, 0] << 32 | places[:, 1], return_inverse=True)
    left, right = number[: len(pairs)], number[len(pairs) :]
    links = coo_array((np.ones(len(pairs), np.int8), (left, right)), shape=(len(nodes), len(nodes)))
    component = connected_components(links, directed=False)[1] if len(nodes) else np.empty(0, np.int64)
    return nodes >> 32, nodes & 0xFFFFFFFF, component


def _keys(files: Sequence[Any], part: NDArray[np.int64], position: NDArray[np.int64]) -> NDArray[Any]:
    """The documents' keys, out of the tables that are sorted by key."""
    keys = np.empty(len(part), "S16")
    for number in np.unique(part):
        table = np.load(files[number].path)
        in_order = table["key"][np.argsort(table["index"])]
        here = part == number
        keys[here] = in_order[position[here]]
    return keys


def _worths(files: Sequence[Any], part: NDArray[np.int64], position: NDArray[np.int64]) -> NDArray[np.int64]:
    """How much each document says."""
    worth = np.empty(len(part), np.int64)
    for number in np.unique(part):
        table = np.load(files[number].path)
        here = part == number
        worth[here] = table["worth"][np.searchsorted(table["position"], position[here])]
    return worth


def _examples(parts: Sequence[Any], places: Sequence[tuple[tuple[int, int], ...]], ngram: int) -> list[dict[str, str]]:
    """Dropped documents beside those that stay."""
    wanted = {place for pair in places for place in pair}
    documents: dict[tuple[int, int], Document] = {}
    for part in sorted({part for part, _ in wanted}):
        last = max(position for number, position in wanted if number == part)
        for position, document in enumerate(islice(read_documents(parts[part].path), last + 1)):
            if (part, position) in wanted:
                documents[part, position] = document
    examples = []
    for lost, kept in places:
        left, right = documents[lost], documents[kept]
        detail = f"{_similarity(left.text, right.text, ngram):.2f} as {right.id}: {right.text[:EXAMPLE_CHARS]}"
        examples.append({"id": left.id, "text": left.text[:EXAMPLE_CHARS], "detail": detail})
    return examples


def _similarity(left: str, right: str, ngram: int) -> float:
    """Jaccard similarity of the sets of n-grams."""
    one, other = (set(shingles([text], ngram)[0].tolist()) for text in (left, right))
    return len(one & other) / len(one | other)
