"""A prepared run folder, read back: its recipe, counts, parts and the steps that made its sentences."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from data_pipeline import recipe as recipe_module
from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_file import from_plain
from data_pipeline.contract.run_folder import REPORT, RunFolder
from data_pipeline.contract.storage import read_json
from data_pipeline.corpus.corpus_files import MATCHES
from data_pipeline.corpus.document import Step
from data_pipeline.corpus.stages.benchmarks import FORMULAE
from data_pipeline.corpus.stages.duplicates import repeated_documents
from data_pipeline.corpus.stages.sentences import PART, sentence_parameters, steps_of
from data_pipeline.corpus.steps.split_sentences import sentence_splitter
from data_pipeline.recipe import DataRecipe
from data_pipeline.tasks.shard_task import Output, ShardTask


class Prepared:
    """What diff needs of a run. InputError where it was not prepared to the end, or by a version with another recipe."""

    def __init__(self, folder: RunFolder) -> None:
        self.path, self._corpus = folder.path, folder.corpus
        self.stages: dict[str, Any] = read_json(folder.corpus / REPORT)
        if self.stages is None:
            raise InputError(f"{folder.path}: prepare has not finished here; run the same prepare command again")
        self.facts: dict[str, Any] = folder.manifest()["prepare"]
        classes = [value for value in vars(recipe_module).values() if isinstance(value, type) and is_dataclass(value)]
        written = self.facts["recipe"]
        if set(written) - {"kind"} != {field.name for field in fields(DataRecipe)}:
            raise InputError(
                f"{folder.path}: prepared by a version whose recipes have other fields; run the same prepare command again"
            )
        self.recipe: DataRecipe = from_plain(written, classes)

    @cached_property
    def sentence_parts(self) -> dict[str, Path]:
        """Name of a part -> its file of sentences."""
        return {name: folder / PART for name, folder in self._attempts("sentences").items()}

    @cached_property
    def document_parts(self) -> dict[str, Path]:
        """Name of a part, the same as that of its sentences -> its file of cleaned documents."""
        return {
            f"{name}-{path.stem.removeprefix('part-')}": path
            for name, folder in self._attempts("documents").items()
            for path in sorted(folder.glob("part-*.zst"))
        }

    def repeated(self, part: str) -> dict[int, str]:
        """Position -> reason of the documents that a part lost as duplicates."""
        return {
            position: reason
            for folder in self._attempts("survivors").values()
            for position, reason in repeated_documents(str(folder / f"{part}.npy")).items()
        }

    def steps(self, part: str, source: str) -> list[Step]:
        """The steps that the documents of a part went through after deduplication, the split into sentences first."""
        inputs = {
            "matches": self._outputs("matches", part, MATCHES),
            "formulae": self._outputs("formulae", "all", FORMULAE),
        }
        [of_recipe] = [each for each in self.recipe.sources if (each.name or each.format) == source]
        parameters = sentence_parameters(self.recipe, of_recipe)
        task = ShardTask("sentences", part, "", str(self._corpus), inputs, parameters)
        return [sentence_splitter(self.recipe.sentences), *steps_of(task)]

    def _outputs(self, stage: str, task: str, name: str) -> tuple[Output, ...]:
        return tuple(Output(str(folder / name), 0, "") for of, folder in self._attempts(stage).items() if of == task)

    def _attempts(self, stage: str) -> dict[str, Path]:
        """Task -> folder of the attempt that counts."""
        return dict(self._named_attempts(stage))

    def _named_attempts(self, stage: str) -> Iterator[tuple[str, Path]]:
        for path in sorted((self._corpus / stage / "done").glob("*.json")):
            folder = self._corpus / stage / "data" / read_json(path)["attempt"]
            if not folder.is_dir():
                raise InputError(f"{folder}: is missing; run the same prepare command again")
            yield path.stem, folder
