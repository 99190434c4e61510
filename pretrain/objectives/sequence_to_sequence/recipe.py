"""Sequence to sequence, as recipes declare it. No JAX here."""

from dataclasses import dataclass

from pretrain.objectives.config import ObjectiveRecipe
from pretrain.objectives.targets.recipe_fields import WritesTargets


@dataclass(frozen=True)
class SequenceToSequence(WritesTargets, ObjectiveRecipe):
    """Sequence to sequence: each token of a target is predicted from the source and from the target's tokens before it."""

    @property
    def title(self) -> str:
        return "sequence-to-sequence"

    @property
    def method(self) -> str:
        return "sequence-to-sequence prediction"

    def in_words(self) -> str:
        return f"each token of a target predicted from its source and all before it{self.smoothing_in_words}"
