"""Causal language modelling, as recipes declare it. No JAX here."""

from dataclasses import dataclass, field

from data_pipeline.contract.recipe_fields import AT_LEAST_ONE, AT_LEAST_ZERO, FREE, number
from pretrain.objectives.config import LOSS, Headline, ObjectiveRecipe


@dataclass(frozen=True)
class Continuation:
    """How held-out rows are continued after each evaluation, to be read by people."""

    prompt: int = number(32, AT_LEAST_ONE)
    """Tokens of a row that are given."""
    tokens: int = number(32, AT_LEAST_ONE)
    """Tokens that are written, as far as a row has room."""
    top_k: int = number(40, AT_LEAST_ZERO)
    """Drawn from so many likeliest tokens; 0 means all."""
    temperature: float = number(0.8, AT_LEAST_ZERO)
    """Above 1 bolder, below 1 safer; 0 takes the likeliest token."""


@dataclass(frozen=True)
class CausalLM(ObjectiveRecipe):
    """Causal language modelling: each token of a row is predicted from all before it."""

    chunk: int = number(256, AT_LEAST_ONE, free=True)
    """Positions of each row whose scores of the vocabulary exist at once; changes results by rounding only."""
    sample: Continuation = field(default_factory=Continuation, metadata=FREE)

    @property
    def title(self) -> str:
        return "causal-LM"

    @property
    def method(self) -> str:
        return "next-token prediction"

    def in_words(self) -> str:
        return "each token predicted from all before it in its row, across the ends of texts"

    @classmethod
    def headlines(cls) -> tuple[Headline, ...]:
        return LOSS, Headline("next_token_accuracy", "next-token accuracy", "", ".3f")
