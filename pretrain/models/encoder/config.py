"""Sizes of a post-norm encoder and its arithmetic. No JAX here: recipes import this file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from data_pipeline.contract.recipe_fields import ABOVE_ZERO, AT_LEAST_ONE, AT_LEAST_ZERO, ZERO_TO_BELOW_ONE, number
from pretrain.models.config import LongestRow, ModelConfig, RowShape


@dataclass(frozen=True)
class EncoderConfig(ModelConfig):
    """The fields of a post-norm encoder, with Hugging Face's names. The defaults are BERT-base's."""

    customary_dropout: ClassVar[float] = 0.1
    """What the family's models are fine-tuned with, by default BERT's (Devlin et al. 2019, appendix A.3)."""
    hidden_act: ClassVar[str] = "gelu"
    """The activation, under transformers' name: the only one that the family is computed with here."""
    shares_layers: ClassVar[bool] = False
    """Whether all layers have the same parameters, which are then kept once."""

    num_hidden_layers: int = number(12, AT_LEAST_ONE)
    """Encoder layers."""
    hidden_size: int = number(768, AT_LEAST_ONE)
    """Width of the hidden states; a multiple of num_attention_heads."""
    num_attention_heads: int = number(12, AT_LEAST_ONE)
    """Attention heads a layer."""
    intermediate_size: int = number(3072, AT_LEAST_ONE)
    """Width of the feed-forward layer."""
    max_position_embeddings: int = number(512, AT_LEAST_ONE)
    """Rows of the position table; at least the records' length."""
    type_vocab_size: int = number(2, AT_LEAST_ONE)
    """Rows of the token type table."""
    hidden_dropout_prob: float = number(0.1, ZERO_TO_BELOW_ONE)
    """Dropout after the embeddings and after each block's output, 0 to 1."""
    attention_probs_dropout_prob: float = number(0.0, ZERO_TO_BELOW_ONE)
    """Dropout on attention probabilities, 0 to 1. Published BERTs used 0.1; it rules out every fused attention kernel."""
    layer_norm_eps: float = number(1e-12, ABOVE_ZERO)
    """Epsilon of LayerNorm."""
    initializer_range: float = number(0.02, AT_LEAST_ZERO)
    """Standard deviation of the initial kernels and embeddings."""
    initializer: Literal["normal", "truncated_normal"] = "normal"
    """normal: as Hugging Face draws; truncated_normal: nothing beyond two deviations, as google-research/bert."""
    exported_dropout: float | None = number(None, ZERO_TO_BELOW_ONE, free=True)
    """Both dropouts that config.json of an export names, with which fine-tuning scripts then train, 0 to 1; None means 0.1, as
    published BERTs, whatever pretraining had."""
    vocab_size: int | None = None
    """Rows of the vocabulary. Left None: the records say. A number that differs from the records' is refused."""
    pad_token_id: int | None = None
    """Id of [PAD]. Left None: the records say. A number that differs from the records' is refused."""

    @property
    def embedding_width(self) -> int:
        """Width of the word, position and token type tables."""
        return self.hidden_size

    @property
    def projects_embeddings(self) -> bool:
        """Whether a linear map takes the embeddings to the layers' width."""
        return self.embedding_width != self.hidden_size

    @property
    def first_position(self) -> int:
        """The row of the position table that position 0 takes."""
        return 0

    def misfit(self, named: Callable[[str], str]) -> str | None:
        if self.hidden_size % self.num_attention_heads:
            heads = f"{named('num_attention_heads')} {self.num_attention_heads}"
            return f"{named('hidden_size')} {self.hidden_size}: must be a multiple of {heads}; change one of them"
        return None

    def longest_row(self) -> LongestRow:
        rows = self.max_position_embeddings
        return LongestRow("max_position_embeddings", rows, rows - self.first_position)

    def token_types(self) -> tuple[str, int]:
        return "type_vocab_size", self.type_vocab_size

    def tensor_divides(self) -> Mapping[str, int]:
        return {"num_attention_heads": self.num_attention_heads}

    def in_words(self) -> str:
        return f"{self.num_hidden_layers} layers, {self.hidden_size} wide"

    def has_dropout(self) -> bool:
        return bool(self.hidden_dropout_prob or self.attention_probs_dropout_prob)

    def encoder_parameters(self, vocab_size: int) -> int:
        """Parameters of tables and layers; what a family has beside them, such as a pooler, is its `parameter_count`'s to add."""
        hidden, inner, width = self.hidden_size, self.intermediate_size, self.embedding_width
        embeddings = (vocab_size + self.max_position_embeddings + self.type_vocab_size + 2) * width
        projection = width * hidden + hidden if self.projects_embeddings else 0
        attention = 4 * (hidden * hidden + hidden) + 2 * hidden
        feed_forward = 2 * hidden * inner + inner + hidden + 2 * hidden
        layers = 1 if self.shares_layers else self.num_hidden_layers
        return embeddings + projection + layers * (attention + feed_forward)

    def flops_per_row(self, row: RowShape, heads: frozenset[str]) -> float:
        return 6.0 * (self._multiply_adds(row) + self._head_multiply_adds(row, heads))

    def _multiply_adds(self, row: RowShape) -> float:
        """Those of the encoder's forward pass on a row."""
        hidden, inner, width = self.hidden_size, self.intermediate_size, self.embedding_width
        layer = (4 * hidden * hidden + 2 * hidden * inner) * row.length + 2 * hidden * row.pairs
        projection = width * hidden * row.length if self.projects_embeddings else 0
        return self.num_hidden_layers * layer + projection

    def _head_multiply_adds(self, row: RowShape, heads: frozenset[str]) -> float:
        """Those of the head `vocabulary` on a row, a dense layer to the tables' width and the word table."""
        width = self.embedding_width
        return (
            (self.hidden_size * width + width * row.vocabulary_size) * row.predictions if "vocabulary" in heads else 0
        )
