"""The stages of the data side as lists of tasks: what each reads, and which earlier stage wrote it."""

import hashlib
import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_pipeline.contract.benchmark_files import benchmark_paths
from data_pipeline.contract.recipe_file import plain
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import InputFile, find_input_files, path_in_glob
from data_pipeline.corpus.corpus_files import MATCHES
from data_pipeline.corpus.stages.duplicates import key_ranges
from data_pipeline.corpus.stages.near_duplicates import band_ranges
from data_pipeline.corpus.stages.sentences import PART
from data_pipeline.corpus.steps.min_hash import bands_and_rows
from data_pipeline.corpus.tally import merged, reconcile
from data_pipeline.corpus.vocabulary.counts import MOST_AT_ONCE
from data_pipeline.prepare.flow_checks import (
    check_documents,
    check_sentences,
    check_training_documents,
    tell_of_empty_files,
)
from data_pipeline.recipe import DataRecipe, Source, Vocabulary
from data_pipeline.recipe_checks import given_files
from data_pipeline.recipe_vocabulary import ADDED_FIELDS, as_prepared
from data_pipeline.tasks.engines.runner import Engine, Runner
from data_pipeline.tasks.progress import StageProgress
from data_pipeline.tasks.shard_task import (
    Done,
    Output,
    ShardTask,
    done_with_other_inputs,
    fetch,
    finished,
    remove_leftovers,
)

SHAPES_DOCUMENTS = ("format", "name", "text_field", "category", "category_field")
"""The fields of a source that its documents depend on."""

logger = logging.getLogger("data_pipeline")


class Stages:
    """The stages of one prepare; each returns its done tasks, which are all that the next may read."""

    def __init__(
        self, folder: RunFolder, recipe: DataRecipe, engine: Engine, retrain_vocabulary: bool = False, bucket: str = ""
    ) -> None:
        self.folder, self._runner = folder, Runner(engine)
        self.recipe = recipe if retrain_vocabulary else _with_the_folders_vocabulary(folder, recipe)
        self._retrain_vocabulary, self._bucket = retrain_vocabulary, bucket
        self.sources = tuple(replace(source, name=source.name or source.format) for source in recipe.sources)
        self._files = [
            (source, number, file)
            for number, source in enumerate(self.sources)
            for file in find_input_files(source.glob)
        ]
        self.inputs = [file for *_, file in self._files]
        self.report: dict[str, Any] = {}
        self.source_of: list[Source] = []  # of each task of the stage sentences, and of those after it

    def _stage(self, stage: str, tasks: list[ShardTask], unit: str = "documents") -> list[Done]:
        with StageProgress(stage, tasks, unit) as progress:
            done = self._runner.run(tasks, progress.task_found, progress.task_done)
        remove_leftovers(self.folder.corpus, stage, tasks)
        self.report[stage] = merged(task.counts for task in done)
        return done

    def _task(
        self,
        stage: str,
        name: str,
        operation: str,
        inputs: dict[str, Any],
        parameters: dict[str, Any],
        limits: dict[str, Any] | None = None,
    ) -> ShardTask:
        place = f"data_pipeline.corpus.stages.{operation}"
        return ShardTask(stage, name, place, str(self.folder.corpus), inputs, parameters, limits or {}, self._bucket)

    def documents(self) -> list[Done]:
        tasks = []
        limits = {"bad_records": self.recipe.max_bad_records}
        for source, _, file in self._files:
            parameters = {
                # Only what shapes the documents: another licence or share of evaluation must not read all again.
                "source": {"glob": "", **{name: getattr(source, name) for name in _shaping(source)}},
                "categories": self.recipe.categories,
                "clean": plain_fields(self.recipe.clean),
                "part_bytes": self.recipe.part_megabytes * 1_000_000,
                **({"targets": True} if self.recipe.targets_are_summaries else {}),
            }
            name = _file_name(source, file)
            inputs = {"file": (file,)}
            tasks.append(self._task("documents", name, "documents:make_documents", inputs, parameters, limits))
        done = self._stage("documents", tasks)
        records = [each.counts.get("records", 0) for each in done]
        tell_of_empty_files([file.path for *_, file in self._files], records)
        check_documents(self.report["documents"], self.recipe)
        return done

    def _mixture(self, weight: float) -> dict[str, Any]:
        return {"weight": weight, "categories": dict(self.recipe.category_weights), "seed": self.recipe.seed}

    def duplicates(self, documents: list[Done]) -> list[Done]:
        keys = _outputs(documents, ".keys.npy")
        ranges = key_ranges(self.report["documents"]["documents"]) if self.recipe.drop_duplicates else []
        tasks = [
            self._task("duplicates", f"{index:03d}", "duplicates:find_duplicates", {"keys": keys}, {"range": bounds})
            for index, bounds in enumerate(ranges)
        ]
        return self._stage("duplicates", tasks, "duplicates") if tasks else []

    def near_duplicates(self, parts: dict[str, Output], duplicates: list[Done]) -> list[Done]:
        recipe = self.recipe.near_duplicates
        if not recipe.enabled:
            return []
        how = {"near_duplicates": plain_fields(recipe)}
        signing = [
            self._task("signatures", name, "signatures:make_signatures", {"part": (part,)}, how)
            for name, part in parts.items()
        ]
        signed = self._stage("signatures", signing)
        inputs = {
            "signatures": _outputs(signed, "signatures.npy"),
            "bands": _outputs(signed, "bands.npy"),
            "rows": _outputs(signed, "rows.npy"),
            "duplicates": _outputs(duplicates, ".npy"),
        }
        bands, _ = bands_and_rows(recipe.threshold, recipe.permutations)
        tasks = [
            self._task(
                "near_duplicates",
                f"{index:03d}",
                "near_duplicates:find_near_duplicates",
                inputs,
                {"range": bounds, "threshold": recipe.threshold},
            )
            for index, bounds in enumerate(band_ranges(bands * self.report["signatures"]["documents"]))
        ]
        return self._stage("near_duplicates", tasks, "pairs")

    def _sources_of_parts(self, documents: list[Done]) -> list[tuple[Source, int]]:
        """The source of each part and its place in the recipe, in the order of the parts."""
        files = zip(documents, self._files, strict=True)
        return [(source, number) for done, (source, number, _) in files for _ in _outputs([done], ".zst")]

    def survivors(self, documents: list[Done]) -> list[Done]:
        """Whether a document stays is asked of the whole corpus; the answer is a file for each part, so that a part of which
        the answer is the same, when sources are added, need not be done again."""
        duplicates = self.duplicates(documents)
        parts = _parts(documents)
        near = self.near_duplicates(parts, duplicates)
        if not self.recipe.drop_duplicates and not self.recipe.near_duplicates.enabled:
            return []
        inputs = {
            "documents": tuple(parts.values()),
            "keys": _outputs(documents, ".keys.npy"),
            "duplicates": _outputs(duplicates, ".npy"),
            "pairs": _outputs(near, ".npy"),
        }
        priorities = [number for _, number in self._sources_of_parts(documents)]
        parameters = {"parts": list(parts), "priorities": priorities, "ngram": self.recipe.near_duplicates.ngram}
        task = self._task("survivors", "all", "survivors:choose_survivors", inputs, parameters)
        return self._stage("survivors", [task], "near_duplicates")

    def benchmark_index(self) -> list[Done]:
        recipe = self.recipe.decontamination
        if not recipe.benchmarks:
            return []
        files = tuple(file for path in benchmark_paths(recipe.benchmarks) for file in find_input_files(str(path)))
        self.inputs += files
        parameters = {"ngram": recipe.ngram, "min_chars": recipe.min_chars}
        task = self._task("benchmarks", "index", "benchmarks:index_benchmarks", {"files": files}, parameters)
        return self._stage("benchmarks", [task], "texts")

    def split(self, documents: list[Done], survivors: list[Done]) -> list[Done]:
        """Where the sentences of each part start."""
        parameters = {"sentences": plain_fields(self.recipe.sentences)}
        tasks = [
            self._task("split", name, "split:find_sentences", inputs, parameters)
            for name, part in _parts(documents).items()
            for inputs in [{"part": (part,), "repeated": tuple(each.outputs[f"{name}.npy"] for each in survivors)}]
        ]
        return self._stage("split", tasks)

    def matches(self, split: list[Done], index: list[Done]) -> list[Done]:
        """The sentences of each part that stand in a benchmark."""
        if not index:
            return []
        recipe = plain_fields(self.recipe.decontamination)
        compared = {name: recipe[name] for name in ("ngram", "min_chars", "threshold", "embedded_threshold")}
        tasks = []
        for done in split:
            inputs = {
                "part": done.task.inputs["part"],
                "split": _outputs([done], ""),
                "index": _outputs(index, ""),
            }
            parameters = {"decontamination": compared}
            tasks.append(self._task("matches", done.task.name, "benchmarks:find_matches", inputs, parameters))
        return self._stage("matches", tasks)

    def formulae(self, matches: list[Done]) -> list[Done]:
        """Which of the benchmark texts found stand in so many documents that they stay; asked of the whole corpus."""
        if not matches:
            return []
        share, documents = self.recipe.decontamination.formula_share, self.report["matches"].get("documents", 0)
        inputs = {"matches": _outputs(matches, MATCHES)}
        parameters = {"share": share, "documents": documents}
        task = self._task("formulae", "all", "benchmarks:find_formulae", inputs, parameters)
        return self._stage("formulae", [task], "matches")

    def sentences(self, documents: list[Done], survivors: list[Done], index: list[Done]) -> list[Done]:
        split = self.split(documents, survivors)
        matches = self.matches(split, index)
        formulae = self.formulae(matches)
        self.source_of = [source for source, _ in self._sources_of_parts(documents)]
        tasks = []
        for number, (done, source) in enumerate(zip(split, self.source_of, strict=True)):
            inputs = {
                **done.task.inputs,
                "split": _outputs([done], ""),
                "matches": _outputs(matches[number : number + 1], MATCHES),
                "formulae": _outputs(formulae, ""),
            }
            parameters = sentence_parameters(self.recipe, source)
            tasks.append(self._task("sentences", done.task.name, "sentences:make_sentences", inputs, parameters))
        done_tasks = self._stage("sentences", tasks)
        check_sentences(self.report["sentences"])
        return done_tasks

    def morphemes(self, sentences: list[Done]) -> tuple[Output, ...]:
        """Tables of counts: of each part, then added up in groups by all workers, so that few are left to add."""
        recipe = self.recipe.vocabulary
        how = {"model": recipe.model, "scheme": recipe.scheme, "lowercase": recipe.lowercase}
        weights = [
            source.weight if source.vocabulary_weight is None else source.vocabulary_weight for source in self.source_of
        ]
        tasks = [
            self._task(
                "morphemes",
                done.task.name,
                "vocabulary:count_part",
                {"part": _outputs([done], PART)},
                {"vocabulary": how, "mixture": self._mixture(weight)},
            )
            for done, weight in zip(sentences, weights, strict=True)
        ]
        tables = _outputs(self._stage("morphemes", tasks, "morphemes"), "")
        groups = [tables[start : start + MOST_AT_ONCE] for start in range(0, len(tables), MOST_AT_ONCE)]
        adding = [
            self._task("counts", f"{number:03d}", "vocabulary:add_counts", {"counts": group}, {})
            for number, group in enumerate(groups)
        ]
        return _outputs(self._stage("counts", adding, "types"), "")

    def vocabulary(self, sentences: list[Done]) -> Done:
        check_training_documents(self.report["sentences"])
        recipe = self.recipe.vocabulary
        parameters = {"vocabulary": vocabulary_parameters(recipe)}
        if recipe.given:
            files = given_files(recipe.given)
            self.inputs += files
            task = self._task("vocabulary", "given", "vocabulary:copy_vocabulary", {"given": files}, parameters)
        else:
            counted = {"counts": self.morphemes(sentences)}
            task = self._task("vocabulary", "trained", "vocabulary:make_vocabulary", counted, parameters)
            if frozen := self._frozen(task):
                return frozen
        [done] = self._stage("vocabulary", [task], "rows")
        fetch(task, done.outputs.values())
        self._runner.check(done.outputs.values())  # they are published, even where no task reads them
        return done

    def _frozen(self, task: ShardTask) -> Done | None:
        """The vocabulary that this folder was prepared with: it stays although it would now come out otherwise, for a model may
        have been trained with it."""
        if self._retrain_vocabulary or "prepare" not in self.folder.manifest() or finished(task):
            return None
        earlier = done_with_other_inputs(task)
        if earlier is not None:
            self._runner.check(earlier.outputs.values())
            before, now = earlier.counts["morphemes"], self.report["morphemes"]["morphemes"]
            self.report["vocabulary"] = {**earlier.counts, "corpus_morphemes": now}
            logger.info(
                "vocabulary %s rows, kept as they are: trained on %s morphemes, the corpus now has %s; "
                "--retrain-vocabulary makes a new one",
                *(f"{number:,}" for number in (earlier.counts["rows"], before, now)),
            )
        return earlier

    def records(self, sentences: list[Done], vocabulary: Done) -> list[Done]:
        parameters = {
            "examples": plain_fields(self.recipe.examples),
            "layout": self.recipe.examples.layout,
            "lengths": [self.recipe.examples.length, *self.recipe.other_lengths],
            "word_unit": self.recipe.word_unit,
            "seed": self.recipe.seed,
        }
        files = tuple(vocabulary.outputs.values())
        tasks = [
            self._task(
                "records",
                done.task.name,
                "records:make_records",
                {"part": _outputs([done], PART), "vocabulary": files},
                {**parameters, "mixture": self._mixture(source.weight)},
            )
            for done, source in zip(sentences, self.source_of, strict=True)
        ]
        done_tasks = self._stage("records", tasks)
        fetch(tasks[0], _outputs(done_tasks, ""))
        counts = self.report["records"]
        reconcile("records", self.report["sentences"]["documents"], counts["documents"], 0)
        return done_tasks


def _with_the_folders_vocabulary(folder: RunFolder, recipe: DataRecipe) -> DataRecipe:
    """The recipe, with the vocabulary that a prepared folder has where only a constant that it names is another by now."""
    written = folder.manifest().get("prepare", {}).get("recipe", {}).get("vocabulary")
    kept = as_prepared(written, recipe.vocabulary) if written else recipe.vocabulary
    if kept != recipe.vocabulary:
        logger.info(
            "vocabulary: as the folder was prepared, though the recipe's constant has changed since; --retrain-vocabulary makes today's"
        )
    return replace(recipe, vocabulary=kept)


def _shaping(source: Source) -> tuple[str, ...]:
    """Fields of a source that shape its documents."""
    return (*SHAPES_DOCUMENTS, "summary_field") if source.format == "pairs" else SHAPES_DOCUMENTS


def vocabulary_parameters(recipe: Vocabulary) -> dict[str, Any]:
    """The fields of a vocabulary recipe, JSON-ready: as earlier code wrote them down where the fields added since are at their defaults."""
    plain_recipe, usual = plain_fields(recipe), plain_fields(Vocabulary())
    return {name: value for name, value in plain_recipe.items() if name not in ADDED_FIELDS or value != usual[name]}


def sentence_parameters(recipe: DataRecipe, source: Source) -> dict[str, Any]:
    """What a recipe says of the stage `sentences`, for the documents of one source."""
    pseudonyms = {"types": plain_fields(recipe.pseudonyms), "seed": recipe.seed}
    fraction = source.evaluation_fraction
    return {
        "korean": plain_fields(recipe.korean),
        "length": plain_fields(source.length or recipe.length),
        "on_contaminated": recipe.decontamination.on_contaminated,
        "pseudonyms": pseudonyms if recipe.pseudonyms.enabled else None,
        "evaluation_fraction": recipe.evaluation_fraction if fraction is None else fraction,
    }


def plain_fields(recipe: Any) -> dict[str, Any]:
    """The fields of a recipe dataclass, JSON-ready."""
    fields: dict[str, Any] = plain(recipe)
    fields.pop("kind")
    return fields


def _file_name(source: Source, file: InputFile) -> str:
    """Names a source file's tasks: the same whatever files and sources stand beside it, and wherever the corpus lies."""
    place = path_in_glob(file.path, source.glob)
    digest = hashlib.blake2b(f"{source.name}\0{place}".encode(errors="surrogateescape"), digest_size=6).hexdigest()
    readable = re.sub(r"[^\w.-]+", "_", f"{source.name[:30]}-{Path(place).name[:40]}").lstrip(".")
    return f"{readable}-{digest}"


def _outputs(done: Sequence[Done], ending: str) -> tuple[Output, ...]:
    return tuple(output for task in done for name, output in task.outputs.items() if name.endswith(ending))


def _parts(documents: Sequence[Done]) -> dict[str, Output]:
    """The parts of the documents stage, by a name that stays theirs when another source gets more files."""
    return {
        f"{done.task.name}-{name.removeprefix('part-').removesuffix('.zst')}": part
        for done in documents
        for name, part in done.outputs.items()
        if name.endswith(".zst")
    }
