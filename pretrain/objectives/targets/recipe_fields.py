"""How targets are learnt and shown. No JAX here: recipes import this file."""

from dataclasses import dataclass

from data_pipeline.contract.recipe_fields import AT_LEAST_ONE, ZERO_TO_BELOW_ONE, number
from pretrain.objectives.config import LOSS, Headline


@dataclass(frozen=True)
class WritesTargets:
    """What the recipes of objectives that predict targets have in common, beside `ObjectiveRecipe`."""

    label_smoothing: float = number(0.0, ZERO_TO_BELOW_ONE)
    """Share of each label that is spread over the whole vocabulary, 0 to 1; the loss, of held-out rows too, is to such labels."""
    chunk: int = number(256, AT_LEAST_ONE, free=True)
    """Positions of each target whose scores of the vocabulary exist at once; changes results by rounding only."""
    sample_tokens: int = number(48, AT_LEAST_ONE, free=True)
    """Tokens, at most, of the targets that are written for held-out sources after each evaluation, to be read by people."""

    @property
    def smoothing_in_words(self) -> str:
        """The end of a line of the model card; empty without smoothing."""
        return f", labels smoothed by {self.label_smoothing:g}" if self.label_smoothing else ""

    @classmethod
    def headlines(cls) -> tuple[Headline, ...]:
        """See `ObjectiveRecipe`."""
        return LOSS, Headline("token_accuracy", "token accuracy", "", ".3f")
