"""How often each position of the model is trained, and how much of a row is text: counted in the records of each layout.

python -m benchmarks.positions
"""

import dataclasses
import tempfile
from dataclasses import dataclass
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import tyro

from benchmarks.results_page import RESULTS, table, write_page
from configs import petitions_small
from data_pipeline.contract.errors import InputError, run_command
from data_pipeline.contract.records import Records
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.prepare import prepare
from data_pipeline.recipe import Packed, SentencePairs, Source
from pretrain.objectives.rows import expand_rows

LAYOUTS = (Packed(128), Packed(512), SentencePairs(128), SentencePairs(512))
AT_ONCE = 1024
BINS = 8


@dataclass(frozen=True)
class Positions:
    """Prepares the petitions in four layouts and counts the positions of their tokens."""

    data: Path = Path("../shared/data")
    """Folder with corpus/petitions_*.jsonl.gz."""


@dataclass(frozen=True)
class Counts:
    """What was found in the training records of a layout.

    - `positions`: int64 [length], real tokens at each position.
    - `random_pairs`: share of pairs whose second part is from elsewhere; None for packed rows.
    """

    layout: Packed | SentencePairs
    rows: int
    positions: np.ndarray
    random_pairs: float | None

    @property
    def name(self) -> str:
        return f"{type(self.layout).__name__}({self.layout.length})"


def main() -> None:
    """The command."""
    run_command(lambda: measure(tyro.cli(Positions)))


def measure(options: Positions) -> None:
    """Prepares in a temporary folder and writes the page and the plot."""
    if not options.data.is_dir():
        raise InputError(f"--data {options.data}: no such folder")
    source = Source("petitions", f"{options.data}/corpus/petitions_*.jsonl.gz", name="petitions")
    found = []
    with tempfile.TemporaryDirectory() as place:
        folder = RunFolder(place)
        for layout in LAYOUTS:  # in one folder: the text and the vocabulary are prepared once
            recipe = dataclasses.replace(petitions_small.data, sources=(source,), examples=layout)
            prepare(folder, "petitions_small", recipe, workers=1)
            found.append(count(Records(folder.examples, "train"), layout))
    draw(found)
    title = "Positions trained and packing efficiency, by layout, on five months of petitions"
    write_page("positions", title, ("array-record", "tensorflow-datasets"), page(found))


def count(records: Records, layout: Packed | SentencePairs) -> Counts:
    """Counts the training rows as the model will see them."""
    header = records.header
    expand = jax.jit(lambda fields: expand_rows(fields, header.layout, header.pad_id))
    positions, labels = np.zeros(header.length, np.int64), []
    for first in range(0, len(records), AT_ONCE):
        fields = records.read(range(first, min(first + AT_ONCE, len(records))))
        rows = expand({name: fields[name] for name in ("tokens", "word_starts", "segment_starts")})
        real = np.asarray(rows.position_ids)[np.asarray(rows.tokens) != header.pad_id]
        positions += np.bincount(real, minlength=header.length)
        labels.append(fields.get("label", np.zeros(0)))
    share = float(np.concatenate(labels).mean()) if header.layout == "sentence_pairs" else None
    return Counts(layout, len(records), positions, share)


def page(found: list[Counts]) -> str:
    """The page's body."""
    packing = [
        (
            each.name,
            f"{each.rows:,}",
            f"{each.positions.sum():,}",
            f"{each.positions.sum() / (each.rows * each.layout.length):.2%}",
            f"{each.positions[0]:,}",
            "" if each.random_pairs is None else f"{each.random_pairs:.3f}",
        )
        for each in found
    ]
    shares = [
        (f"{each.name}", *(f"{share:.1%}" for share in in_bins(each.positions / each.positions[0]))) for each in found
    ]
    bins = [f"{number + 1}/{BINS} of the row" for number in range(BINS)]
    return f"""
Rows of the training split; a segment is a document or a piece of one (in pairs: the row).

{table(("layout", "rows", "real tokens", "packing efficiency", "segments", "random pairs"), packing)}

How often a position is used, as a share of the use of position 0, on average over each eighth of the row:

{table(("layout", *bins), shares)}

The least used position: {", ".join(f"{each.name} {each.positions.argmin()} ({each.positions.min():,} times an epoch)" for each in found)}.

![use of positions](positions.png)
"""


def in_bins(values: np.ndarray) -> list[float]:
    """The means of equal parts of values [length]."""
    return [float(part.mean()) for part in np.array_split(values, BINS)]


def draw(found: list[Counts]) -> None:
    """The plot `positions.png`."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 3.5), layout="constrained")
    for axis, length in zip(axes, (128, 512), strict=True):
        for each in found:
            if each.layout.length == length:
                axis.plot(each.positions / each.positions[0], label=each.name)
        axis.set(xlabel="position", title=f"use of each position, rows of {length}", ylim=(0, 1.05))
        axis.legend()
    axes[0].set_ylabel("share of position 0")
    figure.savefig(RESULTS / "positions.png", dpi=100)


if __name__ == "__main__":
    main()
