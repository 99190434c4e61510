"""How often records train each position, for packed rows and for sentence pairs of 128 and 512 tokens, on petitions.

python -m benchmarks.positions
"""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import tyro

from benchmarks.corpora import RECIPE, corpora
from benchmarks.results_page import RESULTS, table, write_page
from data_pipeline.contract.errors import run_command
from data_pipeline.contract.recipe_file import load_recipe
from data_pipeline.contract.records import PAIRS, Layout, Records, from_bitmap
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.tokenizer import Tokenizer
from data_pipeline.corpus.corpus_files import read_sentences
from data_pipeline.prepare.run import prepare
from data_pipeline.recipe import DataRecipe, Packed, SentencePairs, Source
from pretrain.objectives.rows import expand_rows

PACKAGES = ("kss", "tokenizers", "array_record", "tensorflow-datasets", "numpy", "matplotlib")
LAYOUTS: tuple[Packed | SentencePairs, ...] = (Packed(128), Packed(512), SentencePairs(128), SentencePairs(512))
BINS = 8
ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class Positions:
    """Prepares the petitions in four layouts and counts the positions of their training rows."""

    data: Path = Path("../shared/data")
    """Folder with corpus/, tasks/ and vocabularies/."""
    workers: int = 2
    """Processes of prepare; the result does not depend on it."""


@dataclass(frozen=True)
class Text:
    """The documents that train: how many; the tokens of each run, a part of a document between sentences that were removed."""

    documents: int
    runs: tuple[int, ...]


@dataclass(frozen=True)
class Counts:
    """What the training rows of one layout hold.

    - `positions`: int64 [length], real tokens at each position id, as the model sees them.
    - `segments`: `[CLS] ... [SEP]`, or A and B; `label_1`: rows whose B comes from elsewhere.
    """

    name: str
    layout: Layout
    positions: np.ndarray
    rows: int
    segments: int
    label_1: int

    @property
    def length(self) -> int:
        return len(self.positions)

    @property
    def relative(self) -> np.ndarray:
        """Share of each position in what position 1 gets: the first behind [CLS]."""
        return self.positions / self.positions[1]


def main() -> None:
    """The command."""
    run_command(lambda: measure(tyro.cli(Positions)))


def measure(options: Positions) -> None:
    """Runs everything in a temporary folder and writes the page and the plot."""
    found = corpora(options.data)
    name, recipe = load_recipe(RECIPE, "data", DataRecipe)
    recipe = replace(recipe, sources=(Source("petitions", found.petitions),))
    with tempfile.TemporaryDirectory() as place:
        folder = RunFolder(place)
        counted = []
        for layout in LAYOUTS:
            prepare(folder, name, replace(recipe, examples=layout), options.workers)
            counted.append(count(Records(folder.examples, "train"), f"{type(layout).__name__} {layout.length}"))
        text = training_text(folder)
    draw(counted)
    write_page("positions", "How often each position is trained", PACKAGES, page(counted, text))


def count(records: Records, name: str) -> Counts:
    """Reads every row."""
    header = records.header
    positions = np.zeros(header.length, np.int64)
    segments = label_1 = 0
    for start in range(0, len(records), ROWS_AT_ONCE):
        record = records.read(range(start, min(start + ROWS_AT_ONCE, len(records))))
        on_device = {field: jnp.asarray(values) for field, values in record.items()}
        rows = expand_rows(on_device, header.layout, header.pad_id)
        real = record["tokens"] != header.pad_id
        positions += np.bincount(np.asarray(rows.position_ids)[real], minlength=header.length)
        segments += int(np.count_nonzero(from_bitmap(record["segment_starts"]) & real))
        label_1 += int(record["label"].sum()) if "label" in record else 0
    return Counts(name, header.layout, positions, len(records), segments, label_1)


def training_text(folder: RunFolder) -> Text:
    """The text that the records were made of, tokenised once more."""
    tokenizer, documents, runs = Tokenizer(folder.vocabulary), 0, list[int]()
    for part in sorted((folder.corpus / "sentences" / "data").glob("*/part.zst")):
        for document in read_sentences(str(part)):
            if document.split == "train":
                documents += 1
                for run in document.runs():
                    encoded = tokenizer.encode([sentence.text for sentence in run], "token")
                    runs.append(sum(len(ids) for ids, _ in encoded))
    return Text(documents, tuple(runs))


def page(counted: list[Counts], text: Text) -> str:
    """The page's body."""
    tokens = sum(text.runs)
    filled = [
        (
            each.name,
            f"{each.rows:,}",
            f"{each.positions.sum() / (each.rows * each.length):.2%}",
            f"{each.segments / each.rows:.2f}",
            f"{(each.positions.sum() - _specials(each)) / tokens:.2%}",
            f"{sum(run > each.length - 2 for run in text.runs):,}",
            f"{each.segments - len(text.runs):,}" if each.layout == "packed" else "",
            f"{each.label_1 / each.rows:.1%}" if each.layout in PAIRS else "",
        )
        for each in counted
    ]
    return f"""
{text.documents:,} petitions that train, {len(text.runs):,} runs (a removed sentence parts a document), {tokens:,} tokens; the
settings of `{RECIPE}` but for the layout. Counted from the records, with the position ids that the model gets.

{table(ROWS_TABLE, filled)}

Real tokens are those that are not padding; tokens of the text: how many of them stand in the rows, specials left out
(a pair loses what does not fit, and a random B repeats text). Runs cut: segments that begin inside a run.

## Share of each position in what position 1 gets

{_shares(counted)}

![share of each position](positions.png)

A packed segment restarts at position 0, so late positions are trained by long documents only; a pair runs through its row.
"""


ROWS_TABLE = (
    "layout", "rows", "real tokens / slots", "segments a row", "tokens of the text", "runs longer than a row", "runs cut",
    "label 1",
)  # fmt: skip


def _specials(each: Counts) -> int:
    """[CLS] and [SEP]: two for a packed segment, three for a pair."""
    return 2 * each.segments if each.layout == "packed" else 3 * each.rows


def _shares(counted: list[Counts]) -> str:
    """One table a length: the mean over each eighth of the positions, and the last position."""
    tables = []
    for length in sorted({each.length for each in counted}):
        chosen = [each for each in counted if each.length == length]
        bins = np.split(np.arange(length), BINS)
        rows = [(f"{bin[0]}-{bin[-1]}", *(f"{each.relative[bin].mean():.1%}" for each in chosen)) for bin in bins]
        rows.append((f"{length - 1}", *(f"{each.relative[-1]:.1%}" for each in chosen)))
        tables.append(table(("position", *(each.name for each in chosen)), rows))
    return "\n\n".join(tables)


def draw(counted: list[Counts]) -> None:
    """The plot `positions.png`."""
    lengths = sorted({each.length for each in counted})
    figure, axes = plt.subplots(1, len(lengths), figsize=(11, 4), layout="constrained")
    for axis, length in zip(axes, lengths, strict=True):
        for each in counted:
            if each.length == length:
                axis.plot(each.relative[1:], label=each.name)
        axis.set(xlabel="position", ylim=(0, None), title=f"rows of {length}")
        axis.legend()
    axes[0].set_ylabel("tokens, relative to position 1")
    RESULTS.mkdir(exist_ok=True)
    figure.savefig(RESULTS / "positions.png", dpi=100)


if __name__ == "__main__":
    main()
