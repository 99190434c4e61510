"""Sizes of a T5. No JAX here: recipes import this file."""

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
from pretrain.models.config import ModelConfig, RowShape

BUCKETS = Limit("an even number, 4 or more", lambda value: value >= 4 and value % 2 == 0)


@dataclass(frozen=True)
class T5Config(ModelConfig):
    """A T5 (Raffel et al. 2019, arXiv 1910.10683) with Hugging Face's names.

    The defaults are the published small model's. Version 1.1 has `feed_forward_proj` gated-gelu, a head of its own
    (`tie_word_embeddings` False), and was pretrained without dropout.
    """

    num_layers: int = number(6, AT_LEAST_ONE)
    """Layers of the encoder."""
    num_decoder_layers: int = number(6, AT_LEAST_ONE)
    """Layers of the decoder."""
    d_model: int = number(512, AT_LEAST_ONE)
    """Width of the hidden states."""
    d_kv: int = number(64, AT_LEAST_ONE)
    """Width of an attention head; all heads together may be wider or narrower than d_model."""
    num_heads: int = number(8, AT_LEAST_ONE)
    """Attention heads a layer."""
    d_ff: int = number(2048, AT_LEAST_ONE)
    """Width of the feed-forward layer."""
    feed_forward_proj: Literal["relu", "gated-gelu"] = "relu"
    """The feed-forward layer: relu (version 1.0), or a product of two maps of which one goes through gelu_new (version 1.1; Shazeer 2020,
    arXiv 2002.05202)."""
    tie_word_embeddings: bool = True
    """Whether the word table scores the target's tokens, of hidden states divided by the root of d_model (version 1.0), or a table of
    the head's own (version 1.1)."""
    relative_attention_num_buckets: int = number(32, BUCKETS)
    """Rows of each stack's table of relative positions."""
    relative_attention_max_distance: int = number(128, AT_LEAST_ONE)
    """Tokens of distance from which on all share a row."""
    dropout_rate: float = number(0.1, ZERO_TO_BELOW_ONE)
    """Dropout after the embeddings, on attention probabilities, in the feed-forward layer, after each block and after each stack, 0
    to 1."""
    layer_norm_epsilon: float = number(1e-6, ABOVE_ZERO)
    """Epsilon of the normalisation by the root mean square."""
    initializer_factor: float = number(1.0, AT_LEAST_ZERO)
    """Factor of all initial deviations (`pretrain.models.t5.model`)."""
    exported_dropout: float | None = number(None, ZERO_TO_BELOW_ONE, free=True)
    """The dropout that config.json of an export names, with which fine-tuning scripts then train, 0 to 1; None means 0.1, as
    published T5s, whatever pretraining had."""
    vocab_size: int | None = None
    """Rows of the vocabulary. Left None: the records say. A number that differs from the records' is refused."""

    @property
    def attention_width(self) -> int:
        """Width of all heads of a layer together."""
        return self.num_heads * self.d_kv

    @property
    def is_gated(self) -> bool:
        """Whether the feed-forward layer is a product of two maps."""
        return self.feed_forward_proj == "gated-gelu"

    def misfit(self, named: Callable[[str], str]) -> str | None:
        exact = self.relative_attention_num_buckets // 2
        if self.relative_attention_max_distance <= exact:
            return (
                f"{named('relative_attention_max_distance')} {self.relative_attention_max_distance}: must be above {exact}, half of "
                f"{named('relative_attention_num_buckets')}"
            )
        return None

    def longest_row(self) -> None:
        return None

    def token_types(self) -> None:
        return None

    def tensor_divides(self) -> Mapping[str, int]:
        return {"num_heads": self.num_heads}

    def in_words(self) -> str:
        return f"{self.num_layers} + {self.num_decoder_layers} layers, {self.d_model} wide"

    def has_dropout(self) -> bool:
        return bool(self.dropout_rate)

    def parameter_count(self, vocab_size: int, heads: frozenset[str]) -> int:
        """All parameters but those of a head that is not tied; t5-small (32,128 rows) has 60,506,624."""
        width, attention = self.d_model, 4 * self.d_model * self.attention_width
        feed_forward = (2 + self.is_gated) * width * self.d_ff
        encoder = self.num_layers * (attention + feed_forward + 2 * width)
        decoder = self.num_decoder_layers * (2 * attention + feed_forward + 3 * width)
        stacks = 2 * (width + self.relative_attention_num_buckets * self.num_heads)
        return vocab_size * width + encoder + decoder + stacks

    def flops_per_row(self, row: RowShape, heads: frozenset[str]) -> float:
        """As `ModelConfig` says; a row without padding attends S x S pairs in the encoder of S tokens, T (T + 1) / 2 in the decoder of
        T tokens, and T x S between them."""
        width, across, source, target = self.d_model, self.attention_width, row.length, row.target_length
        of_source, of_target = source**2, target * (target + 1) / 2 + target * source
        # Which side's the missing pairs are is not known where the sides differ in layers.
        real = 1.0 if row.attended is None else row.attended / (of_source + of_target)
        pairs = real * (self.num_layers * of_source + self.num_decoder_layers * of_target)
        block = 4 * width * across + (2 + self.is_gated) * width * self.d_ff
        products = self.num_layers * block * source + self.num_decoder_layers * block * target
        products += self.num_decoder_layers * 2 * width * across * (source + target)
        head = width * row.vocabulary_size * row.predictions if "target" in heads else 0
        return 6.0 * (products + 2 * across * pairs + head)
