"""The page of one task and model: scores, curves, noise, which classes are taken for which, the worst errors."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from data_pipeline.contract.storage import write_atomically
from pretrain.evaluate.leaderboard.curves import curves_png
from pretrain.evaluate.leaderboard.markdown import points, score, table, text

CURVES = "curves.png"


def write_task_page(result: Mapping[str, Any], to: Path) -> None:
    """Writes `to`/TASK.md and, where matplotlib is installed, its learning curves beside the seeds' files.

    - `result`: what TASK.json says.
    """
    task = result["task"]
    drawn = curves_png({result["model"]: result})
    if drawn:
        write_atomically(to / task / CURVES, drawn)
    write_atomically(to / f"{task}.md", task_page(result, f"{task}/{CURVES}" if drawn else "").encode())


def task_page(result: Mapping[str, Any], curves: str) -> str:
    """The page's Markdown.

    - `curves`: where the PNG of the curves is, or "".
    """
    return "\n\n".join(_sections(result, curves)) + "\n"


def _sections(result: Mapping[str, Any], curves: str) -> Iterator[str]:
    settings, metric = result["settings"], result["metric"]
    yield f"# {text(result['title'])}: {text(result['model'])}"
    yield (
        f"{result['items']['count']:,} items of {result['split']}, {len(settings['seeds'])} seeds, "
        f"{settings['epochs']:g} epochs, batches of {settings['batch_size']}, peak learning rate {settings['learning_rate']:g}"
        f"{', a linear probe' if settings['frozen'] else ''}. Data: "
        f"{'; '.join(f'{split}: {part}' for split, part in result['part'].items())}. {result['devices']}: "
        f"{result['accelerator_hours']:.3f} accelerator-hours."
    )
    told = [result, *([result["as_the_suite_selects"]] if "as_the_suite_selects" in result else [])]
    yield table(
        ["points, mean ± deviation over seeds", *(each["selected"] for each in told)],
        [[name, *(score(name, each["scores"][name]) for each in told)] for name in result["scores"]],
    )
    yield "## Learning curves"
    if curves:
        yield f"![training loss and {metric} by epoch]({curves})"
    yield _epochs(result)
    if "noise" in result:
        yield "## Noise"
        yield noise_table({result["model"]: result})
    if "confusion" in result:
        labels, items = result["confusion"]["labels"], result["confusion"]["items"]
        yield "## Gold and predicted classes"
        yield "Items, the mean over seeds; a row is a gold class."
        names = [text(label) for label in labels]
        shown = [
            [name, *(f"{count:.1f}" for count in row), f"{row[place] / sum(row):.1%}" if sum(row) else ""]
            for place, (name, row) in enumerate(zip(names, items, strict=True))
        ]
        yield table(["gold \\ predicted", *names, "found"], shown)
    if result.get("worst_errors"):
        yield "## The worst errors"
        how = "probability" if "probability" in result["worst_errors"][0] else "distance"
        yield "By the mean over seeds: " + (
            "the most probable wrong classes."
            if how == "probability"
            else "the predictions farthest from the gold score."
        )
        rows = [
            [
                text(error["name"]),
                *(_answer(error[side]) for side in ("gold", "predicted")),
                f"{error[how]:.4f}",
                " / ".join(map(text, error["texts"])),
            ]
            for error in result["worst_errors"]
        ]
        yield table(["item", "gold", "predicted", how, "text"], rows)


def _answer(value: str | float) -> str:
    return text(value) if isinstance(value, str) else f"{value:.2f}"


def _epochs(result: Mapping[str, Any]) -> str:
    metric = result["metric"]
    splits = [split for split in result["part"] if split != "train"]
    rows = [
        [seed, str(epoch["epoch"]), f"{epoch['loss']:.4f}"]
        + [_value(metric, epoch["scores"].get(split, {}).get(metric)) for split in splits]
        + [f"{epoch[what]:.1f}" for what in ("train", "predict", "compile")]
        for seed, curve in result["epochs"].items()
        for epoch in curve
    ]
    columns = ["seed", "epoch", "loss", *(f"{metric}, {split}" for split in splits)]
    return table([*columns, "training s", "prediction s", "compilation s"], rows)


def _value(metric: str, value: float | None) -> str:
    return "" if value is None else f"{points(metric, value):.2f}"


def noise_table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Scores and drops of models on one task, in points; a model without noise is left out."""
    noised = {model: result["noise"] for model, result in results.items() if "noise" in result}
    metric = next(iter(results.values()))["metric"]
    names = list(
        dict.fromkeys(name for noise in noised.values() for name in noise if name not in ("selected", "clean"))
    )

    def cell(found: Mapping[str, Any] | None) -> str:
        if found is None or found[metric]["drop"] is None:
            return ""
        change = round(-points(metric, found[metric]["drop"]), 2) + 0.0  # not -0.00
        return f"{score(metric, found[metric])} ({change:+.2f})"

    return table(
        ["last epoch", "clean", *(name.replace("_", " ") for name in names)],
        [
            [text(model), score(metric, noise["clean"][metric]), *(cell(noise.get(name)) for name in names)]
            for model, noise in noised.items()
        ],
    )
