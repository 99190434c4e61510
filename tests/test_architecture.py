"""The arrows between the rooms, read from the imports; and configs that need no JAX."""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("configs", "data_pipeline", "pretrain")
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for room in ROOMS
    for path in (ROOT / room).rglob("*.py")
}
DECLARED = sorted(path for path in (ROOT / "configs").rglob("*.py") if path.stem != "__init__")
CONFIGS = [path for path in DECLARED if path.parent.name != "tasks"]


def imports(module: str) -> Iterator[str]:
    """Every module that a module names in an import, wherever in it, also inside functions."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in MODULES else str(node.module)


IMPORTS = {module: set(imports(module)) for module in MODULES}


def inside(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def wrong(modules: str, allowed: tuple[str, ...]) -> list[str]:
    """Imports of the project that the modules of a package may not have."""
    return [
        f"{module} imports {name}"
        for module in MODULES
        if inside(module, modules)
        for name in IMPORTS[module]
        if inside(name, *ROOMS) and not inside(name, *allowed)
    ]


def test_there_is_something_to_read() -> None:
    assert len(MODULES) > 50
    assert "data_pipeline.contract.records" in IMPORTS["data_pipeline.prepare.publish"]


def test_the_data_room_knows_nothing_of_jax_and_training() -> None:
    assert wrong("data_pipeline", ("data_pipeline",)) == []
    libraries = ("jax", "jaxlib", "flax", "optax", "orbax", "torch", "transformers", "tensorflow")
    assert [
        f"{m} imports {n}" for m in MODULES if inside(m, "data_pipeline") for n in IMPORTS[m] if inside(n, *libraries)
    ] == []


def test_the_contract_imports_nothing_else_of_the_project() -> None:
    assert wrong("data_pipeline.contract", ("data_pipeline.contract",)) == []


def test_training_takes_only_the_contract_from_the_data_room() -> None:
    assert wrong("pretrain", ("pretrain", "data_pipeline.contract")) == []


def test_recipes_import_recipes_only() -> None:
    members = tuple(
        name for name in MODULES if re.fullmatch(r"pretrain\.(models|objectives)\..*\.(config|recipe)", name)
    )
    assert members
    tasks = ("pretrain.evaluate.tasks.description", "pretrain.evaluate.tasks.task")
    assert wrong("configs", ("data_pipeline.recipe", "pretrain.recipe", "configs", *members, *tasks)) == []


def test_steps_do_no_work_of_stages_and_engines() -> None:
    allowed = (
        "data_pipeline.corpus.document",
        "data_pipeline.recipe",
        "data_pipeline.pipeline",
        "data_pipeline.contract",
    )
    assert (
        wrong("data_pipeline.corpus.steps", ("data_pipeline.corpus.steps", "data_pipeline.corpus.compiled", *allowed))
        == []
    )
    assert wrong("data_pipeline.corpus.sources", ("data_pipeline.corpus.sources", *allowed)) == []


DATA_ORDER = (
    "contract", "pipeline", "recipe_vocabulary", "recipe", "tasks", "corpus", "source_formats", "recipe_checks", "prepare", "api",
    "report", "diff", "dry_run", "commands", "__main__",
)  # fmt: skip
"""The rooms and loose modules of data_pipeline/, each importing earlier ones only; but for the tables, which the tasks' makers read."""
TABLES = ("source_formats", "recipe_checks")


def test_the_rooms_of_the_data_side_have_an_order_and_nothing_runs_back_up() -> None:
    modules = [name for name in MODULES if name.startswith("data_pipeline.")]
    assert {room_of(name) for name in modules} - {"sample_corpus"} == set(DATA_ORDER)
    place = {room: number for number, room in enumerate(DATA_ORDER)}
    assert [
        f"{module} imports {name}"
        for module in modules
        for name in IMPORTS[module]
        if name.startswith("data_pipeline.")
        and place[room_of(name)] > place[room_of(module)]
        and room_of(name) not in TABLES
    ] == []


def members_of(room: str, module: str) -> tuple[str, ...]:
    """The packages of a room that hold such a module: families, or objectives."""
    found = (name.removesuffix(f".{module}") for name in MODULES if name.startswith(f"{room}."))
    return tuple(name for name in found if f"{name}.{module}" in MODULES and name.count(".") == 2)


FAMILIES = members_of("pretrain.models", "family")
OBJECTIVES = members_of("pretrain.objectives", "objective")


def test_the_loop_knows_no_family_and_no_objective() -> None:
    assert "pretrain.models.bert" in FAMILIES
    assert "pretrain.objectives.masked_lm" in OBJECTIVES
    registries = ("pretrain.models.registry", "pretrain.objectives.registry")
    may = ("pretrain.models", "pretrain.objectives", "pretrain.job", "pretrain.subject")
    assert [
        f"{module} imports {name}"
        for module in MODULES
        if inside(module, "pretrain") and not inside(module, *may)
        for name in IMPORTS[module]
        if inside(name, *FAMILIES, *OBJECTIVES, *registries)
    ] == []


def test_families_and_objectives_do_not_know_each_other() -> None:
    assert [name for family in FAMILIES for name in wrong(family, ("pretrain.models", "data_pipeline.contract"))] == []
    for one in OBJECTIVES:
        others = tuple(other for other in (*OBJECTIVES, *FAMILIES) if other != one)
        assert [
            f"{module} imports {name}"
            for module in MODULES
            if inside(module, one)
            for name in IMPORTS[module]
            if inside(name, *others)
        ] == []


ORDER = (
    "open_union", "recipe_upgrade", "models", "objectives", "recipe", "devices", "input", "recipe_checks",
    "agenda", "job", "checkpoints", "optimization", "hugging_face", "remote", "monitoring", "loop", "planning", "subject",
    "start", "exporting", "evaluate", "inference", "playground", "train", "api", "commands", "__main__",
)  # fmt: skip
"""The rooms and loose modules of pretrain/, each importing earlier ones only."""


def room_of(module: str) -> str:
    return module.split(".")[1]


def test_the_rooms_of_training_have_an_order_and_nothing_runs_back_up() -> None:
    modules = [name for name in MODULES if name.startswith("pretrain.")]
    assert {room_of(name) for name in modules} - {"launch"} == set(ORDER)
    place = {room: number for number, room in enumerate(ORDER)}
    assert [
        f"{module} imports {name}"
        for module in modules
        if room_of(module) in place
        for name in IMPORTS[module]
        if name.startswith("pretrain.") and place[room_of(name)] > place[room_of(module)]
    ] == []


def test_no_room_of_training_has_more_than_a_dozen_loose_modules() -> None:
    loose = Counter(
        path.parent.relative_to(ROOT).as_posix()
        for name, path in MODULES.items()
        if inside(name, "pretrain") and path.stem != "__init__"
    )
    assert {room: count for room, count in loose.items() if count > 12} == {}


def test_no_two_classes_of_training_share_a_name() -> None:
    found = Counter(
        node.name
        for name, path in MODULES.items()
        if inside(name, "pretrain")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
    )
    assert {name: count for name, count in found.items() if count > 1} == {}


def test_imports_have_no_cycle() -> None:
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path, module))
        if module not in done:
            for name in IMPORTS[module]:
                if name in MODULES and not (MODULES[module].name == "__init__.py" and inside(name, module)):
                    visit(name, (*path, module))
            done.add(module)

    for module in MODULES:
        visit(module, ())


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_recipe_file_holds_both_recipes(path: Path) -> None:
    from data_pipeline.contract.recipe_file import load_recipe, recipe_name
    from data_pipeline.recipe import DataRecipe
    from pretrain.recipe import TrainingRecipe

    name, data = load_recipe(str(path), "data", DataRecipe)
    _, training = load_recipe(str(path), "training", TrainingRecipe)
    assert name == recipe_name(path)
    longest = training.model.longest_row()
    assert longest is None or data.examples.length <= longest.tokens
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring
    assert "Command:" in docstring
    assert path.relative_to(ROOT).as_posix() in docstring or name == "quickstart"


def test_recipes_need_no_jax() -> None:
    modules = ["data_pipeline.recipe", "pretrain.recipe", *(name for name in MODULES if MODULES[name] in DECLARED)]
    code = f"import sys, {', '.join(modules)}; print([m for m in ('jax', 'flax', 'torch', 'tensorflow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def test_files_stay_small() -> None:
    files = [*MODULES.values(), *(ROOT / "tests").rglob("*.py")]
    lengths = {path.relative_to(ROOT): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert {path: length for path, length in lengths.items() if length > 500} == {}


def test_nothing_is_called_utils() -> None:
    assert [path for path in MODULES.values() if path.stem in ("utils", "util", "helpers", "misc")] == []


def test_a_package_logs_under_its_own_name() -> None:
    """So that one line silences or shows it."""
    found = {
        name: re.findall(r"= logging\.getLogger\((.*?)\)", path.read_text("utf-8")) for name, path in MODULES.items()
    }
    assert {name: of for name, of in found.items() if of and of != [f'"{name.partition(".")[0]}"']} == {}
