"""What prepare leaves for training: vocabulary/, examples/ and the reports."""

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.records import RecordsHeader, records_folders
from data_pipeline.contract.run_folder import REPORT, RunFolder
from data_pipeline.contract.storage import read_json, write_atomically, write_json
from data_pipeline.contract.tokenizer import TOKENIZER_FILES, Tokenizer, tokenizer_sha256
from data_pipeline.contract.write_records import Shard, is_published, publish, withdraw
from data_pipeline.corpus.stages.records import SHARDS, TOKEN_COUNTS
from data_pipeline.corpus.vocabulary.report import vocabulary_report
from data_pipeline.corpus.vocabulary.usage import token_usage
from data_pipeline.recipe import DataRecipe, Source
from data_pipeline.tasks.shard_task import Done

PARTS = "parts.json"
"""The parts of the corpus in the order of their records: name, and that of the source."""


class Published(NamedTuple):
    """One shard of records: its file, what it holds, the name of its source, and the categories of its rows in turn, where rows have
    one each."""

    path: Path
    shard: Shard
    source: str
    categories: Sequence[tuple[str, int]]


def publish_run(
    folder: RunFolder,
    recipe: DataRecipe,
    report: dict[str, Any],
    vocabulary: Done,
    records: list[Done],
    sources: Sequence[Source],
) -> list[RecordsHeader]:
    """Puts vocabulary, records, headers and reports where training looks for them; a header last, for it makes its records valid.

    - `report`: counts by stage.
    - `records`: the tasks of the stage records; `sources`: that of each.

    Returns the header of each length, that of `recipe.examples` first. Raises InputError where a length has not a single training row.
    """
    tokenizer = Tokenizer(Path(next(iter(vocabulary.outputs.values())).path).parent)
    lengths = [recipe.examples.length, *recipe.other_lengths]
    shards = {length: _shards(records, sources, length) for length in lengths}
    headers = [_header(recipe, tokenizer, length, shards[length]) for length in lengths]
    places = [folder.examples, *(folder.examples / str(length) for length in recipe.other_lengths)]
    for place in set(records_folders(folder.examples)) - set(places):
        shutil.rmtree(place)
    if not all(map(is_published, places, headers)):
        for place in places:
            withdraw(place)  # before the vocabulary that they may not fit stands beside them
    for name in TOKENIZER_FILES:
        target = folder.vocabulary / name
        if name in vocabulary.outputs:
            content = Path(vocabulary.outputs[name].path).read_bytes()
            if not target.is_file() or target.read_bytes() != content:
                write_atomically(target, content)
        else:
            target.unlink(missing_ok=True)
    for place, header in reversed(list(zip(places, headers, strict=True))):  # where the first stands, all do
        files = {split: [each[:2] for each in listed] for split, listed in shards[header.length].items()}
        publish(place, files, header)
    token_counts = np.sum([np.load(done.outputs[TOKEN_COUNTS].path) for done in records], axis=0)
    how_it_does = vocabulary_report(tokenizer, report["records"])
    write_json(folder.vocabulary / REPORT, {**how_it_does, **token_usage(tokenizer, token_counts)})
    write_json(
        folder.corpus / PARTS, [[done.task.name, source.name] for done, source in zip(records, sources, strict=True)]
    )
    write_json(folder.corpus / REPORT, report)
    return headers


def _shards(records: list[Done], sources: Sequence[Source], length: int) -> dict[str, list[Published]]:
    """The shards of one length, by split."""
    shards: dict[str, list[Published]] = {}
    for done, source in zip(records, sources, strict=True):
        for split, facts in read_json(Path(done.outputs[SHARDS].path)).get(str(length), {}).items():
            path = Path(done.outputs[facts["file"]].path)
            # Tasks that older code has done say nothing of categories.
            categories = [(name, rows) for name, rows in facts.pop("categories", [])]
            shards.setdefault(split, []).append(Published(path, Shard(**facts), source.name, categories))
    if "train" not in shards:
        raise InputError(
            f"the text gives not a single training row of {length} tokens; give more text or a shorter --data.examples.length"
        )
    return shards


def _header(
    recipe: DataRecipe, tokenizer: Tokenizer, length: int, shards: Mapping[str, list[Published]]
) -> RecordsHeader:
    identity = [[split, [each.shard.sha256 for each in listed]] for split, listed in sorted(shards.items())]
    layout = recipe.examples.layout
    special = tokenizer.special
    return RecordsHeader(
        layout=layout,
        length=length,
        vocabulary_size=tokenizer.size,
        token_dtype=str(tokenizer.token_dtype),
        pad_id=special.pad,
        unk_id=special.unk,
        cls_id=special.cls,
        sep_id=special.sep,
        mask_id=special.mask,
        reserved_ids=tokenizer.reserved_ids,
        word_unit=recipe.word_unit,
        tokenizer_sha256=tokenizer_sha256(tokenizer.folder),
        rows={split: sum(each.shard.rows for each in listed) for split, listed in shards.items()},
        tokens={split: sum(each.shard.tokens for each in listed) for split, listed in shards.items()},
        fingerprint=_sha256([layout, length, identity]),
        target_length=getattr(recipe.examples, "target_length", 0),
        sources={
            split: _in_turn((each.source, each.shard.rows) for each in listed) for split, listed in shards.items()
        },
        categories={
            split: _in_turn(pair for each in listed for pair in each.categories)
            for split, listed in shards.items()
            if recipe.rows_by_category
        },
    )


def _in_turn(pairs: Iterable[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    """Name and rows of each source, or category, in the order in which rows are stored."""
    return tuple((name, sum(rows for _, rows in of)) for name, of in groupby(pairs, lambda pair: pair[0]))


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
