"""Masked language modelling, as recipes declare it. No JAX here."""

from dataclasses import dataclass

from pretrain.objectives.config import LOSS, Headline, ObjectiveRecipe
from pretrain.objectives.corruption.recipe import HidesTokens

ACCURACY = Headline("masked_accuracy", "masked accuracy", "", ".3f")


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
        return LOSS, ACCURACY

    def held_out(self, pairs: str) -> tuple[Headline, ...]:
        """With pairs `loss` is a sum of two losses."""
        if not pairs:
            return self.headlines()
        task = pairs.replace("_", "-")
        return (
            LOSS._replace(metric="masked_lm_loss"),
            ACCURACY,
            LOSS._replace(metric=f"{pairs}_loss", title=f"{task} loss"),
            ACCURACY._replace(metric=f"{pairs}_accuracy", title=f"{task} accuracy"),
        )
