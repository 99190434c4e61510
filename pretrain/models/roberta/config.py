"""Sizes of a RoBERTa. No JAX here: recipes import this file."""

from dataclasses import dataclass

from data_pipeline.contract.recipe_fields import ABOVE_ZERO, AT_LEAST_ONE, number
from pretrain.models.encoder.config import EncoderConfig

PADDING_OF_FAIRSEQ = 1
"""Id of the padding in fairseq's vocabularies, and in KLUE's for RoBERTa."""


@dataclass(frozen=True)
class RobertaConfig(EncoderConfig):
    """A RoBERTa encoder (Liu et al. 2019, arXiv 1907.11692) with Hugging Face's names. The defaults are RoBERTa-base's."""

    max_position_embeddings: int = number(514, AT_LEAST_ONE)
    """Rows of the position table; at least the records' length and pad_token_id + 1 more: padding takes row pad_token_id, the first
    token of a segment the next."""
    type_vocab_size: int = number(1, AT_LEAST_ONE)
    """Rows of the token type table."""
    layer_norm_eps: float = number(1e-5, ABOVE_ZERO)
    """Epsilon of LayerNorm."""

    @property
    def first_position(self) -> int:
        return 1 + (PADDING_OF_FAIRSEQ if self.pad_token_id is None else self.pad_token_id)

    def parameter_count(self, vocab_size: int, heads: frozenset[str]) -> int:
        """Parameters of the encoder. Published figures count the pooler of transformers' RobertaModel too, which masked language
        modelling does not train: hidden_size x (hidden_size + 1) more, 110,618,112 in all for KLUE-RoBERTa-base."""
        return self.encoder_parameters(vocab_size)
