"""configs/NAME.py: loading a recipe, writing it down resolved, telling two apart."""

import dataclasses
import difflib
import os
import re
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_types import find_wrong_value, line_of

PACKAGED_CONFIGS = Path(__file__).parent.parent.parent / "configs"
MINI = "mini"
"""Folder of the recipes for two cores, each named after the recipe that it is a small edition of."""
TASKS = "tasks"
"""Folder of the descriptions of tasks to evaluate models on, which are no recipes."""
Recipe = TypeVar("Recipe")


def recipe_path(name: str) -> Path:
    """The file of a recipe given as `configs/NAME.py`, another path, or `NAME`; an InputError lists what there is."""
    name = os.path.expanduser(name)
    candidates = (
        [Path(name)] if name.endswith(".py") else [Path("configs") / f"{name}.py", PACKAGED_CONFIGS / f"{name}.py"]
    )
    if name.startswith("configs/"):
        candidates.append(PACKAGED_CONFIGS.parent / name)
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    packaged = {recipe_name(path): path for path in packaged_recipes()}
    if name in packaged:
        return packaged[name]
    raise InputError(f"{name}: no such recipe; give configs/NAME.py or one of: {', '.join(sorted(packaged))}")


def packaged_recipes() -> list[Path]:
    """The recipe files that come with this code, those in configs/mini/ included."""
    paths = (path for path in PACKAGED_CONFIGS.rglob("*.py") if path.stem != "__init__")
    return sorted(path for path in paths if path.parent != PACKAGED_CONFIGS / TASKS)


def recipe_name(path: Path) -> str:
    """What a recipe file's runs are called: `kobert` for configs/kobert.py, `mini-kobert` for configs/mini/kobert.py.

    launch/job.sh names run folders by the same rule.
    """
    return f"{MINI}-{path.stem}" if path.absolute().parent.name == MINI else path.stem


def load_recipe(name: str, part: str, expected: type[Recipe]) -> tuple[str, Recipe]:
    """Runs a recipe file and returns its name and its object `data` or `training`.

    - `part`: `"data"` or `"training"`.
    - `expected`: the class that object must have.

    Raises InputError with the line where the file cannot be run, and with line and dotted name for a field that holds
    what its type does not allow.
    """
    path = recipe_path(name)
    file_name = str(path.absolute())
    module = types.ModuleType(f"recipe_{path.stem}")
    module.__file__ = file_name
    try:
        # Not imported: a __pycache__ beside the recipe may hold it as it was before it was mended within the same second.
        exec(compile(path.read_bytes(), file_name, "exec"), module.__dict__)
    except SyntaxError as error:
        file = path if error.filename in (None, file_name) else error.filename
        raise InputError(f"{file}:{error.lineno or 1}: {error.msg}; mend the recipe") from None
    except (Exception, SystemExit) as error:
        line, names = _frame(file_name, error)
        near = _near(error, names)
        what = f"{type(error).__name__}: {error}" + (f" (did you mean {near}?)" if near else "")
        raise InputError(f"{path}:{line}: {what}; mend the recipe") from None
    recipe = getattr(module, part, None)
    if not isinstance(recipe, expected):
        found = f", found {recipe!r}" if hasattr(module, part) else ""
        raise InputError(f"{path}: must define {part} = {expected.__name__}(...){found}")
    wrong = find_wrong_value(recipe, type(recipe))
    if wrong:
        line = line_of(path.read_text(encoding="utf-8"), part, wrong.steps)
        raise InputError(f"{path}:{line}: {wrong.sentence(part)}; mend the recipe")
    return recipe_name(path), recipe


def _frame(file: str, error: BaseException) -> tuple[int, dict[str, Any]]:
    """The last line of the recipe that was running when the error came, and the names known there."""
    found: tuple[int, dict[str, Any]] = (1, {})
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == file:
            found = traceback.tb_lineno, {**traceback.tb_frame.f_globals, **traceback.tb_frame.f_locals}
        traceback = traceback.tb_next
    return found


def _near(error: BaseException, names: dict[str, Any]) -> str | None:
    """The field or name that a misspelled one was probably meant to be."""
    if isinstance(error, NameError) and error.name:
        wrong, known = error.name, list(names)
    else:
        field = re.match(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'", str(error))
        kind = names.get(field[1]) if field else None
        if field is None or kind is None or not dataclasses.is_dataclass(kind):
            return None
        wrong, known = field[2], [each.name for each in dataclasses.fields(kind)]
        places = [place for place in _places(kind) if place.endswith(f".{wrong}")]
        if places:
            return min(places, key=lambda place: place.count("."))
    return next(iter(difflib.get_close_matches(wrong, known, n=1)), None)


def _places(kind: Any, prefix: str = "") -> Iterator[str]:
    """The dotted names of the fields of a dataclass, and of the dataclasses that they hold by default."""
    for field in dataclasses.fields(kind):
        yield prefix + field.name
        factory = field.default_factory
        default = field.default if factory is dataclasses.MISSING else factory()
        if dataclasses.is_dataclass(default):
            yield from _places(default, f"{prefix}{field.name}.")


def plain(value: Any) -> Any:
    """A dataclass as JSON-ready data; members of a union carry their class name under `kind`."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"kind": type(value).__name__, **fields}
    if isinstance(value, list | tuple):
        return [plain(member) for member in value]
    if isinstance(value, dict):
        return {key: plain(member) for key, member in value.items()}
    return value


def plain_fields(recipe: Any) -> dict[str, Any]:
    """The fields of a dataclass, JSON-ready, without its name."""
    fields: dict[str, Any] = plain(recipe)
    fields.pop("kind")
    return fields


def differences(before: Any, after: Any, path: str = "") -> list[str]:
    """The fields in which two plain recipes differ, as `optimizer.learning_rate: 0.0001 -> 0.0002`.

    Of two different dataclasses only that they are: `model: BertConfig -> ToyConfig`.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        kinds = [before.get("kind"), after.get("kind")]
        if None not in kinds and kinds[0] != kinds[1]:
            return [f"{path or 'kind'}: {kinds[0]} -> {kinds[1]}"]
        found = []
        for key in [*before, *(key for key in after if key not in before)]:
            below = f"{path}.{key}" if path else key
            if key not in before or key not in after:
                found.append(f"{below}: {before.get(key, 'absent')} -> {after.get(key, 'absent')}")
            else:
                found += differences(before[key], after[key], below)
        return found
    return [] if before == after else [f"{path}: {before} -> {after}"]


def from_plain(value: Any, classes: Sequence[type]) -> Any:
    """The dataclass that `plain` wrote down.

    - `classes`: every dataclass that it may hold; found by the name under `kind`.

    Fields that are absent take their defaults. Raises InputError for a kind that is not among the classes, TypeError for
    a field that its class lacks.
    """
    if isinstance(value, dict) and "kind" in value:
        known = {cls.__name__: cls for cls in classes}
        kind = value["kind"]
        if kind not in known:
            raise InputError(f"kind {kind!r}: must be one of {', '.join(sorted(known))}")
        return known[kind](**{name: from_plain(member, classes) for name, member in value.items() if name != "kind"})
    if isinstance(value, list):
        return tuple(from_plain(member, classes) for member in value)
    return value
