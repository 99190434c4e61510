from dataclasses import dataclass

from data_pipeline.contract.recipe_fields import ABOVE_ZERO, AT_LEAST_ONE, number
from pretrain.objectives.config import LOSS, Headline, ObjectiveRecipe


@dataclass(frozen=True)
class Tandem(ObjectiveRecipe):
    """Two models say the next token, each for itself; the second has its own number of turns and the first one's table."""

    second_turns: int = number(1, AT_LEAST_ONE)
    """Turns of the second model."""
    second_weight: float = number(0.5, ABOVE_ZERO)
    """Weight of its loss."""

    @property
    def title(self) -> str:
        return "tandem"

    @property
    def method(self) -> str:
        return "two next-token losses"

    def in_words(self) -> str:
        return f"the second of two models has {self.second_turns} turns"

    @classmethod
    def headlines(cls) -> tuple[Headline, ...]:
        return LOSS, Headline("second_accuracy", "second's accuracy", "", ".2f")
