"""docs/recipe_fields.md, out of the dataclasses: PYTHONPATH=.:tests .venv/bin/python -m support.recipe_fields writes it."""

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from data_pipeline.contract.recipe_fields import is_free
from data_pipeline.recipe import DataRecipe, Examples, Source
from pretrain.models.config import config_classes
from pretrain.objectives.config import objective_classes
from pretrain.recipe import Phase, TrainingRecipe

PAGE = Path(__file__).parents[2] / "docs" / "recipe_fields.md"
OPENING = """# The fields of a recipe

Afterwards you know every field, its type and its default. This page is made from the dataclasses; a test keeps it current. [Writing a
recipe](recipes.md) says which of them matter. A flag is the prefix and the field with hyphens: `--data.vocabulary.character-coverage`.
"""


def page() -> str:
    """The whole page."""
    parts = [OPENING]
    parts.append("## `data`\n\nFrom `data_pipeline.recipe`.\n")
    parts += [table(kind, prefix) for kind, prefix in below(DataRecipe, "--data.")]
    parts.append(table(Source, ""))
    parts.append("### Layouts: what `examples` may be\n")
    parts += [table(kind, "--data.examples.", level="####") for kind in get_args(Examples)]
    parts.append("## `training`\n\nFrom `pretrain.recipe`.\n")
    parts += [table(kind, prefix) for kind, prefix in below(TrainingRecipe, "--training.")]
    parts.append(table(Phase, "--training.phases.N."))
    for title, field, classes in (
        ("Models", "model", config_classes()),
        ("Objectives", "objective", objective_classes()),
    ):
        parts.append(f"### {title}: what `{field}` may be\n")
        # By name, and ours alone: their order is that of imports, and a test may have brought some of its own.
        for kind in sorted(
            (each for each in classes if each.__module__.startswith("pretrain.")), key=lambda each: each.__name__
        ):
            found = dict(below(kind, f"--training.{field}."))
            parts += [table(each, prefix, level="####") for each, prefix in found.items()]
    return "\n".join(parts)


def below(kind: type, prefix: str) -> Iterator[tuple[type, str]]:
    """A dataclass and those in its fields, each with what its flags begin with; but for fields that may hold one of several."""
    yield kind, prefix
    for field in dataclasses.fields(kind):
        made = field.default_factory if field.default_factory is not dataclasses.MISSING else None
        inner = made if isinstance(made, type) else type(field.default)
        if (
            dataclasses.is_dataclass(inner)
            and inner not in get_args(Examples)
            and field.name not in ("model", "objective")
        ):
            yield from below(inner, f"{prefix}{field.name.replace('_', '-')}.")


def table(kind: type, prefix: str, level: str = "###") -> str:
    """The heading of a dataclass, what it is, and a row for each field."""
    told = described(kind)
    rows = []
    for field in dataclasses.fields(kind):
        if not field.init:
            continue
        what, written = told.get(field.name, ("", ""))
        if limit := field.metadata.get("limit"):
            what = f"{what} Must be {limit.words}.".strip()
        if is_free(field):
            what = f"{what} May change when a run resumes.".strip()
        rows.append(f"| `{field.name}` | `{written}` | {default(field)} | {what.replace('|', chr(92) + '|')} |")
    named = f": `{prefix}`" if prefix else ""
    about = " ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].split())
    body = "\n".join(["| field | type | default | |", "|---|---|---|---|", *rows]) + "\n" if rows else "No fields.\n"
    return f"{level} {kind.__name__}{named}\n\n{about}\n\n{body}"


def default(field: "dataclasses.Field[Any]") -> str:
    if field.default_factory is not dataclasses.MISSING:
        made: Any = field.default_factory()
        return f"`{type(made).__name__}()`" if dataclasses.is_dataclass(made) else f"`{made!r}`"
    if field.default is dataclasses.MISSING:
        return "must be given"
    shown = f"`{field.default!r}`"
    return shown if len(shown) <= 40 else f"`{type(field.default).__name__}(...)`"


def described(kind: type) -> Mapping[str, tuple[str, str]]:
    """Field -> what the string below it says, and its type as it is written."""
    found: dict[str, tuple[str, str]] = {}
    for base in reversed([each for each in kind.__mro__ if dataclasses.is_dataclass(each)]):
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(body, ast.ClassDef)
        for node, after in zip(body.body, [*body.body[1:], None], strict=True):
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                text = (
                    after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
                )
                written = ast.unparse(node.annotation)
                if written.startswith("Suppress["):
                    written = written.removeprefix("Suppress[")[:-1]
                found[node.target.id] = (" ".join(str(text).split()), written.replace("|", "\\|"))
    return found


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
