"""Studies: cells are computed once, a killed one is computed again, and few items rank nobody."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("tyro")

from benchmarks.studies.__main__ import Study, run_missing
from benchmarks.studies.grid import Cell, Grid, ModelSpec, TaskSpec, read_grid
from benchmarks.studies.models import Models
from benchmarks.studies.page import page
from benchmarks.studies.results import Facts, Results
from data_pipeline.contract.errors import InputError
from pretrain.evaluate.leaderboard.board import RANKED_ITEMS
from pretrain.evaluate.noise import NOISES

STUDIES = Path(__file__).parents[2] / "benchmarks" / "studies"
GRID = Grid(
    "small",
    "A small study",
    (ModelSpec("n-grams", "n_grams", seeds=1), ModelSpec("again", "n_grams", seeds=1)),
    (TaskSpec("nsmc", noise=True), TaskSpec("korsts")),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reviews in which 재미 is good, and pairs that are the more alike the higher their score is."""
    folder, random = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    (folder / "nsmc").mkdir()
    (folder / "korsts").mkdir()
    for split, count in (("train", 60), ("test", 30)):
        labels = random.integers(0, 2, count)
        reviews = [
            f"{number}\t{['지루', '재미'][label]} {['있다', '없다'][number % 2]}\t{label}"
            for number, label in enumerate(labels)
        ]
        (folder / "nsmc" / f"ratings_{split}.txt").write_text("\n".join(["id\tdocument\tlabel", *reviews]) + "\n")
        pairs = [_pair(number, int(random.integers(0, 6))) for number in range(count)]
        head = "genre\tfilename\tyear\tid\tscore\tsentence1\tsentence2"
        (folder / "korsts" / f"sts-{split}.tsv").write_text("\n".join([head, *pairs]) + "\n")
    return folder


def _pair(number: int, score: int) -> str:
    return f"a\tb\t2020\t{number}\t{score}\t{'가나다라마'}\t{'가나다라마'[:score] + '바사아자차'[score:]}"


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path / "results", tmp_path / "locks")


def run(grid: Grid, results: Results, data: Path, **options: Any) -> list[str]:
    """The names of the cells that a command runs."""
    work = results.folder.parent / "work"
    return [
        cell.name for cell in run_missing(grid, results, Models(grid, data, work), Study(Path(), data, work, **options))
    ]


def files(results: Results) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in results.folder.iterdir()}


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_grid_of_the_studies_is_read(path: Path) -> None:
    cells = list(read_grid(path).cells())
    assert len({cell.name for cell in cells}) == len({cell.fingerprint for cell in cells}) == len(cells) > 10
    for cell in cells:
        assert cell.task.settings.epochs == cell.task.epochs


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("title = 1\nmodels = []", "tasks"),
        ('title = ""\nmodels = [{name = "a", kind = "pretrained"}]\ntasks = []', "steps or flops"),
        ('title = ""\nmodels = [{name = "a", kind = "run_mlm", like = "b"}]\ntasks = []', "names no pretrained model"),
        ('title = ""\nmodels = [{name = "a", kinds = ""}]\ntasks = []', "kinds"),
        ('title = ""\nmodels = []\ntasks = [{name = "nsmcc"}]', "nsmc"),
        ("title", "TOML"),
    ],
)  # fmt: skip
def test_a_wrong_grid_is_told_by_file_and_field(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(text)
    with pytest.raises(InputError, match=said) as error:
        read_grid(tmp_path / "grid.toml")
    assert "grid.toml" in str(error.value)


def test_no_cell_is_computed_twice(results: Results, data: Path) -> None:
    assert run(GRID, results, data, cells=1) == ["n-grams.0.nsmc"]
    assert run(GRID, results, data, only="n-grams*") == ["n-grams.0.korsts"]
    assert run(GRID, results, data, minutes=0) == []
    assert run(GRID, results, data) == ["again.0.nsmc", "again.0.korsts"]
    before = files(results)
    assert run(GRID, results, data) == []
    assert files(results) == before


def test_another_machine_continues_from_the_results_alone(results: Results, data: Path, tmp_path: Path) -> None:
    run(GRID, results, data, cells=3)
    there = Results(tmp_path / "there" / "results", tmp_path / "there" / "locks")
    shutil.copytree(results.folder, there.folder)
    assert run(GRID, there, data) == ["again.0.korsts"]
    run(GRID, results, data)
    scores = [page(GRID, each, {}).partition("## Scores")[2].partition("## How")[0] for each in (there, results)]
    assert scores[0] == scores[1] != ""


def test_what_the_grid_says_otherwise_now_is_computed_again(results: Results, data: Path) -> None:
    run(GRID, results, data)
    other = Grid("small", "", GRID.models, (GRID.tasks[0], TaskSpec("korsts", train_rows=30)))
    assert run(other, results, data) == ["n-grams.0.korsts", "again.0.korsts"]


def test_more_seeds_add_cells_and_another_recipe_replaces_them() -> None:
    def fingerprints(**changed: Any) -> dict[str, str]:
        ours = ModelSpec("ours", "pretrained", recipe="configs/mini/bert.py", steps=changed.pop("steps", 10))
        models = (ours, ModelSpec("theirs", "run_mlm", recipe=ours.recipe, like="ours", seeds=changed.pop("seeds", 1)))
        return {cell.name: cell.fingerprint for cell in Grid("g", "", models, (TaskSpec("nsmc"),), 1).cells()}

    one, more, longer = fingerprints(), fingerprints(seeds=2), fingerprints(steps=20)
    assert one.items() < more.items()
    # run_mlm gets the seconds of ours.
    assert not one.items() & longer.items()


def test_a_cell_at_work_is_left_to_its_process_and_a_killed_one_is_done_again(results: Results, data: Path) -> None:
    first, *_ = GRID.cells()
    with results.claimed(first) as own:
        assert own
        assert run(GRID, results, data, cells=1) == ["n-grams.0.korsts"]
    # Killed between its two files.
    results.write(first, {}, [np.ones((2, 1))])
    (results.folder / f"{first.name}.json").unlink()
    assert results.read(first) is None
    assert run(GRID, results, data, cells=1) == ["n-grams.0.nsmc"]


def test_n_grams_learn_and_are_noised(results: Results, data: Path) -> None:
    run(GRID, results, data, only="n-grams*")
    nsmc, korsts = (results.read(cell) for cell in list(GRID.cells())[:2])
    assert nsmc
    assert nsmc["scores"]["nsmc_acc"]["mean"] == 1.0
    assert set(NOISES) < set(nsmc["noise"])
    assert korsts
    assert korsts["scores"]["korsts_spearman"]["mean"] > 0.8
    assert results.outcomes(next(GRID.cells()))[0].shape == (30, 1)


def facts(right: np.ndarray) -> Facts:
    score = {"mean": float(right.mean()), "deviation": None, "seeds": [float(right.mean())]}
    return {
        "task": "nsmc",
        "title": "NSMC",
        "metric": "nsmc_acc",
        "scores": {"nsmc_acc": score},
        "clock": 1.0,
        "items": {"count": len(right)},
        "part": {"train": "all"},
        "pretraining": {},
    }


@pytest.fixture
def judged(results: Results) -> Callable[[int], str]:
    """The page of two models, of which one is right on nine tenths of the items and the other on six."""
    grid = Grid("two", "", (ModelSpec("good", "n_grams"), ModelSpec("bad", "n_grams")), (TaskSpec("nsmc"),), 1)

    def made(items: int) -> str:
        for cell, share in zip(grid.cells(), (0.9, 0.6), strict=True):
            right = (np.arange(items) < share * items).astype(np.float64)
            results.write(cell, facts(right), [right[:, None]])
        return page(grid, results, {})

    return made


def test_few_items_rank_nobody_but_show_intervals(judged: Callable[[int], str]) -> None:
    small, large = judged(RANKED_ITEMS - 1), judged(RANKED_ITEMS)
    assert "| not ranked |" in small
    assert "| ahead |" not in small
    assert f"Sets below {RANKED_ITEMS:,} items show their intervals and are never ranked: NSMC (999)." in small
    assert re.search(r"\| NSMC \| bad \| \+30\.0 \| \+27\.\d to \+3[23]\.\d \| ahead \|", large)
    for one in (small, large):
        assert re.search(r"90\.[01] \(1\) \[8[78]\.\d, 9[12]\.\d\]", one)


def test_a_page_says_how_much_of_the_study_it_is(results: Results, data: Path) -> None:
    run(GRID, results, data, cells=1)
    assert page(GRID, results, {}).startswith("1 of 4 cells were run. **The rest was not run")
    run(GRID, results, data)
    assert page(GRID, results, {}).startswith("4 of 4 cells were run. A cell")


def test_outcomes_come_back_as_they_were(results: Results) -> None:
    cell: Cell = next(GRID.cells())
    counts, scores = np.array([[0.0, 1.0], [1.0, 2.0]]), np.array([[0.25, 4.2]])
    results.write(cell, {}, [counts, scores])
    back = results.outcomes(cell)
    assert np.array_equal(back[0], counts)
    assert np.allclose(back[1], scores, rtol=1e-6)
