"""Sizes of a Funnel. No JAX here: recipes import this file."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_fields import (
    ABOVE_ZERO,
    AT_LEAST_ONE,
    AT_LEAST_ZERO,
    ZERO_TO_BELOW_ONE,
    Limit,
    limited,
    number,
)
from pretrain.models.config import ModelConfig, RowShape

BLOCKS = Limit("one or more numbers, each 1 or more", lambda sizes: bool(sizes) and all(size >= 1 for size in sizes))
EVEN = Limit("an even number, 2 or more", lambda value: value >= 2 and value % 2 == 0)


@dataclass(frozen=True)
class FunnelConfig(ModelConfig):
    """A Funnel (Dai et al. 2020, arXiv 2006.03236), discriminator or generator, with Hugging Face's names.

    Every block but the first begins by halving the row, and a decoder of whole length follows the last one. The defaults are those of the
    published models of 768 with three blocks of 6. What all published models have alike is no field: the mean of two neighbours as
    pooling, of the queries alone; [CLS] pooled with nothing; the last token left out where that keeps lengths even.
    """

    pools_tokens: ClassVar[bool] = True
    text_types: ClassVar[int] = 2
    """Token types that are told apart, whether two tokens are of the same: there is no table of them."""

    block_sizes: tuple[int, ...] = field(default=(6, 6, 6), metadata=limited(BLOCKS))
    """Layers of each block."""
    num_decoder_layers: int = number(2, AT_LEAST_ONE)
    """Layers behind the blocks, over the whole row; a classifier of rows goes without."""
    d_model: int = number(768, EVEN)
    """Width of the hidden states and of the word table."""
    n_head: int = number(12, AT_LEAST_ONE)
    """Attention heads a layer."""
    d_head: int = number(64, AT_LEAST_ONE)
    """Width of an attention head; all heads together may be wider or narrower than d_model."""
    d_inner: int = number(3072, AT_LEAST_ONE)
    """Width of the feed-forward layer."""
    hidden_dropout: float = number(0.1, ZERO_TO_BELOW_ONE)
    """Dropout after the embeddings and after each block's output, 0 to 1."""
    attention_dropout: float = number(0.1, ZERO_TO_BELOW_ONE)
    """Dropout on attention probabilities, 0 to 1."""
    activation_dropout: float = number(0.0, ZERO_TO_BELOW_ONE)
    """Dropout inside the feed-forward layer, 0 to 1."""
    layer_norm_eps: float = number(1e-9, ABOVE_ZERO)
    """Epsilon of LayerNorm."""
    init_std: float = number(0.02, AT_LEAST_ZERO)
    """Deviation of all initial values but LayerNorm's and the biases of linear maps, nothing beyond two of it (laiguokun/Funnel-Transformer,
    tensorflow/modeling.py). transformers' initializer_std, which has other rules for what is not a linear map."""
    exported_dropout: float | None = number(None, ZERO_TO_BELOW_ONE, free=True)
    """The dropouts of hidden states and of attention that config.json of an export names, with which fine-tuning scripts then train, 0 to
    1; None means 0.1, as published Funnels, whatever pretraining had."""
    vocab_size: int | None = None
    """Rows of the vocabulary. Left None: the records say. A number that differs from the records' is refused."""
    pad_token_id: int | None = None
    """Id of [PAD]. Left None: the records say. A number that differs from the records' is refused."""

    @property
    def attention_width(self) -> int:
        """Width of all heads of a layer together."""
        return self.n_head * self.d_head

    def longest_row(self) -> None:
        return None

    def token_types(self) -> tuple[str, int]:
        return "text_types", self.text_types

    def tensor_divides(self) -> Mapping[str, int]:
        return {"n_head": self.n_head}

    def in_words(self) -> str:
        blocks = "-".join(map(str, self.block_sizes))
        return f"blocks of {blocks} layers and a decoder of {self.num_decoder_layers}, {self.d_model} wide"

    def has_dropout(self) -> bool:
        return bool(self.hidden_dropout or self.attention_dropout or self.activation_dropout)

    def generator(self, hidden_share: float, layers_share: float, *, shares_tables: bool = True) -> "FunnelConfig":
        """As `ModelConfig.generator`. Heads and feed-forward layers shrink by hidden_share, and with tables of its own d_model does too, as
        in laiguokun/Funnel-Transformer (tensorflow/pretrain.py, get_generator_config). Its map from shared tables to a narrower d_model
        is left out, because transformers' FunnelForMaskedLM has none."""
        width = self.d_model if shares_tables else round(hidden_share * self.d_model)
        if width % 2 or not width:
            raise InputError(
                f"--training.objective.generator.hidden-share {hidden_share:g}: makes the generator {width} wide; choose a share of "
                f"--training.model.d-model {self.d_model} that gives an even width"
            )

        def of_layers(count: int) -> int:
            return max(1, round(layers_share * count))

        return replace(
            self,
            block_sizes=tuple(map(of_layers, self.block_sizes)),
            num_decoder_layers=of_layers(self.num_decoder_layers),
            d_model=width,
            n_head=max(1, round(hidden_share * self.n_head)),
            d_inner=max(1, round(hidden_share * self.d_inner)),
        )

    def parameter_count(self, vocab_size: int, heads: frozenset[str]) -> int:
        """All but the heads'; funnel-kor-base (42,000 entries) has 185,872,896 with its decoder."""
        width, across = self.d_model, self.attention_width
        attention = 5 * width * across + 5 * across + 2 * across + width + 2 * width
        feed_forward = 2 * width * self.d_inner + self.d_inner + width + 2 * width
        layers = sum(self.block_sizes) + (self.num_decoder_layers if has_decoder(heads) else 0)
        return (vocab_size + 2) * width + layers * (attention + feed_forward)

    def flops_per_row(self, row: RowShape, heads: frozenset[str]) -> float:
        """As `ModelConfig` says, each block with its own length. A query meets each key it attends to three times: its content, its
        distance and its value. What is made of distances alone is the same for all rows, and is not counted."""
        real = row.pairs / row.length**2
        lengths = pooled_lengths(row.length, len(self.block_sizes))
        multiply_adds = 0.0
        for block, count in enumerate(self.block_sizes):
            pools = lengths[block] < lengths[max(0, block - 1)]
            multiply_adds += pools * self._layer_multiply_adds(lengths[block], lengths[block - 1], real)
            multiply_adds += (count - pools) * self._layer_multiply_adds(lengths[block], lengths[block], real)
        if has_decoder(heads):
            multiply_adds += self.num_decoder_layers * self._layer_multiply_adds(row.length, row.length, real)
        if "vocabulary" in heads:
            multiply_adds += self.d_model * row.vocabulary_size * row.predictions
        if "replaced" in heads:
            multiply_adds += (self.d_model + 1) * self.d_model * row.length
        return 6.0 * multiply_adds

    def _layer_multiply_adds(self, queries: int, keys: int, real: float) -> float:
        """Those of a layer's forward pass.

        - `real`: share of the pairs of a query and a key that attention computes for the model's sake.
        """
        width, across = self.d_model, self.attention_width
        of_queries = 2 * width * across + 2 * across + 2 * width * self.d_inner
        return of_queries * queries + 2 * width * across * keys + 3 * across * queries * keys * real


def has_decoder(heads: frozenset[str]) -> bool:
    """Whether a model with such heads has the decoder: all have but a classifier of rows (transformers' FunnelBaseModel)."""
    return "classifier" not in heads


def pooled_lengths(length: int, blocks: int) -> list[int]:
    """The row's tokens in each block: halved, rounded up, from the second on; [CLS] and one other stay two."""
    lengths = [length]
    while len(lengths) < blocks:
        lengths.append((lengths[-1] + 1) // 2 if lengths[-1] > 2 else lengths[-1])
    return lengths
