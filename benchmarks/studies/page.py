"""The page of a study, from the cells that were run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.results_page import table
from benchmarks.studies.grid import Grid, TaskSpec
from benchmarks.studies.overlap import Overlap
from benchmarks.studies.results import Facts, Results, Values
from pretrain.evaluate.leaderboard.board import RANKED_ITEMS
from pretrain.evaluate.leaderboard.outcomes import OUTCOMES
from pretrain.evaluate.leaderboard.statistics import Counted, compare_counted


@dataclass(frozen=True)
class Column:
    """What the models did on one task.

    - `facts`: of every cell that was run, by model in the order of pretraining seeds; `outcomes`: likewise.
    """

    task: TaskSpec
    facts: Mapping[str, list[Facts]]
    outcomes: Mapping[str, list[Values]]

    @property
    def any(self) -> Facts:
        """The facts of one cell, for what is the same in all."""
        return next(iter(self.facts.values()))[0]

    @property
    def items(self) -> int:
        """How many are scored."""
        return int(self.any["items"]["count"])

    @property
    def ranked(self) -> bool:
        """Whether the page says that one model is ahead of another: on few items that would be chance."""
        return self.items >= RANKED_ITEMS

    def scores(self, model: str) -> list[float]:
        """The headline metric of every fine-tuning, in points of 100."""
        found = [score for facts in self.facts[model] for score in facts["scores"][facts["metric"]]["seeds"]]
        return [self.points * score for score in found if score is not None]

    @property
    def points(self) -> float:
        """What makes the metric one of 100: KLUE's are already."""
        return 1.0 if self.any["metric"].startswith(("klue_", "ynat_")) else 100.0

    def counted(self, model: str) -> list[Counted]:
        """The metric on draws of the items, of each fine-tuning; none where it is not kept by item."""
        outcome = OUTCOMES.get(self.any["metric"])
        return [outcome.score(values) for values in self.outcomes.get(model, ())] if outcome else []


def columns_of(grid: Grid, results: Results) -> list[Column]:
    """The tasks of which at least one cell was run."""
    columns = []
    for task in grid.tasks:
        facts: dict[str, list[Facts]] = {}
        outcomes: dict[str, list[Values]] = {}
        for cell in grid.cells():
            if cell.task.column == task.column and (found := results.read(cell)):
                facts.setdefault(cell.model.name, []).append(found)
                outcomes.setdefault(cell.model.name, []).extend(results.outcomes(cell))
        if facts:
            columns.append(Column(task, facts, outcomes))
    return columns


def page(grid: Grid, results: Results, overlap: Overlap) -> str:
    """The page's body."""
    cells = list(grid.cells())
    run = [facts for cell in cells if (facts := results.read(cell))]
    columns = columns_of(grid, results)
    incomplete = (
        "" if len(run) == len(cells) else " **The rest was not run: what follows is no result of the study yet.**"
    )
    devices = sorted({facts["devices"] for facts in run if "devices" in facts})
    hours = sum(facts["clock"] for facts in run) / 3600
    parts = [
        f"{len(run)} of {len(cells)} cells were run.{incomplete} A cell is a pretrained model on a task, with its fine-tuning seeds; "
        f"those here took {hours:.2f} hours by the clock ({', '.join(devices) or 'no network'}) beside what pretraining took.",
        grid.note,
        pretraining(grid, results),
        "## Scores\n\nPoints of 100: the mean over all pretraining and fine-tuning seeds, their deviation, and how many there are. In brackets the 95 % "
        "interval of the bootstrap over test items.\n\n" + scores(grid, columns) + f"\n\n![scores]({grid.name}.png)",
        "## Compared\n\n" + compared(grid, columns),
        noise(grid, columns),
        settings(columns),
        left(overlap),
    ]
    return "\n\n".join(part for part in parts if part)


def pretraining(grid: Grid, results: Results) -> str:
    """What the models are made of."""
    rows = []
    for model in grid.models:
        seen: dict[int, Facts] = {}
        for cell in grid.cells():
            if cell.model == model and (facts := results.read(cell)) and facts["pretraining"]:
                seen[cell.seed] = facts["pretraining"]
        if seen:
            each = list(seen.values())
            rows.append(
                (
                    model.name,
                    len(each),
                    f"{each[0]['parameters']:,}",
                    " / ".join(map(_steps, each)),
                    " / ".join(f"{one['tokens'] / 1e6:.2f}" for one in each),
                    " / ".join(f"{one['seconds']:.0f}" for one in each),
                )
            )
    return (
        table(("model", "pretraining seeds", "parameters without head", "steps", "million tokens", "seconds"), rows)
        if rows
        else ""
    )


def _steps(facts: Facts) -> str:
    """Steps that were taken, and how many were planned where the seconds were over before."""
    planned = facts.get("planned_steps", facts["steps"])
    return f"{facts['steps']:,}" + (f" of {planned:,}" if planned != facts["steps"] else "")


def scores(grid: Grid, columns: Sequence[Column]) -> str:
    """A row a model, a column a task."""
    rows = []
    for model in grid.models:
        rows.append((model.name, *(_score(column, model.name) for column in columns)))
    heads = [f"{title_of(column)}, {column.items:,} items" for column in columns]
    return table(("model", *heads), rows)


def _score(column: Column, model: str) -> str:
    if model not in column.facts:
        return ""
    found = column.scores(model)
    if not found:
        return "undefined"
    deviation = f" ± {np.std(found, ddof=1):.1f}" if len(found) > 1 else ""
    counted = column.counted(model)
    interval = ""
    if counted:
        # The difference to a model that scores nothing is the score.
        one = compare_counted(counted, [lambda times: np.zeros(len(times))], column.items)
        interval = f" [{column.points * one.low:.1f}, {column.points * one.high:.1f}]"
    return f"{np.mean(found):.1f}{deviation} ({len(found)}){interval}"


def compared(grid: Grid, columns: Sequence[Column]) -> str:
    """The first model beside every other: the paired bootstrap over the same items."""
    first = grid.models[0].name
    rows, behind, small = [], [], []
    for column in columns:
        if not column.ranked:
            small.append(f"{title_of(column)} ({column.items:,})")
        for model in grid.models[1:]:
            if first not in column.facts or model.name not in column.facts:
                continue
            one, other = column.counted(first), column.counted(model.name)
            if not one or not other:
                rows.append(
                    (
                        title_of(column),
                        model.name,
                        f"{_difference(column, first, model.name):+.1f}",
                        "",
                        "not kept by item",
                    )
                )
                continue
            found = compare_counted(one, other, column.items)
            verdict = found.verdict if column.ranked else "not ranked"
            interval = f"{column.points * found.low:+.1f} to {column.points * found.high:+.1f}"
            rows.append((title_of(column), model.name, f"{column.points * found.difference:+.1f}", interval, verdict))
            if column.ranked and found.verdict != "ahead":
                behind.append(f"{model.name} on {title_of(column)} ({found.verdict})")
    if not rows:
        return f"{first} and another model were not run on the same task yet."
    said = [
        f"{first} minus each other model, in points, the means over all seeds; the interval is of the paired bootstrap over the same test items "
        "and says nothing of other seeds."
    ]
    if small:
        said.append(f"Sets below {RANKED_ITEMS:,} items show their intervals and are never ranked: {', '.join(small)}.")
    said.append(
        f"{first} is not ahead of: {', '.join(behind)}."
        if behind
        else f"{first} is ahead of all that were run, where sets are ranked and metrics kept by item."
    )
    return " ".join(said) + "\n\n" + table(("task", "beside", "difference", "95 % interval", "verdict"), rows)


def _difference(column: Column, first: str, second: str) -> float:
    return float(np.mean(column.scores(first)) - np.mean(column.scores(second)))


def noise(grid: Grid, columns: Sequence[Column]) -> str:
    """Scores on noised texts and how much lower they are, of the models' first fine-tuning seed."""
    parts = []
    for column in columns:
        rows = []
        kinds: list[str] = []
        for model in grid.models:
            noised = [facts["noise"] for facts in column.facts.get(model.name, ()) if "noise" in facts]
            if not noised:
                continue
            metric = column.any["metric"]
            kinds = [name for name in noised[0] if name not in ("selected", "clean")]
            # A correlation is undefined where a model says the same of every item: NaN.
            means = {
                name: column.points
                * float(np.array([each[name][metric]["mean"] for each in noised], np.float64).mean())
                for name in ("clean", *kinds)
            }
            drops = (f"{means[kind]:.1f} ({means['clean'] - means[kind]:+.1f})" for kind in kinds)
            rows.append((f"{model.name} ({len(noised)})", f"{means['clean']:.1f}", *drops))
        if rows:
            heads = ("model (pretraining seeds)", "clean", *(kind.replace("_", " ") for kind in kinds))
            parts.append(f"**{title_of(column)}**\n\n{table(heads, rows)}")
    if not parts:
        return ""
    head = (
        "## Spacing and noise\n\nThe same test sets with their texts changed (docs/evaluate.md says how), predicted by the models of the first "
        "fine-tuning seed; in brackets the drop."
    )
    return "\n\n".join((head, *parts))


def settings(columns: Sequence[Column]) -> str:
    """How each task was fine-tuned."""
    rows = []
    for column in columns:
        task = column.task
        clock = [facts["clock"] for cells in column.facts.values() for facts in cells]
        rows.append(
            (
                title_of(column),
                "; ".join(f"{split}: {part}" for split, part in column.any["part"].items()),
                column.any["metric"],
                f"{task.epochs:g} x {task.batch_size}, {task.learning_rate:g}",
                f"{np.mean(clock):.0f}",
            )
        )
    heads = ("task", "rows", "metric", "epochs x batch, peak rate", "seconds a cell")
    return (
        "## How they were fine-tuned\n\nAlike for all models: AdamW, a tenth of the steps as warmup, then linear decay; the last epoch is scored, "
        "nothing is selected.\n\n" + table(heads, rows)
    )


def left(overlap: Overlap) -> str:
    """The overlap of the pretraining text and the tasks."""
    if not overlap:
        return ""
    rows = [
        (name, f"{each['texts']:,}", f"{each['removed']:,}", f"{each['left']:,}", f"{each['formulae']:,}")
        for name, each in overlap.items()
    ]
    heads = ("task", "different texts", "sentences removed", "texts left", "of these formulae")
    return (
        "## Overlap of the pretraining text\n\nWhat `prepare --benchmark` removed of petitions, reviews and comments for the sake of each task's files "
        "(train too), and the texts of these that are left, counted without its index: by letters and digits, those of 12 or more anywhere in a text, "
        "shorter ones as the whole of it. Formulae are texts that more than one in a thousand documents holds.\n\n"
        + table(heads, rows)
    )


def title_of(column: Column) -> str:
    """What the page calls it."""
    return f"{column.any['title']}, probe" if column.task.frozen else str(column.any["title"])
