from collections.abc import Mapping
from dataclasses import dataclass

from data_pipeline.contract.recipe_fields import AT_LEAST_ONE, number
from pretrain.models.config import ModelConfig, RowShape


@dataclass(frozen=True)
class ToyConfig(ModelConfig):
    """A word table and one affine map that is applied again and again."""

    width: int = number(16, AT_LEAST_ONE)
    """Width of the hidden states."""
    turns: int = number(3, AT_LEAST_ONE)
    """How often the map is applied."""
    vocab_size: int | None = None
    """Entries of the vocabulary; None: the records say."""

    def longest_row(self) -> None:
        return None

    def token_types(self) -> None:
        return None

    def tensor_divides(self) -> Mapping[str, int]:
        return {"width": self.width}

    def in_words(self) -> str:
        return f"{self.turns} turns, {self.width} wide"

    def has_dropout(self) -> bool:
        return False

    def parameter_count(self, vocab_size: int, heads: frozenset[str]) -> int:
        return (vocab_size + self.width + 1) * self.width

    def flops_per_row(self, row: RowShape, heads: frozenset[str]) -> float:
        return 6.0 * (self.turns * self.width**2 * row.length + self.width * row.vocabulary_size * row.predictions)
