"""leaderboard.md."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pretrain.evaluate.leaderboard.evaluated import Evaluated
from pretrain.evaluate.leaderboard.markdown import points, score, table, text
from pretrain.evaluate.leaderboard.published import PUBLISHED, Published, best_on_scored
from pretrain.evaluate.leaderboard.task_page import noise_table
from pretrain.evaluate.tasks.registry import TASKS


def leaderboard_page(facts: Mapping[str, Any], models: Sequence[Evaluated], to: Path, curves: Mapping[str, str]) -> str:
    """The page's Markdown.

    - `facts`: what leaderboard.json says.
    - `to`: the folder of the page, from which links are relative.
    - `curves`: by task the PNG of its learning curves.
    """
    sections = [*_top(facts, models)]
    for task in facts["tasks"]:
        sections += _task(task, [model for model in models if task["task"] in model.results], to, curves)
    return "\n\n".join([*sections, "## Time", _time(facts, models)]) + "\n"


def _top(facts: Mapping[str, Any], models: Sequence[Evaluated]) -> Iterator[str]:
    tasks = facts["tasks"]
    yield "# Leaderboard"
    yield (
        "Points, mean ± deviation over seeds. Bold: no other model here is ahead of it, by the 95 % interval of the paired bootstrap over "
        "the test items, which is about other items with the models as they were trained (the deviation is about other seeds), and not "
        f"corrected for the number of comparisons. Sets below {facts['ranked_from_items']:,} items are not ranked: there the interval of two models that differ on "
        "a tenth of the answers is wider than the 2 points between published base models. `*`: the epoch that is best on the very file "
        "that is scored, which is optimistic; all other scores of models here are of an epoch that was selected without it. "
        "Published scores are of one run each, on the split that is named beside their source or else in the column's title; they are not "
        "compared. What was not run or published stays empty."
    )
    rows = []
    for model in models:
        rows.append([text(model.name), "here", *(_cell(task, model.name) for task in tasks)])
        if any(model.name in task["as_the_suite_selects"] for task in tasks):
            suite = [task["as_the_suite_selects"].get(model.name) for task in tasks]
            cells = [
                f"{score(task['metric'], found)}*" if found else "" for task, found in zip(tasks, suite, strict=True)
            ]
            rows.append([f"{text(model.name)}, as the suite selects", "here", *cells])
    for row in PUBLISHED:
        if any(cells := [_published(row, task) for task in tasks]):
            rows.append([row.model, f"{row.source}, {row.split}" if row.split else row.source, *cells])
    yield table(["", "scores of", *(f"{text(task['title'])}, {task['split']}" for task in tasks)], rows)
    if facts["skipped"]:
        yield "Not evaluated:"
        yield "\n".join(f"- {task}: {text(reason)}" for task, reason in facts["skipped"].items())


def _cell(task: Mapping[str, Any], model: str) -> str:
    if model not in task["scores"]:
        return ""
    shown = score(task["metric"], task["scores"][model])
    verdicts = [
        each["verdict"]
        if each["first"] == model
        else {"ahead": "behind", "behind": "ahead"}.get(each["verdict"], "tie")
        for each in task["comparisons"]
        if model in (each["first"], each["second"])
    ]
    return f"**{shown}**" if task["ranked"] and verdicts and "behind" not in verdicts else shown


def _published(row: Published, task: Mapping[str, Any]) -> str:
    if task["task"] not in TASKS or task["metric"] not in row.scores:
        return ""
    return f"{row.scores[task['metric']]:.2f}{'*' if best_on_scored(row, TASKS[task['task']]) else ''}"


def _task(task: Mapping[str, Any], models: Sequence[Evaluated], to: Path, curves: Mapping[str, str]) -> Iterator[str]:
    metric = task["metric"]
    yield f"## {text(task['title'])}"
    small = "" if task["ranked"] else " A small set: intervals only, no ranks."
    yield f"`{metric}` on {task['items']:,} items of {task['split']}.{small}"
    yield "\n".join(f"- {_how(model, model.results[task['task']], task['task'], to)}" for model in models)
    if task["comparisons"]:
        columns = ["first", "second", "difference", "95 % interval", "the first is"]
        yield table(columns, [_comparison(each, metric, task["ranked"]) for each in task["comparisons"]])
    for each in task["not_compared"]:
        yield f"{text(each['first'])} and {text(each['second'])} are not compared: {text(each['reason'])}."
    if task["noise"]:
        yield "Score with noise (change) of the last epoch:"
        yield noise_table({model.name: model.results[task["task"]] for model in models if model.name in task["scores"]})
    if task["task"] in curves:
        yield f"![learning curves]({curves[task['task']]})"


def _comparison(found: Mapping[str, Any], metric: str, ranked: bool) -> list[str]:
    difference, low, high = (f"{points(metric, found[name]):+.2f}" for name in ("difference", "low", "high"))
    verdict = found["verdict"] if ranked else "not ranked"
    return [text(found["first"]), text(found["second"]), difference, f"{low} to {high}", verdict]


def _how(model: Evaluated, result: Mapping[str, Any], task: str, to: Path) -> str:
    settings = result["settings"]
    link = os.path.relpath(model.folder / f"{task}.md", to)
    step = f"step {result['step']:,}; " if result.get("step") is not None else ""
    probe = ", a linear probe" if settings["frozen"] else ""
    return (
        f"[{text(model.name)}](<{link}>): {step}{result['selected']}; seeds {', '.join(map(str, settings['seeds']))}; {settings['epochs']:g} epochs, "
        f"batches of {settings['batch_size']}, peak learning rate {settings['learning_rate']:g}{probe}; trained on {result['part']['train']}, "
        f"scored on {result['part'][result['split']]}"
    )


def _time(facts: Mapping[str, Any], models: Sequence[Evaluated]) -> str:
    rows = [
        [text(model.name), text(task["title"]), str(len(result["settings"]["seeds"])), f"{result['steps']:,}"]
        + [f"{result['seconds'][what]:,.1f}" for what in ("train", "predict", "compile")]
        + [f"{result['accelerator_hours']:.3f}", text(result["devices"])]
        for task in facts["tasks"]
        for model in models
        if (result := model.results.get(task["task"]))
    ]
    columns = ["model", "task", "seeds", "steps a seed", "training s", "prediction s", "compilation s"]
    return table([*columns, "accelerator-hours", "devices"], rows)
