"""Every recipe of configs/mini/ from real petitions to a proven export, with two seeds: what each family learns on two cores.

python -m benchmarks.mini_curves      ten minutes for each recipe and seed; run again, it continues where it was
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import tyro

from benchmarks.context_free import context_free
from benchmarks.context_free_detection import aucs
from benchmarks.learning_curve import held_out, run
from benchmarks.results_page import RESULTS, table, write_page
from data_pipeline.contract.errors import InputError, run_command
from data_pipeline.contract.run_folder import RunFolder
from pretrain.checkpoints.verify import facts_of, newest_valid, step_folder
from pretrain.monitoring.metrics import METRICS_FILE, read_metrics

RECIPES = ("bert", "kobert", "roberta", "electra", "albert", "funnel", "gpt2")
SEEDS = (0, 1)
LOSSES = ("evaluation_masked_lm_loss", "evaluation_loss")
"""What the best guess without context is compared with: of the first that a run logs."""
AUC = "evaluation_discriminator_auc"


@dataclass(frozen=True)
class MiniCurves:
    """Trains what has not been trained yet in the work folder, and writes the page of all."""

    data: Path = Path("../shared/data")
    """Folder with corpus/petitions_*.jsonl.gz and the benchmark files in tasks/."""
    recipes: tuple[str, ...] = RECIPES
    """Names in configs/mini/."""
    work: Path = Path("runs/mini-curves")
    """Where the runs are kept; done ones are read again."""


@dataclass(frozen=True)
class Learnt:
    """One run.

    - `curve`: (step, measure) of each evaluation; `bound`: what the measure is compared with.
    - `minutes`: of training, over all starts; `export`: the proof's sentence.
    """

    recipe: str
    seed: int
    measure: str
    bound: float
    curve: tuple[tuple[int, float], ...]
    minutes: float
    parameters: int
    export: str

    @property
    def has_learnt(self) -> bool:
        """Whether its last figure is on the right side of the bound."""
        last = self.curve[-1][1]
        return last > self.bound if self.measure == AUC else last < self.bound


def main() -> None:
    """The command."""
    run_command(lambda: measure(tyro.cli(MiniCurves)))


def measure(options: MiniCurves) -> None:
    """Trains, exports, draws and writes the page."""
    if not options.data.is_dir():
        raise InputError(f"--data {options.data}: no such folder")
    learnt = [learn(options, recipe, seed) for recipe in options.recipes for seed in SEEDS]
    draw(learnt)
    packages = ("jax", "flax", "optax", "orbax-checkpoint", "torch", "transformers")
    write_page("mini_curves", "What the small recipe of each family learns", packages, page(learnt))


def learn(options: MiniCurves, recipe: str, seed: int) -> Learnt:
    """Prepares, trains and exports one run by the public commands, which continue what was begun."""
    path, folder = f"configs/mini/{recipe}.py", options.work / f"{recipe}-{seed}"
    first = options.work / f"{recipe}-{SEEDS[0]}"
    if seed != SEEDS[0] and not folder.exists():
        fresh = folder.with_name(f"{folder.name}.copying")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        for part in ("vocabulary", "examples"):
            shutil.copytree(first / part, fresh / part)
        shutil.copyfile(first / "manifest.json", fresh / "manifest.json")
        fresh.rename(folder)
    if seed == SEEDS[0]:
        source, tasks = f"petitions:{options.data}/corpus/petitions_*.jsonl.gz", str(options.data / "tasks")
        run("data_pipeline", "prepare", path, "--run-dir", folder, "--source", source, "--benchmark", tasks)
    run("pretrain", "train", path, "--run-dir", folder, "--training.seed", str(seed))
    run("pretrain", "export", folder)
    return read(folder, recipe, seed)


def read(folder: Path, recipe: str, seed: int) -> Learnt:
    """What a finished run says of itself."""
    run_folder = RunFolder(folder)
    evaluations = held_out(read_metrics(run_folder.metrics / METRICS_FILE))
    name = AUC if AUC in evaluations[-1] else next(loss for loss in LOSSES if loss in evaluations[-1])
    newest = newest_valid(run_folder.checkpoints)
    assert newest is not None
    facts = facts_of(step_folder(run_folder.checkpoints, newest[0]))
    [exported] = run_folder.manifest()["export"]["folders"].values()
    return Learnt(
        recipe,
        seed,
        name,
        aucs(run_folder)[1] if name == AUC else context_free(run_folder).loss,
        tuple((line["step"], line[name]) for line in evaluations),
        sum(part["seconds"] for part in facts["parts"]) / 60,
        facts["parameters"],
        exported["proof"],
    )


def page(learnt: list[Learnt]) -> str:
    """The page's body."""
    rows = [
        (
            f"{one.recipe}, seed {one.seed}",
            f"{one.parameters:,}",
            f"{one.curve[-1][0]:,}",
            f"{one.minutes:.1f}",
            one.measure.removeprefix("evaluation_"),
            f"{one.bound:.4f}",
            f"{one.curve[-1][1]:.4f}",
            "yes" if one.has_learnt else "no",
        )
        for one in learnt
    ]
    columns = (
        "recipe",
        "parameters",
        "steps",
        "minutes",
        "held-out measure",
        "without context",
        "at the end",
        "learnt from context",
    )
    proofs = "\n".join(f"- {one.recipe}, seed {one.seed}: {one.export}" for one in learnt)
    return f"""
{table(columns, rows)}

Each from five months of petitions by `prepare`, `train` and `export`; minutes are those of training, compilation, evaluation and checkpoints
included. Without context: of losses, the best that can be known of the hidden or next tokens from the tokens' frequencies (and, where
a token is left or replaced at random, from what is seen in its place); of the discriminator's AUC, what the token alone tells
(chance is 0.5).

![curves](mini_curves.png)

The exports:

{proofs}
"""


def draw(learnt: list[Learnt]) -> None:
    """The plot `mini_curves.png`: a panel for each recipe, with the bound of each seed, whose masks are its own."""
    recipes = list(dict.fromkeys(one.recipe for one in learnt))
    figure, axes = plt.subplots(1, len(recipes), figsize=(3.6 * len(recipes), 3.2), layout="constrained", squeeze=False)
    for axis, recipe in zip(axes[0], recipes, strict=True):
        for one in (each for each in learnt if each.recipe == recipe):
            [line] = axis.plot(*zip(*one.curve, strict=True), "o-", ms=3, label=f"seed {one.seed}")
            axis.axhline(one.bound, color=line.get_color(), ls=":", label="without context")
        axis.set(title=recipe, xlabel="step", ylabel=one.measure.removeprefix("evaluation_").replace("_", " "))
        axis.legend()
    figure.savefig(RESULTS / "mini_curves.png", dpi=100)


if __name__ == "__main__":
    main()
