"""The families: every package of `pretrain.models` with a `config.py` and a `family.py`, and any other whose config was imported."""

from collections.abc import Mapping
from typing import Any

from data_pipeline.contract.errors import InputError
from pretrain.models.config import ModelConfig, config_classes
from pretrain.models.protocols import Compute, Family, Model
from pretrain.open_union import companion


def family_of(config: ModelConfig) -> Family:
    """The family of a config: `FAMILY` in the `family.py` beside it."""
    found: Family = companion(type(config), "family").FAMILY
    return found


def make_model(config: ModelConfig, vocab_size: int, heads: frozenset[str], compute: Compute) -> Model:
    """The model of a config. Raises InputError for heads that its family does not have, and sizes that do not fit."""
    family = family_of(config)
    if lacking := sorted(heads - family.heads):
        raise InputError(
            f"model is a {type(config).__name__}, which has no head {lacking[0]} (it has {', '.join(sorted(family.heads))}); choose "
            "other records, another objective or another family"
        )
    return family.make(config, vocab_size, heads, compute)


def family_of_hugging_face(configuration: Mapping[str, Any], called: str) -> Family:
    """The family that reads such a config.json. Raises InputError, calling the place as the user did, where none does."""
    families: list[Family] = [companion(kind, "family").FAMILY for kind in config_classes()]
    found = configuration.get("model_type")
    for family in families:
        if found in family.model_types:
            return family
    known = ", ".join(name for family in families for name in family.model_types)
    raise InputError(f"{called}: config.json says model_type {found}; this code reads {known}")
