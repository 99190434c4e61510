"""KLUE's Wizard of Seoul (WoS): dialogues and the state of what the user wants."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pretrain.evaluate.tasks.examples import DialogueExample, Example, Turn
from pretrain.evaluate.tasks.readers.rows import Row, checked, json_rows, not_among, shown

ROLES = ("user", "sys")


def wos_reader(slots: Sequence[str]) -> Callable[[Path], list[Example]]:
    """Reads WoS: an example for each turn of the user, named `GUID-NUMBER` as in KLUE-baseline, numbers from 0.

    - `slots`: the `domain-slot` names that a state may hold.
    """
    return lambda path: checked(path, (example for row in json_rows(path) for example in _dialogue(row, slots)))


def _dialogue(row: Row, slots: Sequence[str]) -> Iterator[DialogueExample]:
    turns: list[Turn] = []
    count = 0
    for number, fields in enumerate(row.items("dialogue")):
        turn = Row(row.place, row.name, fields if isinstance(fields, dict) else {}, f"dialogue[{number}].")
        turns.append(Turn(turn.label("role", ROLES), turn.text("text", may_be_empty=True)))
        if turns[-1].role == "user":
            state = tuple(_state(turn, value, slots) for value in turn.items("state"))
            yield DialogueExample(f"{row.name}-{count}", row.name, tuple(turns), state)
            count += 1
    if not count:
        raise row.wrong("dialogue", "has no turn of the user; restore the file")


def _state(turn: Row, value: object, slots: Sequence[str]) -> str:
    """A value of the state. The value itself may have hyphens; domain and slot have none."""
    slot = "-".join(str(value).split("-", 2)[:2])
    if not isinstance(value, str) or value.count("-") < 2:
        raise turn.wrong("state", f"has {shown(value)}, not DOMAIN-SLOT-VALUE; correct the row")
    if slot not in slots:
        raise turn.wrong("state", f"has the slot {shown(slot)}, {not_among(slot, slots)}; correct the row")
    return value
