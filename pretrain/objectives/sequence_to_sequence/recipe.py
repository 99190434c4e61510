"""Sequence to sequence, as recipes declare it. No JAX here."""

from dataclasses import dataclass

from pretrain.objectives.config import LOSS, Headline, ObjectiveRecipe
from pretrain.recipe_fields import AT_LEAST_ONE, ZERO_TO_BELOW_ONE, number


@dataclass(frozen=True)
class SequenceToSequence(ObjectiveRecipe):
    """Sequence to sequence: each token of a target is predicted from the source and from the target's tokens before it."""

    label_smoothing: float = number(0.0, ZERO_TO_BELOW_ONE)
    """Share of each label that is spread over the whole vocabulary, 0 to 1; the loss, of held-out rows too, is to such labels."""
    chunk: int = number(256, AT_LEAST_ONE, free=True)
    """Positions of each target whose scores of the vocabulary exist at once; changes results by rounding only."""
    sample_tokens: int = number(48, AT_LEAST_ONE, free=True)
    """Tokens, at most, of the targets that are written for held-out sources after each evaluation, to be read by people."""

    @property
    def title(self) -> str:
        return "sequence-to-sequence"

    @property
    def method(self) -> str:
        return "sequence-to-sequence prediction"

    def in_words(self) -> str:
        smoothed = f", labels smoothed by {self.label_smoothing:g}" if self.label_smoothing else ""
        return f"each token of a target predicted from its source and all before it{smoothed}"

    @classmethod
    def headlines(cls) -> tuple[Headline, ...]:
        return LOSS, Headline("token_accuracy", "token accuracy", "", ".3f")
