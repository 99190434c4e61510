"""prepare: raw corpora to records, stage by stage. What is done already is not done again."""

import os
from typing import Any

from data_pipeline.contract.recipe_file import plain, plain_fields
from data_pipeline.contract.records import RecordsHeader
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.corpus.dropped_files import join_dropped
from data_pipeline.prepare.account import account
from data_pipeline.prepare.flow import Stages
from data_pipeline.prepare.losses import tell
from data_pipeline.prepare.publish import publish_run
from data_pipeline.recipe import DataRecipe
from data_pipeline.recipe_checks import check
from data_pipeline.tasks.engines.local import LocalEngine, default_workers
from data_pipeline.tasks.engines.ray import RayEngine
from data_pipeline.tasks.engines.runner import Engine, mending


def prepare(
    folder: RunFolder,
    recipe_name: str,
    recipe: DataRecipe,
    workers: int | None,
    *,
    ray_address: str = "",
    bucket: str = "",
    retrain_vocabulary: bool = False,
    keep_dropped: bool = False,
) -> None:
    """Runs every stage of the data side in a run folder.

    - `workers`: processes, None for as many as there are processors; the result does not depend on it.
    - `ray_address`: the Ray cluster that does the work (engines/ray.py); empty for this machine.
    - `bucket`: folder on gs:// through which machines exchange what tasks leave; empty where they share the run folder.
    - `retrain_vocabulary`: whether a vocabulary that the folder was prepared with is made anew where text was added.
    - `keep_dropped`: whether corpus/dropped.jsonl.zst gets all that is dropped; where not, none is left there.

    Raises InputError for a source, benchmark or field that is wrong, WorkError where the machine fails.
    """
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the pool is the parallelism
    os.environ["RAYON_NUM_THREADS"] = "1"
    check(recipe)
    engine = _engine(workers, ray_address)
    if ray_address:
        folder = RunFolder(folder.path.absolute())  # Ray's workers have working directories of their own
    with folder.locked():
        mending(lambda: _prepare(recipe_name, Stages(folder, recipe, engine, retrain_vocabulary, bucket, keep_dropped)))


def _engine(workers: int | None, ray_address: str) -> Engine:
    if ray_address and ray_address != "local":
        return RayEngine(ray_address, workers)
    workers = workers or default_workers()
    return RayEngine(ray_address, workers) if ray_address else LocalEngine(workers)


def _prepare(recipe_name: str, run: Stages) -> None:
    index = run.benchmark_index()  # first: a wrong benchmark file must not be found hours into the work
    documents = run.documents()
    survivors = run.survivors(documents)
    sentences = run.sentences(documents, survivors, index)
    vocabulary = run.vocabulary(sentences)
    records = run.records(sentences, vocabulary)
    join_dropped(run.folder.corpus, [file.path for file in run.dropped(documents, sentences)])
    headers = publish_run(run.folder, run.recipe, run.report, vocabulary, records, run.source_of)
    run.folder.record("prepare", _facts(recipe_name, run, headers))
    tell(run.losses)


def _facts(recipe_name: str, run: Stages, headers: list[RecordsHeader]) -> dict[str, Any]:
    main, *others = (
        {"fingerprint": header.fingerprint, "rows": header.rows, "tokens": header.tokens} for header in headers
    )
    return {
        "recipe_name": recipe_name,
        "recipe": plain(run.recipe),
        "inputs": [plain_fields(file) for file in run.inputs],
        "account": account(run.recipe, run.report),
        "records": main,
        "other_records": {str(header.length): facts for header, facts in zip(headers[1:], others, strict=True)},
    }
