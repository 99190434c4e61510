"""Sizes of a GPT-2. No JAX here: recipes import this file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from data_pipeline.contract.recipe_fields import ABOVE_ZERO, AT_LEAST_ONE, AT_LEAST_ZERO, ZERO_TO_BELOW_ONE, number
from pretrain.models.config import LongestRow, ModelConfig, RowShape


@dataclass(frozen=True)
class GPT2Config(ModelConfig):
    """A GPT-2 decoder (Radford et al. 2019, "Language models are unsupervised multitask learners") with Hugging Face's names.

    The defaults are those of the published small model.
    """

    n_layer: int = number(12, AT_LEAST_ONE)
    """Layers."""
    n_embd: int = number(768, AT_LEAST_ONE)
    """Width of the hidden states; a multiple of n_head."""
    n_head: int = number(12, AT_LEAST_ONE)
    """Attention heads a layer."""
    n_inner: int | None = number(None, AT_LEAST_ONE)
    """Width of the feed-forward layer; None means 4 x n_embd."""
    n_positions: int = number(1024, AT_LEAST_ONE)
    """Rows of the position table; at least the records' length."""
    embd_pdrop: float = number(0.1, ZERO_TO_BELOW_ONE)
    """Dropout after the embeddings, 0 to 1."""
    resid_pdrop: float = number(0.1, ZERO_TO_BELOW_ONE)
    """Dropout after each block's output, 0 to 1."""
    attn_pdrop: float = number(0.0, ZERO_TO_BELOW_ONE)
    """Dropout on attention probabilities, 0 to 1. Published GPT-2s used 0.1; it rules out every fused attention kernel."""
    layer_norm_epsilon: float = number(1e-5, ABOVE_ZERO)
    """Epsilon of LayerNorm."""
    initializer_range: float = number(0.02, AT_LEAST_ZERO)
    """Standard deviation of the initial kernels and tables; that of kernels that write to the residual sum is divided by the root of
    2 x n_layer."""
    exported_dropout: float | None = number(None, ZERO_TO_BELOW_ONE, free=True)
    """All three dropouts that config.json of an export names, with which fine-tuning scripts then train, 0 to 1; None means 0.1, as
    published GPT-2s, whatever pretraining had."""
    vocab_size: int | None = None
    """Rows of the vocabulary. Left None: the records say. A number that differs from the records' is refused."""

    @property
    def inner_width(self) -> int:
        """Width of the feed-forward layer."""
        return self.n_inner or 4 * self.n_embd

    def misfit(self, named: Callable[[str], str]) -> str | None:
        if self.n_embd % self.n_head:
            return f"{named('n_embd')} {self.n_embd}: must be a multiple of {named('n_head')} {self.n_head}; change one of them"
        return None

    def longest_row(self) -> LongestRow:
        return LongestRow("n_positions", self.n_positions, self.n_positions)

    def token_types(self) -> None:
        return None

    def tensor_divides(self) -> Mapping[str, int]:
        return {"n_head": self.n_head}

    def in_words(self) -> str:
        return f"{self.n_layer} layers, {self.n_embd} wide"

    def has_dropout(self) -> bool:
        return bool(self.embd_pdrop or self.resid_pdrop or self.attn_pdrop)

    def parameter_count(self, vocab_size: int, heads: frozenset[str]) -> int:
        """All parameters, for the head is the word table; LMkor's GPT (42,000 rows, 2,048 positions) has 118,884,864."""
        width, inner = self.n_embd, self.inner_width
        attention = 4 * (width * width + width)
        feed_forward = 2 * width * inner + inner + width
        return (vocab_size + self.n_positions + 2) * width + self.n_layer * (attention + feed_forward + 4 * width)

    def flops_per_row(self, row: RowShape, heads: frozenset[str]) -> float:
        """As `ModelConfig` says; a row that is one text attends n (n + 1) / 2 pairs."""
        width, inner = self.n_embd, self.inner_width
        pairs = row.length * (row.length + 1) / 2 if row.attended is None else row.attended
        layer = (4 * width * width + 2 * width * inner) * row.length + 2 * width * pairs
        head = width * row.vocabulary_size * row.predictions if "next_token" in heads else 0
        return 6.0 * (self.n_layer * layer + head)
