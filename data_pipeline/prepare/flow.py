"""The order of the stages, and what each takes from those before it."""

import logging
from dataclasses import replace
from typing import Any

from data_pipeline.contract.benchmark_files import benchmark_paths
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import InputFile, find_input_files
from data_pipeline.corpus.dropped_files import DROPPED
from data_pipeline.corpus.stages import benchmarks, vocabulary
from data_pipeline.corpus.stages.documents import document_tasks, parts_of
from data_pipeline.corpus.stages.duplicates import duplicate_tasks
from data_pipeline.corpus.stages.near_duplicates import near_duplicate_tasks
from data_pipeline.corpus.stages.records import record_tasks
from data_pipeline.corpus.stages.sentences import sentence_tasks
from data_pipeline.corpus.stages.signatures import signature_tasks
from data_pipeline.corpus.stages.split import split_tasks
from data_pipeline.corpus.stages.survivors import shown_task, survivors_task
from data_pipeline.corpus.tally import merged, reconcile
from data_pipeline.prepare.flow_checks import (
    check_documents,
    check_sentences,
    check_training_documents,
    tell_of_empty_files,
    tell_of_single_blocks,
)
from data_pipeline.prepare.losses import check_damage, losses, tell
from data_pipeline.recipe import DataRecipe, Source
from data_pipeline.recipe_checks import given_files
from data_pipeline.recipe_vocabulary import as_prepared
from data_pipeline.source_formats import FORMATS
from data_pipeline.tasks.engines.runner import Engine, Runner
from data_pipeline.tasks.progress import StageProgress
from data_pipeline.tasks.shard_task import (
    Done,
    Output,
    Place,
    ShardTask,
    done_with_other_inputs,
    fetch,
    finished,
    outputs_of,
    remove_leftovers,
)

logger = logging.getLogger("data_pipeline")


class Stages:
    """The stages of one prepare; each returns its done tasks, which are all that the next may read."""

    def __init__(
        self,
        folder: RunFolder,
        recipe: DataRecipe,
        engine: Engine,
        retrain_vocabulary: bool = False,
        bucket: str = "",
        keep_dropped: bool = False,
    ) -> None:
        self.folder, self._runner = folder, Runner(engine)
        self.recipe = recipe if retrain_vocabulary else _with_the_folders_vocabulary(folder, recipe)
        self._keep_dropped = keep_dropped
        self._retrain_vocabulary, self._place = retrain_vocabulary, Place(str(folder.corpus), bucket)
        self.sources = tuple(replace(source, name=source.name or source.format) for source in recipe.sources)
        self._files = [(source, file) for source in self.sources for file in find_input_files(source.glob)]
        self.inputs = [file for _, file in self._files]
        self.report: dict[str, Any] = {}
        self.source_of: list[Source] = []  # of each part
        self.losses: list[str] = []  # what is not in the records, said once they are there

    def _stage(self, stage: str, tasks: list[ShardTask], unit: str = "documents") -> list[Done]:
        with StageProgress(stage, tasks, unit) as progress:
            done = self._runner.run(tasks, progress.task_found, progress.task_done)
        remove_leftovers(self.folder.corpus, stage, tasks)
        self.report[stage] = merged(task.counts for task in done)
        return done

    def documents(self) -> list[Done]:
        done = self._stage("documents", document_tasks(self._place, self.recipe, self._files, self._keep_dropped))
        records = [each.counts.get("records", 0) for each in done]
        tell_of_empty_files([file.path for _, file in self._files], records)
        tell_of_single_blocks([source for source, _ in self._files], [each.counts for each in done])
        read = [file for _, file in self._files]
        check_damage(done, read, self.recipe)
        self.losses = losses(done, read, self.recipe)
        if not self.report["documents"].get("documents"):
            tell(self.losses)  # the command ends here, and they may be why
        check_documents(self.report["documents"], self.recipe)
        files = zip(done, self._files, strict=True)
        self.source_of = [source for each, (source, _) in files for _ in parts_of([each])]
        return done

    def duplicates(self, documents: list[Done]) -> list[Done]:
        if not self.recipe.drop_duplicates:
            return []
        tasks = duplicate_tasks(self._place, documents, self.report["documents"]["documents"])
        return self._stage("duplicates", tasks, "duplicates")

    def near_duplicates(self, parts: dict[str, Output], duplicates: list[Done]) -> tuple[list[Done], list[Done]]:
        """The signatures, and what is near what."""
        recipe = self.recipe.near_duplicates
        if not recipe.enabled:
            return [], []
        signed = self._stage("signatures", signature_tasks(self._place, recipe, parts))
        number = self.report["signatures"]["documents"]
        tasks = near_duplicate_tasks(self._place, recipe, signed, duplicates, number)
        return signed, self._stage("near_duplicates", tasks, "pairs")

    def survivors(self, documents: list[Done]) -> list[Done]:
        """Whether a document stays is asked of the whole corpus; the answer is a file for each part, so that a part of which
        the answer is the same, when sources are added, need not be done again."""
        duplicates = self.duplicates(documents)
        parts = parts_of(documents)
        signed, near = self.near_duplicates(parts, duplicates)
        if not self.recipe.drop_duplicates and not self.recipe.near_duplicates.enabled:
            return []
        priorities = [self.sources.index(source) for source in self.source_of]
        prepared = [FORMATS[source.format].prepared for source in self.source_of]
        task = survivors_task(self._place, list(parts), priorities, documents, duplicates, signed, near, prepared)
        [done] = self._stage("survivors", [task], "near_duplicates")
        self._stage("shown", [shown_task(self._place, self.recipe.near_duplicates, done, parts)], "examples")
        del self.report["survivors"]["shown"]
        self.report["survivors"] |= self.report.pop("shown")
        return [done]

    def benchmark_index(self) -> list[Done]:
        recipe = self.recipe.decontamination
        if not recipe.benchmarks:
            return []
        files = tuple(file for path in benchmark_paths(recipe.benchmarks) for file in find_input_files(str(path)))
        self.inputs += files
        return self._stage(
            "benchmarks", [benchmarks.index_task(self._place, recipe, self.recipe.sentences, files)], "texts"
        )

    def split(self, documents: list[Done], survivors: list[Done]) -> list[Done]:
        """Where the sentences of each part start."""
        tasks = split_tasks(self._place, self.recipe.sentences, parts_of(documents), survivors)
        return self._stage("split", tasks)

    def matches(self, split: list[Done], index: list[Done]) -> list[Done]:
        """The sentences of each part that match a benchmark."""
        if not index:
            return []
        return self._stage("matches", benchmarks.match_tasks(self._place, self.recipe.decontamination, split, index))

    def formulae(self, matches: list[Done]) -> list[Done]:
        """Which of the benchmark texts found are in so many documents that they are kept; decided over the whole corpus."""
        if not matches:
            return []
        documents = self.report["matches"].get("documents", 0)
        task = benchmarks.formulae_task(self._place, self.recipe.decontamination, matches, documents)
        return self._stage("formulae", [task], "matches")

    def sentences(self, documents: list[Done], survivors: list[Done], index: list[Done]) -> list[Done]:
        split = self.split(documents, survivors)
        matches = self.matches(split, index)
        formulae = self.formulae(matches)
        tasks = sentence_tasks(self._place, self.recipe, split, self.source_of, matches, formulae, self._keep_dropped)
        done = self._stage("sentences", tasks)
        check_sentences(self.report["sentences"])
        return done

    def dropped(self, documents: list[Done], sentences: list[Done]) -> tuple[Output, ...]:
        """The files of what was dropped, in the order of the sources and of the stages."""
        files = outputs_of([*documents, *sentences], DROPPED)
        if files:
            fetch(documents[0].task, files)
            self._runner.check(files)
        return files

    def morphemes(self, sentences: list[Done]) -> tuple[Output, ...]:
        """Tables of counts."""
        counting = vocabulary.count_tasks(self._place, self.recipe, sentences, self.source_of)
        tables = outputs_of(self._stage("morphemes", counting, "morphemes"))
        return outputs_of(self._stage("counts", vocabulary.adding_tasks(self._place, tables), "types"))

    def vocabulary(self, sentences: list[Done]) -> Done:
        check_training_documents(self.report["sentences"])
        recipe = self.recipe.vocabulary
        given: tuple[InputFile, ...] = ()
        counts: tuple[Output, ...] = ()
        if recipe.given:
            given = given_files(recipe.given)
            self.inputs += given
        else:
            counts = self.morphemes(sentences)
        task = vocabulary.vocabulary_task(self._place, recipe, counts, given)
        if not recipe.given and (frozen := self._frozen(task)):
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

    def records(self, sentences: list[Done], vocabulary_: Done) -> list[Done]:
        tasks = record_tasks(self._place, self.recipe, sentences, self.source_of, vocabulary_)
        done = self._stage("records", tasks)
        fetch(tasks[0], outputs_of(done))
        counts = self.report["records"]
        reconcile("records", self.report["sentences"]["documents"], counts["documents"], 0)
        return done


def _with_the_folders_vocabulary(folder: RunFolder, recipe: DataRecipe) -> DataRecipe:
    """The recipe, with the vocabulary that a prepared folder has where only a constant that it names is another by now."""
    written = folder.manifest().get("prepare", {}).get("recipe", {}).get("vocabulary")
    kept = as_prepared(written, recipe.vocabulary) if written else recipe.vocabulary
    if kept != recipe.vocabulary:
        logger.info(
            "vocabulary: as the folder was prepared, though the recipe's constant has changed since; --retrain-vocabulary makes today's"
        )
    return replace(recipe, vocabulary=kept)
