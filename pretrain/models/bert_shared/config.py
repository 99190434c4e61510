"""Sizes of a tied encoder-decoder. No JAX here: recipes import this file."""

from dataclasses import dataclass

from pretrain.models.config import RowShape
from pretrain.models.encoder.config import EncoderConfig


@dataclass(frozen=True)
class BertSharedConfig(EncoderConfig):
    """A BERT that is encoder and decoder at once (BERTSHARE of Rothe et al. 2019, arXiv 1907.12461, section 3), with Hugging Face's
    names for BERT's sizes. Only cross-attention is the decoder's own."""

    def parameter_count(self, vocab_size: int, heads: frozenset[str]) -> int:
        """Parameters of encoder, decoder and the pooler that its files have; what both sides share counts once."""
        hidden = self.hidden_size
        square = hidden * hidden + hidden
        across = 4 * square + 2 * hidden
        return self.encoder_parameters(vocab_size) + self.num_hidden_layers * across + square

    def flops_per_row(self, row: RowShape, heads: frozenset[str]) -> float:
        """As `ModelConfig` says; a row without padding attends S x S pairs in the encoder of S tokens, T (T + 1) / 2 in the decoder of
        T tokens, and T x S between them."""
        hidden, inner, source, target = self.hidden_size, self.intermediate_size, row.length, row.target_length
        pairs = source**2 + target * (target + 1) / 2 + target * source if row.attended is None else row.attended
        both = (4 * hidden * hidden + 2 * hidden * inner) * (source + target)
        across = 2 * hidden * hidden * (source + target)
        head = (hidden * hidden + hidden * row.vocabulary_size) * row.predictions if "target" in heads else 0
        return 6.0 * (self.num_hidden_layers * (both + across + 2 * hidden * pairs) + head)
