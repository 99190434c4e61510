"""Learning curves of fine-tuning, as PNG."""

import io
import logging
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.packages import needed
from pretrain.evaluate.leaderboard.markdown import points
from pretrain.monitoring.curves.compare import HANGUL_FONTS, escaped

log = logging.getLogger("pretrain")


def curves_png(results: Mapping[str, Mapping[str, Any]]) -> bytes | None:
    """Training loss and headline metric by epoch: a thin line for each seed, a thick one for their mean. None without matplotlib, which
    a line of the log says.

    - `results`: by model what TASK.json says of one task.
    """
    try:
        matplotlib = needed("matplotlib", "the drawing of learning curves", extra="plots")
    except InputError as error:
        log.info("%s", error)
        return None
    matplotlib.use("agg")
    pyplot, fonts = import_module("matplotlib.pyplot"), import_module("matplotlib.font_manager").get_font_names()
    hangul = [font for font in HANGUL_FONTS if font in fonts]
    first = next(iter(results.values()))
    with matplotlib.rc_context({"font.family": ["DejaVu Sans", *hangul]}):
        figure, (losses, scores) = pyplot.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
        for number, (model, result) in enumerate(results.items()):
            name = escaped(model) if model.isascii() or hangul else f"model {number + 1}"
            for axis, curves in ((losses, _losses(result)), (scores, _scores(result))):
                _draw(axis, curves, f"C{number}", name)
        losses.set(title="training loss", xlabel="epoch")
        scores.set(title=f"{first['metric']}, {first['split']} (points)", xlabel="epoch")
        for axis in (losses, scores):
            axis.grid(alpha=0.3)
            axis.xaxis.get_major_locator().set_params(integer=True)
        figure.legend(*losses.get_legend_handles_labels(), loc="outside upper center", ncols=min(4, len(results)))
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=110)
        pyplot.close(figure)
    return content.getvalue()


Curves = Sequence[Sequence[tuple[int, float]]]
"""Of each seed: epochs and values."""


def _losses(result: Mapping[str, Any]) -> Curves:
    return [[(epoch["epoch"], epoch["loss"]) for epoch in curve] for curve in result["epochs"].values()]


def _scores(result: Mapping[str, Any]) -> Curves:
    """Epochs that were scored."""
    metric, split = result["metric"], result["split"]
    return [
        [
            (epoch["epoch"], points(metric, epoch["scores"][split][metric]))
            for epoch in curve
            if epoch["scores"].get(split, {}).get(metric) is not None
        ]
        for curve in result["epochs"].values()
    ]


def _draw(axis: Any, curves: Curves, colour: str, name: str) -> None:
    for curve in curves:
        axis.plot(*zip(*curve, strict=True) if curve else ([], []), color=colour, linewidth=0.6, alpha=0.5)
    epochs = sorted(set.intersection(*({epoch for epoch, _ in curve} for curve in curves)))
    means = [sum(dict(curve)[epoch] for curve in curves) / len(curves) for epoch in epochs]
    axis.plot(epochs, means, "o-", color=colour, markersize=3, linewidth=1.6, label=name)
