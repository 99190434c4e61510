"""Masked language modelling, as recipes declare it. No JAX here."""

from dataclasses import dataclass, field

from pretrain.objectives.config import LOSS, Headline, ObjectiveRecipe
from pretrain.objectives.corruption.recipe import Masking


@dataclass(frozen=True)
class MaskedLM(ObjectiveRecipe):
    """Masked language modelling, with next-sentence or sentence-order prediction where the records hold such pairs."""

    masking: Masking = field(default_factory=Masking)

    @property
    def title(self) -> str:
        return "masked-LM"

    @property
    def method(self) -> str:
        return "whole-word masking"

    def in_words(self) -> str:
        masking = self.masking
        return (
            f"{masking.rate:.0%} of tokens predicted, of these {masking.mask_share:.0%} masked and "
            f"{masking.random_share:.0%} replaced at random"
            + (", all pieces of a word alike" if masking.replace_unit == "word" else "")
        )

    @classmethod
    def headlines(cls) -> tuple[Headline, ...]:
        return LOSS, Headline("masked_accuracy", "masked accuracy", "", ".3f")
