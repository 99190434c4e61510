"""KLUE's Wizard of Seoul (WoS): dialogues and the state of what the user wants."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.storage import read_json
from pretrain.evaluate.tasks.examples import DialogueExample, Example, Turn
from pretrain.evaluate.tasks.readers.rows import Row, checked, json_rows, not_among, shown

ROLES = ("user", "sys")


def wos_reader(slots: Sequence[str]) -> Callable[[Path], list[Example]]:
    """Reads WoS: an example for each turn of the user, named `GUID-NUMBER` as in KLUE-baseline, numbers from 0.

    - `slots`: the `domain-slot` names that a state may hold. An ontology.json beside the file must have the same.
    """

    def read(path: Path) -> list[Example]:
        _check_ontology(path.parent / "ontology.json", slots)
        return checked(path, (example for row in json_rows(path) for example in _dialogue(row, slots)))

    return read


def _check_ontology(path: Path, slots: Sequence[str]) -> None:
    ontology = read_json(path)
    if ontology is None:
        return
    if not isinstance(ontology, dict):
        raise InputError(f"{path}: must be a JSON object with a list of values for each slot; restore the file")
    for slot in ontology:
        if slot not in slots:
            raise InputError(f"{path}: has the slot {shown(slot)}, {not_among(slot, slots)}; restore the file")
    if missing := [slot for slot in slots if slot not in ontology]:
        raise InputError(
            f"{path}: has {len(ontology)} of {len(slots)} slots, {missing[0]} is missing; restore the file"
        )


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
