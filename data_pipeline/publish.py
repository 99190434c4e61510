"""What prepare leaves for training: vocabulary/, examples/ and the reports."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.records import RecordsHeader, records_folders
from data_pipeline.contract.run_folder import REPORT, RunFolder
from data_pipeline.contract.storage import read_json, write_atomically, write_json
from data_pipeline.contract.tokenizer import TOKENIZER_FILES, Tokenizer, tokenizer_sha256
from data_pipeline.contract.write_records import Shard, is_published, publish, withdraw
from data_pipeline.recipe import DataRecipe
from data_pipeline.shard_task import Done
from data_pipeline.stages.records import SHARDS, TOKEN_COUNTS
from data_pipeline.vocabulary.report import vocabulary_report
from data_pipeline.vocabulary.usage import token_usage


def publish_run(
    folder: RunFolder, recipe: DataRecipe, report: dict[str, Any], vocabulary: Done, records: list[Done]
) -> list[RecordsHeader]:
    """Puts vocabulary, records, headers and reports where training looks for them; a header last, for it makes its records valid.

    - `report`: counts by stage.

    Returns the header of each length, that of `recipe.examples` first. Raises InputError where a length has not a single training row.
    """
    tokenizer = Tokenizer(Path(next(iter(vocabulary.outputs.values())).path).parent)
    lengths = [recipe.examples.length, *recipe.other_lengths]
    shards = {length: _shards(records, length) for length in lengths}
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
        publish(place, shards[header.length], header)
    token_counts = np.sum([np.load(done.outputs[TOKEN_COUNTS].path) for done in records], axis=0)
    how_it_does = vocabulary_report(tokenizer, report["records"])
    write_json(folder.vocabulary / REPORT, {**how_it_does, **token_usage(tokenizer, token_counts)})
    write_json(folder.corpus / REPORT, report)
    return headers


def _shards(records: list[Done], length: int) -> dict[str, list[tuple[Path, Shard]]]:
    """The shards of one length, by split."""
    shards: dict[str, list[tuple[Path, Shard]]] = {}
    for done in records:
        for split, facts in read_json(Path(done.outputs[SHARDS].path)).get(str(length), {}).items():
            path = Path(done.outputs[facts["file"]].path)
            shards.setdefault(split, []).append((path, Shard(**facts)))
    if "train" not in shards:
        raise InputError(
            f"the text gives not a single training row of {length} tokens; give more text or a shorter --data.examples.length"
        )
    return shards


def _header(
    recipe: DataRecipe, tokenizer: Tokenizer, length: int, shards: Mapping[str, list[tuple[Path, Shard]]]
) -> RecordsHeader:
    identity = [[split, [shard.sha256 for _, shard in listed]] for split, listed in sorted(shards.items())]
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
        rows={split: sum(shard.rows for _, shard in listed) for split, listed in shards.items()},
        tokens={split: sum(shard.tokens for _, shard in listed) for split, listed in shards.items()},
        fingerprint=_sha256([layout, length, identity]),
        target_length=getattr(recipe.examples, "target_length", 0),
    )


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
