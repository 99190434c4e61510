"""compare: the curves of several runs over each other, as one PNG or one HTML page that needs nothing else."""

import html
import io
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.packages import needed
from data_pipeline.contract.recipe_file import differences
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import read_json, write_atomically
from pretrain.checkpoints.facts import RECIPE_FILE
from pretrain.monitoring.metrics import METRICS_FILE, read_metrics
from pretrain.objectives.config import objective_classes

OF_EVERY_RUN = {
    "grad_norm": "gradient norm",
    "grad_norm_max": "largest gradient norm",
    "learning_rate": "learning rate",
    "tokens_per_second": "tokens/s",
    "data_wait": "data wait",
}
"""Metrics beside the headlines of objectives, and their titles."""
HANGUL_FONTS = ("Noto Sans CJK KR", "NanumGothic", "Malgun Gothic", "Apple SD Gothic Neo", "AppleGothic")
"""Taken for the names of runs in a PNG where one is installed; matplotlib's own font has no Hangul."""


@dataclass(frozen=True)
class Run:
    """What is shown of a run: its name, the lines of metrics.jsonl, its resolved recipe."""

    name: str
    lines: list[dict[str, Any]]
    recipe: dict[str, Any]

    def points(self, metric: str) -> tuple[list[int], list[float]]:
        """Steps and values of one metric; what was not finite is left out."""
        found = [(line["step"], line[metric]) for line in self.lines if line.get(metric) is not None]
        return [step for step, _ in found], [value for _, value in found]


def compare(folders: Sequence[Path], to: Path) -> None:
    """Draws the curves of runs and prints the last value of each.

    - `to`: a file whose name ends in .png or .html.

    Raises InputError for another ending, and for a folder without metrics.
    """
    if to.suffix not in (".png", ".html"):
        raise InputError(f"--to {to}: must end in .png or .html")
    runs = [Run(name, *_read(folder)) for name, folder in zip(names_of(folders), folders, strict=True)]
    metrics = {name: title for name, title in curve_titles().items() if any(run.points(name)[0] for run in runs)}
    if to.suffix == ".png":
        content = draw(runs, metrics, "png")
    else:
        content = page(runs, metrics, draw(runs, metrics, "svg").decode()).encode()
    write_atomically(to, content)
    for row in last_values(runs, metrics):
        print("  ".join(f"{cell:<26}" if not index else f"{cell:>14}" for index, cell in enumerate(row)))
    print(to)


def curve_titles() -> dict[str, str]:
    """Metrics that are drawn, where a run has them, and their titles: the headlines of all objectives, training then held-out rows."""
    titles: dict[str, str] = {}
    for headline in (each for objective in objective_classes() for each in objective.headlines()):
        title = f"{headline.title} ({headline.unit})" if headline.unit else headline.title
        titles |= {headline.metric: title, f"evaluation_{headline.metric}": f"held-out {title}"}
    return titles | OF_EVERY_RUN


def names_of(folders: Sequence[Path]) -> list[str]:
    """The folders' own names where these differ, or the paths as they were given."""
    names = [folder.resolve().name for folder in folders]
    return names if len(set(names)) == len(names) else [str(folder) for folder in folders]


def _read(folder: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    run = RunFolder(folder)
    lines = read_metrics(run.metrics / METRICS_FILE)
    if not lines:
        raise InputError(
            f"{folder}: holds no metrics; give folders in which `python -m pretrain train` has logged a step"
        )
    return lines, read_json(run.path / RECIPE_FILE) or {}


def draw(runs: Sequence[Run], metrics: Mapping[str, str], form: str) -> bytes:
    """One plot for each metric, all runs in it, as `png` or `svg`."""
    matplotlib = needed("matplotlib", "the drawing of curves", extra="plots")
    matplotlib.use("agg")
    pyplot, fonts = import_module("matplotlib.pyplot"), import_module("matplotlib.font_manager").get_font_names()
    hangul = [font for font in HANGUL_FONTS if font in fonts]
    # An SVG's letters stay letters, which the browser draws; the salt: same runs, same bytes.
    settings = {"font.family": ["DejaVu Sans", *hangul], "svg.fonttype": "none", "svg.hashsalt": "compare"}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # in an SVG, which leaves them to the browser
        rows = -(-len(metrics) // 2)
        figure, grid = pyplot.subplots(rows, 2, figsize=(11, 3.2 * rows), layout="constrained", squeeze=False)
        for axis, (metric, title) in zip(grid.flat, metrics.items(), strict=False):
            for number, run in enumerate(runs, 1):
                drawable = form == "svg" or run.name.isascii() or hangul
                marks = "o-" if metric.startswith("evaluation") else "-"
                label = escaped(run.name) if drawable else f"run {number}"
                axis.plot(*run.points(metric), marks, markersize=3, linewidth=1, label=label)
            axis.set(title=title, xlabel="step")
            axis.grid(alpha=0.3)
        for axis in grid.flat[len(metrics) :]:
            axis.set_axis_off()
        figure.legend(*grid.flat[0].get_legend_handles_labels(), loc="outside upper center", ncols=min(4, len(runs)))
        content = io.BytesIO()
        figure.savefig(content, format=form, dpi=110, metadata={"Date": None} if form == "svg" else None)
        pyplot.close(figure)
    return content.getvalue()


def escaped(name: str) -> str:
    """A name as matplotlib shows it: a dollar sign begins no formula, and a leading underscore hides nothing."""
    return re.sub(r"^_", "\u200a_", name.replace("$", r"\$"))


def last_values(runs: Sequence[Run], metrics: Mapping[str, str]) -> list[list[str]]:
    """A table: its head, the last step, and the last value of each metric for each run."""
    rows = [["", *(run.name for run in runs)], ["step", *(f"{run.lines[-1]['step']:,}" for run in runs)]]
    for metric, title in metrics.items():
        values = [run.points(metric)[1] for run in runs]
        rows.append([title, *(f"{found[-1]:.5g}" if found else "-" for found in values)])
    return rows


def page(runs: Sequence[Run], metrics: Mapping[str, str], svg: str) -> str:
    """The HTML page: the plots, the last values, and in what the recipes differ from the first run's."""
    table = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
        for row in last_values(runs, metrics)
    )
    differing = "".join(
        f"<h2>{html.escape(run.name)} differs from {html.escape(runs[0].name)}</h2><ul>"
        + "".join(
            f"<li>{html.escape(words)}</li>" for words in differences(runs[0].recipe, run.recipe) or ["in nothing"]
        )
        + "</ul>"
        for run in runs[1:]
    )
    style = (
        "body{font-family:system-ui,sans-serif;margin:1em auto;max-width:72em;padding:0 1em;background:#fff;color:#111}"
        "svg{width:100%;height:auto}table{border-collapse:collapse}td{padding:.2em .8em;border-bottom:1px solid #ccc}"
        "td+td{text-align:right}"
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Runs compared</title><style>{style}</style><h1>{html.escape(', '.join(run.name for run in runs))}</h1>"
        f"{svg[svg.index('<svg') :]}<table>{table}</table>{differing}</html>\n"
    )
