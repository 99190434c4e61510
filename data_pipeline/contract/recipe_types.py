"""Whether the fields of a recipe hold what their types say, which dataclasses do not look at, and where the file sets them."""

import ast
import dataclasses
import inspect
import types
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

LONGEST_VALUE = 60
WORDS = {
    int: "a whole number (int)",
    float: "a number (float)",
    str: "text (str)",
    bool: "True or False",
    type(None): "None",
}
SAMPLES = {int: "1", float: "0.5", str: "'...'", bool: "True"}


@dataclass(frozen=True)
class Step:
    """One step from a recipe down to a field: its name or index, and its place among the arguments of `owner`."""

    name: str
    place: int
    owner: str = ""


@dataclass(frozen=True)
class WrongValue:
    """A field that holds what it may not: the steps to it, the value, and its type."""

    steps: tuple[Step, ...]
    value: Any
    hint: Any

    def sentence(self, part: str) -> str:
        """The field with its dotted name, what it must be, and what was found."""
        name = ".".join([part, *(step.name for step in self.steps)])
        value = repr(self.value)
        if len(value) > LONGEST_VALUE:
            value = value[:LONGEST_VALUE] + "..."
        return f"{name} must be {in_words(self.hint)}, found {value} ({type(self.value).__name__})"


def find_wrong_value(value: Any, hint: Any, steps: tuple[Step, ...] = ()) -> WrongValue | None:
    """The first field, depth first, whose value does not fit its type; None where all fit.

    - `value`: a dataclass, or what a field holds.
    - `hint`: its type: int, float (a whole number will do), bool, str, None, a dataclass, a tuple, a Literal, or a union
      of these. True is no number. Any other type in a recipe's class is a TypeError: the class is at fault.
      A dataclass allows its subclasses, and each is checked by its own fields.
    """
    wrong = WrongValue(steps, value, hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        found = [find_wrong_value(value, argument, steps) for argument in arguments]
        if None in found:
            return None
        # Inside the member that it was meant to be, if there is one.
        return next((each for each in found if each and len(each.steps) > len(steps)), wrong)
    if origin is Literal:
        fits = any(value == choice and type(value) is type(choice) for choice in arguments)
        return None if fits else wrong
    if origin is tuple:
        if not isinstance(value, tuple):
            return wrong
        hints = [arguments[0]] * len(value) if arguments[1:] == (...,) else list(arguments)
        if len(hints) != len(value):
            return wrong
        members = zip(value, hints, (Step(str(index), index) for index in range(len(value))), strict=True)
        below = (find_wrong_value(member, inner, (*steps, step)) for member, inner, step in members)
        return next(filter(None, below), None)
    if dataclasses.is_dataclass(hint):
        return _in_dataclass(value, steps) if type(value) in members_of(hint) else wrong
    if hint is float:
        return None if isinstance(value, int | float) and not isinstance(value, bool) else wrong
    if hint is int:
        return None if isinstance(value, int) and not isinstance(value, bool) else wrong
    if hint in (bool, str, type(None)):
        return None if isinstance(value, hint) else wrong
    raise TypeError(f"{'.'.join(step.name for step in steps)}: recipes hold no fields of the type {hint}")


def _in_dataclass(value: Any, steps: tuple[Step, ...]) -> WrongValue | None:
    hints = get_type_hints(type(value))
    for place, field in enumerate(dataclasses.fields(value)):
        step = Step(field.name, place, type(value).__name__)
        wrong = find_wrong_value(getattr(value, field.name), hints[field.name], (*steps, step))
        if wrong:
            return wrong
    return None


def members_of(hint: Any) -> list[type]:
    """The dataclasses that a type allows: those of a union, or a dataclass with its subclasses, as far as imported.

    A base class without fields, or with abstract methods, is only the common name of its subclasses: an open union.
    """
    if get_origin(hint) in (Union, types.UnionType):
        return [member for argument in get_args(hint) for member in members_of(argument)]
    if not dataclasses.is_dataclass(hint) or not isinstance(hint, type):
        return []
    below = [member for subclass in hint.__subclasses__() for member in members_of(subclass)]
    only_a_name = below and (inspect.isabstract(hint) or not dataclasses.fields(hint))
    return below if only_a_name else [hint, *below]


def dataclasses_in(hint: Any) -> tuple[type, ...]:
    """Every dataclass that a value of this type may hold, itself among them."""
    found: dict[type, None] = {}

    def visit(hint: Any) -> None:
        for argument in get_args(hint):
            visit(argument)
        for member in members_of(hint):
            if member not in found:
                found[member] = None
                for inner in get_type_hints(member).values():
                    visit(inner)

    visit(hint)
    return tuple(found)


def in_words(hint: Any) -> str:
    """A type as a person would say it."""
    arguments = get_args(hint)
    if dataclasses.is_dataclass(hint):
        # A family defined in a recipe file exists once for each time that the file was run.
        return " or ".join(dict.fromkeys(with_article(member.__name__) for member in members_of(hint)))
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(map(in_words, arguments))
    if get_origin(hint) is Literal:
        return " or ".join(map(repr, arguments))
    if get_origin(hint) is tuple:
        *members, last = [SAMPLES.get(kind, f"{_name(kind)}(...)") for kind in arguments]
        inner = f"{members[0]}," if arguments[-1] is ... else ", ".join([*members, last])
        return f"a tuple such as ({inner})"
    return WORDS.get(hint, _name(hint))


def with_article(name: str) -> str:
    """The name of a class as a noun: a BertConfig, an Optimizer."""
    return f"{'an' if name[0] in 'AEIO' else 'a'} {name}"


def _name(hint: Any) -> str:
    return getattr(hint, "__name__", str(hint))


def line_of(source: str, part: str, steps: tuple[Step, ...]) -> int:
    """The line of a recipe file that sets a field: followed through calls, tuples and names as far as it is written out.

    - `part`: the name of the recipe object in the file.
    """
    assigned: dict[str, ast.expr] = {}
    for statement in ast.parse(source).body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        value = getattr(statement, "value", None)
        assigned.update({target.id: value for target in targets if isinstance(target, ast.Name) and value is not None})
    node = _named(ast.Name(part, lineno=1), assigned)
    for step in steps:
        below = _below(node, step)
        if below is None:
            break
        node = _named(below, assigned)
    return node.lineno


def _named(node: ast.expr, assigned: dict[str, ast.expr]) -> ast.expr:
    """What a name stands for, if the file says so."""
    while isinstance(node, ast.Name) and node.id in assigned:
        node = assigned.pop(node.id)  # once each: a name may be made of itself
    return node


def _below(node: ast.expr, step: Step) -> ast.expr | None:
    if isinstance(node, ast.Tuple | ast.List) and not step.owner:
        return node.elts[step.place] if step.place < len(node.elts) else None
    if isinstance(node, ast.Call):
        for keyword in node.keywords:
            if keyword.arg == step.name:
                return keyword.value
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called == step.owner and step.place < len(node.args):
            return node.args[step.place]
    return None
