"""The plot of a study: every fine-tuning is a dot."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from benchmarks.studies.grid import Grid
from benchmarks.studies.page import Column, title_of


def draw(grid: Grid, columns: Sequence[Column], path: Path) -> None:
    """Writes a PNG with a panel for each task, a line for each model, and its mean as a bar."""
    names = [model.name for model in grid.models]
    size = (3.0 * len(columns), 1.2 + 0.3 * len(names))
    figure, axes = plt.subplots(1, len(columns), figsize=size, layout="constrained", squeeze=False, sharey=True)
    for axis, column in zip(axes[0], columns, strict=True):
        for place, name in enumerate(names):
            found = column.scores(name) if name in column.facts else []
            axis.plot(found, [place] * len(found), "o", ms=4, alpha=0.6, color=f"C{place % 10}")
            if found:
                axis.plot([np.mean(found)], [place], "|", ms=14, color=f"C{place % 10}")
        axis.set(title=title_of(column), xlabel=column.any["metric"], yticks=range(len(names)), yticklabels=names)
        axis.set_ylim(len(names) - 0.5, -0.5)
    figure.savefig(path, dpi=100)
    plt.close(figure)
