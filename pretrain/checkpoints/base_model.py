"""What a run's start did not tell of the model that it began with, and only the user knows: its licence, and its id on the hub."""

from dataclasses import dataclass
from typing import Any

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.licences import OTHER
from pretrain.checkpoints.provenance import UNKNOWN, started_from
from pretrain.checkpoints.verify import Facts

UNTOLD = (UNKNOWN, OTHER)
"""Licences of a card that say nothing."""


@dataclass(frozen=True)
class BaseModel:
    """What the flags --base-model and --base-licence say; empty where they are not given."""

    hub_id: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        if self.licence and not self.licence.strip().isprintable():
            raise InputError(f"--base-licence {self.licence!r}: a licence is one line, such as apache-2.0")
        if self.hub_id:
            from huggingface_hub.errors import HFValidationError
            from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # passed on

            try:
                validate_repo_id(self.hub_id)
            except HFValidationError:
                raise InputError(
                    f"--base-model {self.hub_id}: is no id of the hub; give one such as klue/bert-base"
                ) from None

    def told(self) -> dict[str, str]:
        """What was said, as an export is recorded with it."""
        return {name: value for name, value in (("hub_id", self.hub_id), ("licence", self.licence)) if value}


NOTHING_TOLD = BaseModel()


def with_base_model(facts: Facts, told: dict[str, str]) -> Facts:
    """A checkpoint's facts, with what the user told of the model that its run began with.

    - `told`: of `BaseModel.told`. The id is of the (first) model; the licence goes wherever one is unknown or `other`.

    Raises InputError where the run began with none, or the licence is known.
    """
    if not told:
        return facts
    start = started_from(facts)
    if start is None:
        flag = "--base-model" if "hub_id" in told else "--base-licence"
        raise InputError(f"{flag}: this run did not begin with a trained model (--training.start-from); leave it out")
    licence, models = told.get("licence"), [start, *start.get("others", {}).values()]
    if licence and not any(_is_untold(model) for model in models):
        known = ", ".join(dict.fromkeys(each for model in models for each in model["licences"]))
        raise InputError(f"--base-licence {licence}: its own card says {known}; leave the flag out")
    changed = _with_licence(start, licence)
    if "others" in start:
        changed["others"] = {part: _with_licence(model, licence) for part, model in start["others"].items()}
    return {**facts, "started_from": {**changed, **({"hub_id": told["hub_id"]} if "hub_id" in told else {})}}


def question(facts: Facts, name: str) -> str:
    """The sentence that asks for the licence of the model that a run began with; empty where it is known, or there is none.

    - `name`: what the card calls that model.
    """
    start = started_from(facts)
    if start is None or not any(_is_untold(model) for model in (start, *start.get("others", {}).values())):
        return ""
    and_id = "" if start.get("hub_id") else ", and with --base-model klue/bert-base if that is its id on the hub"
    return (
        f"the licence of {name}, which the run began with, is not known, and the card says so: export again with "
        f"--base-licence apache-2.0 if that is its licence{and_id}"
    )


def _is_untold(model: dict[str, Any]) -> bool:
    return any(each in UNTOLD for each in model.get("licences", [UNKNOWN]))


def _with_licence(model: dict[str, Any], licence: str | None) -> dict[str, Any]:
    found = model.get("licences", [UNKNOWN])
    if not licence:
        return dict(model)
    return {**model, "licences": list(dict.fromkeys(licence if each in UNTOLD else each for each in found))}
