"""prepare: raw corpora to records, stage by stage. What is done already is not done again."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_pipeline.contract.benchmark_files import benchmark_paths
from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_file import plain
from data_pipeline.contract.records import RecordsHeader, Shard, publish
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import InputFile, find_input_files, read_json, write_atomically, write_json
from data_pipeline.contract.tokenizer import Tokenizer
from data_pipeline.engines import local
from data_pipeline.progress import StageProgress
from data_pipeline.recipe import DataRecipe, Packed, Source
from data_pipeline.shard_task import Done, Output, ShardTask, remove_leftovers
from data_pipeline.sources import FORMATS
from data_pipeline.stages.duplicates import key_ranges
from data_pipeline.stages.records import SHARDS
from data_pipeline.stages.vocabulary import TOKENIZER_FILES
from data_pipeline.tally import merged, reconcile, total_dropped
from data_pipeline.vocabulary.report import vocabulary_report

REPORT = "report.json"


def prepare(folder: RunFolder, recipe_name: str, recipe: DataRecipe, workers: int) -> None:
    """Runs every stage of the data side in a run folder.

    - `workers`: processes; the result does not depend on it.

    Raises InputError for a source, benchmark or field that is wrong, WorkError where the machine fails.
    """
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the pool is the parallelism
    _check(recipe)
    with folder.locked():
        run = _Run(folder, recipe, workers)
        documents = run.documents()
        duplicates = run.duplicates(documents)
        index = run.benchmark_index()
        sentences = run.sentences(documents, duplicates, index)
        vocabulary = run.vocabulary(sentences)
        records = run.records(sentences, vocabulary)
        header = run.publish(vocabulary, records)
        folder.record("prepare", _facts(recipe_name, recipe, run, header))


def with_command_line(recipe: DataRecipe, sources: Sequence[str], benchmarks: Sequence[str]) -> DataRecipe:
    """The recipe with its sources and benchmarks replaced by those of --source FORMAT:GLOB and --benchmark PATH."""
    if sources:
        recipe = replace(recipe, sources=tuple(_parse_source(text) for text in sources))
    if benchmarks:
        recipe = replace(recipe, decontamination=replace(recipe.decontamination, benchmarks=tuple(benchmarks)))
    return recipe


def _parse_source(text: str) -> Source:
    """FORMAT:GLOB, where jsonl may name its text field: jsonl.FIELD:GLOB."""
    name, separator, glob = text.partition(":")
    format_name, _, text_field = name.partition(".")
    if not separator or not glob or format_name not in FORMATS or (text_field and format_name != "jsonl"):
        raise InputError(
            f"--source {text}: expected FORMAT:GLOB with FORMAT one of {', '.join(FORMATS)} or jsonl.FIELD"
        )
    return Source(format_name, glob, text_field=text_field or "text")


def _check(recipe: DataRecipe) -> None:
    if not recipe.sources:
        raise InputError("the recipe names no source; give --source FORMAT:GLOB")
    names = [source.name or source.format for source in recipe.sources]
    for source in recipe.sources:
        if source.format not in FORMATS:
            raise InputError(f"source {source.glob}: unknown format {source.format!r}; known: {', '.join(FORMATS)}")
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two sources are named {name!r}; give each a name of its own in the recipe")
    fractions = [recipe.evaluation_fraction, *(source.evaluation_fraction or 0.0 for source in recipe.sources)]
    if not all(0 <= fraction <= 1 for fraction in fractions):
        raise InputError(f"evaluation_fraction must lie between 0 and 1 (found {fractions})")


class _Run:
    """The stages of one prepare; each returns its done tasks, which are all that the next may read."""

    def __init__(self, folder: RunFolder, recipe: DataRecipe, workers: int) -> None:
        self.folder, self.recipe, self.workers = folder, recipe, workers
        self.sources = tuple(replace(source, name=source.name or source.format) for source in recipe.sources)
        self.inputs: list[InputFile] = []
        self.report: dict[str, Any] = {}
        self._part_sources: list[Source] = []

    def _stage(self, stage: str, tasks: list[ShardTask], unit: str = "documents") -> list[Done]:
        with StageProgress(stage, len(tasks), unit) as progress:
            done = local.run_tasks(tasks, self.workers, progress.task_done)
        remove_leftovers(self.folder.corpus, stage, tasks)
        self.report[stage] = merged(task.counts for task in done)
        return done

    def _task(
        self, stage: str, name: str, operation: str, inputs: dict[str, Any], parameters: dict[str, Any]
    ) -> ShardTask:
        place = f"data_pipeline.stages.{operation}"
        return ShardTask(stage, name, place, str(self.folder.corpus), inputs, parameters)

    def documents(self) -> list[Done]:
        tasks, self._files_source = [], []
        for number, source in enumerate(self.sources):
            for index, file in enumerate(find_input_files(source.glob)):
                self.inputs.append(file)
                self._files_source.append(source)
                parameters = {
                    "source": {**plain_fields(source), "length": None},
                    "clean": plain_fields(self.recipe.clean),
                    "part_bytes": self.recipe.part_megabytes * 1_000_000,
                    "max_bad_records": self.recipe.max_bad_records,
                }
                name = f"{number:03d}-{index:06d}"
                tasks.append(self._task("documents", name, "documents:make_documents", {"file": (file,)}, parameters))
        done = self._stage("documents", tasks)
        counts = self.report["documents"]
        records = counts.get("records", 0)
        if counts["bad"] > self.recipe.max_bad_records:
            raise InputError(
                f"{counts['bad']} bad records, {self.recipe.max_bad_records} allowed (--data.max-bad-records)"
            )
        reconcile("documents", records, counts.get("documents", 0), total_dropped(counts, "documents"), counts["bad"])
        if not counts.get("documents"):
            raise InputError(f"no document in {', '.join(source.glob for source in self.sources)}: the files are empty")
        return done

    def duplicates(self, documents: list[Done]) -> list[Done]:
        keys = _outputs(documents, ".keys.npy")
        ranges = key_ranges(self.report["documents"]["documents"]) if self.recipe.drop_duplicates else []
        tasks = [
            self._task("duplicates", f"{index:03d}", "duplicates:find_duplicates", {"keys": keys}, {"range": bounds})
            for index, bounds in enumerate(ranges)
        ]
        return self._stage("duplicates", tasks, "duplicates") if tasks else []

    def benchmark_index(self) -> list[Done]:
        recipe = self.recipe.decontamination
        if not recipe.benchmarks:
            return []
        files = tuple(file for path in benchmark_paths(recipe.benchmarks) for file in find_input_files(str(path)))
        self.inputs += files
        parameters = {"ngram": recipe.ngram, "min_chars": recipe.min_chars}
        task = self._task("benchmarks", "index", "sentences:index_benchmarks", {"files": files}, parameters)
        return self._stage("benchmarks", [task], "texts")

    def sentences(self, documents: list[Done], duplicates: list[Done], index: list[Done]) -> list[Done]:
        later, index_files = _outputs(duplicates, ".npy"), _outputs(index, "")
        tasks = []
        for done, source in zip(documents, self._files_source, strict=True):
            for part in _outputs([done], ".zst"):
                fraction = source.evaluation_fraction
                parameters = {
                    "part": len(tasks),
                    "sentences": plain_fields(self.recipe.sentences),
                    "korean": plain_fields(self.recipe.korean),
                    "length": plain_fields(source.length or self.recipe.length),
                    "decontamination": plain_fields(self.recipe.decontamination),
                    "evaluation_fraction": self.recipe.evaluation_fraction if fraction is None else fraction,
                }
                parameters["decontamination"].pop("benchmarks")
                inputs = {"part": (part,), "duplicates": later, "index": index_files}
                tasks.append(
                    self._task("sentences", f"{len(tasks):06d}", "sentences:make_sentences", inputs, parameters)
                )
        done_tasks = self._stage("sentences", tasks)
        counts = self.report["sentences"]
        reconcile("documents", counts["documents_in"], counts.get("documents", 0), total_dropped(counts, "documents"))
        lost = total_dropped(counts, "sentences")
        reconcile("sentences", counts.get("sentences_in", 0), counts.get("sentences", 0), lost)
        if not counts.get("train_documents"):
            reasons = json.dumps(counts["dropped"].get("documents", {}), ensure_ascii=False)
            raise InputError(f"no document is left to train on; dropped by source and reason: {reasons}")
        return done_tasks

    def vocabulary(self, sentences: list[Done]) -> Done:
        parameters = {"vocabulary": plain_fields(self.recipe.vocabulary)}
        given = self.recipe.vocabulary.given
        if given:
            files = _given_files(given)
            self.inputs += files
            task = self._task("vocabulary", "given", "vocabulary:copy_vocabulary", {"given": files}, parameters)
        else:
            counting = [
                self._task(
                    "morphemes", done.task.name, "vocabulary:count_part", {"part": _outputs([done], "")}, parameters
                )
                for done in sentences
            ]
            counts = _outputs(self._stage("morphemes", counting, "morphemes"), "")
            task = self._task("vocabulary", "trained", "vocabulary:make_vocabulary", {"counts": counts}, parameters)
        [done] = self._stage("vocabulary", [task], "rows")
        for name in TOKENIZER_FILES:
            target = self.folder.vocabulary / name
            if name in done.outputs:
                write_atomically(target, Path(done.outputs[name].path).read_bytes())
            else:
                target.unlink(missing_ok=True)
        return done

    def records(self, sentences: list[Done], vocabulary: Done) -> list[Done]:
        parameters = {
            "examples": plain_fields(self.recipe.examples),
            "layout": _layout(self.recipe),
            "word_unit": self.recipe.word_unit,
            "seed": self.recipe.seed,
        }
        files = tuple(vocabulary.outputs.values())
        tasks = [
            self._task(
                "records",
                done.task.name,
                "records:make_records",
                {"part": _outputs([done], ""), "vocabulary": files},
                parameters,
            )
            for done in sentences
        ]
        done_tasks = self._stage("records", tasks)
        counts = self.report["records"]
        reconcile("records", self.report["sentences"]["documents"], counts["documents"], 0)
        return done_tasks

    def publish(self, vocabulary: Done, records: list[Done]) -> RecordsHeader:
        shards: dict[str, list[tuple[Path, Shard]]] = {}
        for done in records:
            for split, facts in read_json(Path(done.outputs[SHARDS].path)).items():
                path = Path(done.outputs[facts["file"]].path)
                shards.setdefault(split, []).append((path, Shard(**facts)))
        if "train" not in shards:
            raise InputError(
                "the text gives not a single training row; give more text or a shorter --data.examples.length"
            )
        header = _header(self.recipe, vocabulary, shards)
        publish(self.folder.examples, shards, header)
        write_json(self.folder.corpus / REPORT, self.report)
        report = vocabulary_report(Tokenizer(self.folder.vocabulary), self.report["records"])
        write_json(self.folder.vocabulary / REPORT, report)
        return header


def plain_fields(recipe: Any) -> dict[str, Any]:
    """The fields of a recipe dataclass, JSON-ready."""
    fields: dict[str, Any] = plain(recipe)
    fields.pop("kind")
    return fields


def _layout(recipe: DataRecipe) -> str:
    return "packed" if isinstance(recipe.examples, Packed) else "sentence_pairs"


def _outputs(done: Sequence[Done], ending: str) -> tuple[Output, ...]:
    return tuple(output for task in done for name, output in task.outputs.items() if name.endswith(ending))


def _given_files(given: str) -> tuple[InputFile, ...]:
    path = Path(given)
    if path.is_file():
        if path.name != "vocab.txt":
            raise InputError(
                f"--data.vocabulary.given {given}: must be a file named vocab.txt or a Hugging Face folder"
            )
        return tuple(find_input_files(given))
    present = [path / name for name in TOKENIZER_FILES if (path / name).is_file()]
    if not {"vocab.txt", "tokenizer.json"} & {file.name for file in present}:
        raise InputError(f"--data.vocabulary.given {given}: holds neither tokenizer.json nor vocab.txt")
    return tuple(file for name in present for file in find_input_files(str(name)))


def _header(recipe: DataRecipe, vocabulary: Done, shards: dict[str, list[tuple[Path, Shard]]]) -> RecordsHeader:
    tokenizer = Tokenizer(Path(next(iter(vocabulary.outputs.values())).path).parent)
    identity = [[split, [shard.sha256 for _, shard in listed]] for split, listed in sorted(shards.items())]
    files = [[name, output.sha256] for name, output in sorted(vocabulary.outputs.items())]
    layout: Any = _layout(recipe)
    special = tokenizer.special
    return RecordsHeader(
        layout=layout,
        length=recipe.examples.length,
        vocabulary_size=tokenizer.size,
        token_dtype=str(tokenizer.token_dtype),
        pad_id=special.pad,
        unk_id=special.unk,
        cls_id=special.cls,
        sep_id=special.sep,
        mask_id=special.mask,
        reserved_ids=tokenizer.reserved_ids,
        word_unit=recipe.word_unit,
        tokenizer_sha256=_sha256(files),
        rows={split: sum(shard.rows for _, shard in listed) for split, listed in shards.items()},
        tokens={split: sum(shard.tokens for _, shard in listed) for split, listed in shards.items()},
        fingerprint=_sha256([layout, recipe.examples.length, identity]),
    )


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _facts(recipe_name: str, recipe: DataRecipe, run: _Run, header: RecordsHeader) -> dict[str, Any]:
    return {
        "recipe_name": recipe_name,
        "recipe": plain(recipe),
        "inputs": [plain_fields(file) for file in run.inputs],
        "records": {"fingerprint": header.fingerprint, "rows": header.rows, "tokens": header.tokens},
    }
