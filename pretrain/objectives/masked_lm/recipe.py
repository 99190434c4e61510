"""Masked language modelling, as recipes declare it. No JAX here."""

from dataclasses import dataclass

from pretrain.objectives.config import LOSS, Headline, ObjectiveRecipe
from pretrain.objectives.corruption.recipe import HidesTokens


@dataclass(frozen=True)
class MaskedLM(HidesTokens, ObjectiveRecipe):
    """Masked language modelling, with next-sentence or sentence-order prediction where the records hold such pairs."""

    @property
    def title(self) -> str:
        return "masked-LM"

    @property
    def method(self) -> str:
        return "masked language modelling"

    def in_words(self) -> str:
        return self.masking.in_words()

    @classmethod
    def headlines(cls) -> tuple[Headline, ...]:
        return LOSS, Headline("masked_accuracy", "masked accuracy", "", ".3f")
