"""Sizes of a ModernBERT. No JAX here: recipes import this file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from data_pipeline.contract.recipe_fields import (
    ABOVE_ZERO,
    AT_LEAST_ONE,
    AT_LEAST_ZERO,
    ZERO_TO_BELOW_ONE,
    Limit,
    number,
)
from pretrain.models.config import LongestRow, ModelConfig, RowShape

FEW_OR_NONE = Limit("0, or 4 or more", lambda value: value == 0 or 4 <= value < 2**15)
EVEN = Limit("an even number, 2 or more", lambda value: value >= 2 and value % 2 == 0)


@dataclass(frozen=True)
class ModernBertConfig(ModelConfig):
    """A ModernBERT encoder (Warner et al. 2024, arXiv 2412.13663) with Hugging Face's names. The defaults are ModernBERT-base's.

    LayerNorm before each block and none before the first layer's attention, rotary positions, GeGLU, no biases but the output's.
    """

    num_hidden_layers: int = number(22, AT_LEAST_ONE)
    """Layers."""
    hidden_size: int = number(768, AT_LEAST_ONE)
    """Width of the hidden states; an even multiple of num_attention_heads."""
    num_attention_heads: int = number(12, AT_LEAST_ONE)
    """Attention heads a layer."""
    intermediate_size: int = number(1152, AT_LEAST_ONE)
    """Width of the feed-forward layer: of each of the two maps whose product it takes."""
    global_attn_every_n_layers: int = number(3, AT_LEAST_ONE)
    """The first layer and each so many further on see all positions; those between, a window."""
    local_attention: int = number(128, EVEN)
    """The window's width: a position sees half as many to each side."""
    global_rope_theta: float = number(160_000.0, ABOVE_ZERO)
    """Base of the rotary positions of layers that see all (Su et al. 2021, arXiv 2104.09864); 10,000 for rows of 1,024 tokens. It may
    change from phase to phase."""
    local_rope_theta: float = number(10_000.0, ABOVE_ZERO)
    """Base of the rotary positions of layers with a window."""
    max_position_embeddings: int = number(8192, AT_LEAST_ONE)
    """Most tokens of a row; no parameter counts them."""
    embedding_dropout: float = number(0.0, ZERO_TO_BELOW_ONE)
    """Dropout after the embeddings, 0 to 1."""
    attention_dropout: float = number(0.0, ZERO_TO_BELOW_ONE)
    """Dropout on attention probabilities, 0 to 1."""
    attention_out_dropout: float = number(0.1, ZERO_TO_BELOW_ONE)
    """Dropout after attention's output, 0 to 1; Hugging Face's attention_dropout is this and the one on probabilities."""
    mlp_dropout: float = number(0.0, ZERO_TO_BELOW_ONE)
    """Dropout inside the feed-forward layer, 0 to 1."""
    norm_eps: float = number(1e-5, ABOVE_ZERO)
    """Epsilon of LayerNorm."""
    initializer_range: float = number(0.02, AT_LEAST_ZERO)
    """Standard deviation of the initial kernels and tables, drawn within two of them; that of kernels that write to the residual sum,
    and of the head's, is divided by the root of 2 x num_hidden_layers."""
    initializer: Literal["modernbert", "ltg_bert"] = "modernbert"
    """modernbert: as initializer_range says; ltg_bert, for small corpora: with the root of 2 / (5 x hidden_size), those of feed-forward
    layer i, from 1, divided by the root of 2 i (Samuel et al. 2023, arXiv 2303.09859)."""
    attention_gate: bool = False
    """Whether what attention mixes is multiplied by a gate made of its input, for small corpora (GPT-BERT, Charpentier and Samuel 2024,
    arXiv 2410.24159). transformers has none: such a model is not exported."""
    relative_buckets: int = number(0, FEW_OR_NONE)
    """Log buckets of distances to each side, whose vectors queries and keys are compared with in the place of rotary positions, for small
    corpora; LTG-BERT has 32. 0: rotary. Every layer then makes the scores of all positions, and transformers has none: such a model is
    not exported."""
    classifier_pooling: Literal["cls", "mean"] = "cls"
    """What a fine-tuned classifier of rows reads: the first token, or the mean of all."""
    exported_dropout: float | None = number(None, ZERO_TO_BELOW_ONE, free=True)
    """All dropouts that config.json of an export names, with which fine-tuning scripts then train, 0 to 1; None means 0, as
    published ModernBERTs, whatever pretraining had."""
    vocab_size: int | None = None
    """Rows of the vocabulary. Left None: the records say. A number that differs from the records' is refused."""
    pad_token_id: int | None = None
    """Id of [PAD]. Left None: the records say. A number that differs from the records' is refused."""

    @property
    def window(self) -> int:
        """Positions that a layer with a window sees to each side."""
        return self.local_attention // 2

    @property
    def head_width(self) -> int:
        """Width of an attention head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def buckets(self) -> int:
        """Buckets of distances to both sides."""
        return max(0, 2 * self.relative_buckets - 1)

    def is_global(self, layer: int) -> bool:
        """Whether a layer, counted from 0, sees all positions."""
        return layer % self.global_attn_every_n_layers == 0

    def misfit(self, named: Callable[[str], str]) -> str | None:
        if self.hidden_size % (2 * self.num_attention_heads):
            return (
                f"{named('hidden_size')} {self.hidden_size}: must be a multiple of 2 x {named('num_attention_heads')} "
                f"{self.num_attention_heads}, because rotary positions turn pairs of a head's values; change one of them"
            )
        if self.relative_buckets and self.relative_buckets // 2 >= self.max_position_embeddings - 1:
            return (
                f"{named('relative_buckets')} {self.relative_buckets}: half of them must be fewer than the distances in rows of "
                f"{named('max_position_embeddings')} {self.max_position_embeddings}; set fewer"
            )
        return None

    def longest_row(self) -> LongestRow:
        return LongestRow("max_position_embeddings", self.max_position_embeddings, self.max_position_embeddings)

    def token_types(self) -> None:
        return None

    def tensor_divides(self) -> Mapping[str, int]:
        return {"num_attention_heads": self.num_attention_heads}

    def in_words(self) -> str:
        return f"{self.num_hidden_layers} layers, {self.hidden_size} wide"

    def has_dropout(self) -> bool:
        return bool(self.embedding_dropout or self.attention_dropout or self.attention_out_dropout or self.mlp_dropout)

    def parameter_count(self, vocab_size: int, heads: frozenset[str]) -> int:
        """Parameters of the encoder; ModernBERT-base (50,368 rows) has 149,014,272, ModernBERT-large 394,781,696."""
        hidden, inner = self.hidden_size, self.intermediate_size
        layer = (4 + self.attention_gate) * hidden * hidden + 3 * hidden * inner + 2 * hidden
        relative = (self.buckets + 1) * hidden if self.relative_buckets else 0
        # The norms of embeddings and output, less that which the first layer does not have.
        return vocab_size * hidden + self.num_hidden_layers * layer + hidden + relative

    def flops_per_row(self, row: RowShape, heads: frozenset[str]) -> float:
        """As `ModelConfig` says, with the pairs inside the window for the layers that have one."""
        hidden, inner = self.hidden_size, self.intermediate_size
        layers = self.num_hidden_layers
        all_pairs = sum(map(self.is_global, range(layers)))
        pairs = all_pairs * row.pairs + (layers - all_pairs) * self._pairs_in_window(row)
        maps = (4 + self.attention_gate) * hidden * hidden + 3 * hidden * inner
        of_buckets = 2 * self.buckets * hidden * (hidden + row.length)
        products = layers * (maps * row.length + of_buckets) + 2 * hidden * pairs
        head = (hidden * hidden + hidden * row.vocabulary_size) * row.predictions if "vocabulary" in heads else 0
        return 6.0 * (products + head)

    def _pairs_in_window(self, row: RowShape) -> float:
        """Pairs of a query and a key that a layer with a window computes for the model's sake.

        n tokens of a segment see n x n, or less window x (window + 1) n x (2 window + 1) of them; `row.pairs` is shared out to segments
        of one length, the mean length of a token's. Segments of several lengths have a little less.
        """
        segment, window = row.pairs / row.length, self.window
        if segment <= window:
            return row.pairs
        return row.length * (2 * window + 1 - window * (window + 1) / segment)
