"""The arrows between the rooms, read from the imports; and configs that need no JAX."""

import ast
import re
import subprocess
import sys
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
CONFIGS = sorted(path for path in (ROOT / "configs").glob("*.py") if path.stem != "__init__")


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
    assert "data_pipeline.contract.records" in IMPORTS["data_pipeline.publish"]


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
    assert wrong("configs", ("data_pipeline.recipe", "pretrain.recipe", "configs", *members)) == []


def test_steps_do_no_work_of_stages_and_engines() -> None:
    allowed = ("data_pipeline.document", "data_pipeline.recipe", "data_pipeline.contract")
    assert wrong("data_pipeline.steps", ("data_pipeline.steps", "data_pipeline.compiled", *allowed)) == []
    assert wrong("data_pipeline.sources", ("data_pipeline.sources", *allowed)) == []


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


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_recipe_file_holds_both_recipes(path: Path) -> None:
    from data_pipeline.contract.recipe_file import load_recipe
    from data_pipeline.recipe import DataRecipe
    from pretrain.recipe import TrainingRecipe

    name, data = load_recipe(str(path), "data", DataRecipe)
    _, training = load_recipe(str(path), "training", TrainingRecipe)
    assert name == path.stem
    assert data.examples.length <= training.model.max_position_embeddings
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring
    assert "Command:" in docstring
    assert f"configs/{name}.py" in docstring or name == "quickstart"


def test_recipes_need_no_jax() -> None:
    modules = ["data_pipeline.recipe", "pretrain.recipe", *(f"configs.{path.stem}" for path in CONFIGS)]
    code = f"import sys, {', '.join(modules)}; print([m for m in ('jax', 'flax', 'torch', 'tensorflow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def test_files_stay_small() -> None:
    files = [*MODULES.values(), *(ROOT / "tests").rglob("*.py")]
    lengths = {path.relative_to(ROOT): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert {path: length for path, length in lengths.items() if length > 500} == {}


def test_nothing_is_called_utils() -> None:
    assert [path for path in MODULES.values() if path.stem in ("utils", "util", "helpers", "misc")] == []
