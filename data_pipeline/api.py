"""What a notebook needs of the data side; the commands call the same.

from data_pipeline.api import prepare, read_rows, split_sentences

prepare("quickstart", "runs/quickstart")
for row in read_rows("runs/quickstart", stop=3):
    print(row["tokens"])
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_file import load_recipe
from data_pipeline.contract.run_folder import RunFolder, existing_run_folder
from data_pipeline.recipe import DataRecipe, SentenceSplit

ROWS_AT_ONCE = 256


def prepare(
    recipe: str | DataRecipe,
    run_dir: str | Path,
    *,
    name: str = "",
    workers: int | None = None,
    ray_address: str = "",
    bucket: str = "",
    retrain_vocabulary: bool = False,
    keep_dropped: bool = False,
) -> None:
    """Raw corpora to records, as `python -m data_pipeline prepare`. Does what is not done yet.

    - `recipe`: configs/NAME.py, NAME, or a recipe; `name`: what the run says that it was made by, where it is a recipe.
    - `workers`: processes, None for one a core; a script that gives more than one needs `if __name__ == "__main__":`.
    - `ray_address`, `bucket`: a Ray cluster that does the work, and the folder on gs:// through which its machines exchange files.
    - `retrain_vocabulary`: whether a prepared folder to which text was added gets another vocabulary.
    - `keep_dropped`: whether everything that is dropped is written to corpus/dropped.jsonl.zst, with its reason.

    Raises InputError for what is wrong with the recipe or its files, WorkError where the machine fails.
    """
    name, data = load_recipe(recipe, "data", DataRecipe) if isinstance(recipe, str) else (name or "recipe", recipe)
    # Here, not above: it imports what only this work needs.
    from data_pipeline.prepare.packages import require_packages

    require_packages(data)
    from data_pipeline.prepare.run import prepare as run

    run(
        RunFolder(Path(run_dir)),
        name,
        data,
        workers,
        ray_address=ray_address,
        bucket=bucket,
        retrain_vocabulary=retrain_vocabulary,
        keep_dropped=keep_dropped,
    )


def read_rows(
    run_dir: str | Path, split: str = "train", *, start: int = 0, stop: int | None = None, length: int | None = None
) -> Iterator[dict[str, np.ndarray]]:
    """The rows of a prepared run, in the order in which they are stored.

    Each has `tokens`, uint16 or uint32 [length], and, bool [length], `word_starts` and `segment_starts`; pairs also `label`, and rows
    with targets `target_tokens` and `target_word_starts` (`data_pipeline.contract.records`).

    - `split`: train or evaluation. `start`, `stop`: as of a slice, from 0.
    - `length`: of the rows, where the run has several; None means that of `examples.length`.

    Raises InputError where the run has no such rows.
    """
    from data_pipeline.contract.records import Records, folder_of_length, from_bitmap

    folder = existing_run_folder(run_dir)
    records = Records(folder_of_length(folder.examples, length) if length else folder.examples, split)
    stop = len(records) if stop is None else min(stop, len(records))
    if not 0 <= start <= stop:
        raise InputError(f"start {start}: the {split} split has rows 0 to {len(records) - 1}")
    for first in range(start, stop, ROWS_AT_ONCE):
        rows = records.read(range(first, min(first + ROWS_AT_ONCE, stop)))
        for index in range(len(rows["tokens"])):
            yield {
                field: from_bitmap(values[index]) if field.endswith("_starts") else values[index]
                for field, values in rows.items()
            }


def split_sentences(text: str, splitter: str = "kss_repaired") -> list[str]:
    """The sentences of a text, as a recipe with this `sentences.splitter` cuts them, without the blanks between them."""
    from data_pipeline.contract.recipe_types import find_wrong_value
    from data_pipeline.corpus.document import Document, Dropped
    from data_pipeline.corpus.steps.split_sentences import sentence_splitter

    settings = SentenceSplit(splitter=splitter)  # type: ignore[arg-type]
    if wrong := find_wrong_value(settings, SentenceSplit):
        raise InputError(wrong.sentence("sentences"))
    result = sentence_splitter(settings)(Document("text", "text", text))
    return [] if isinstance(result, Dropped) else [sentence.text for sentence in result.sentences or ()]
