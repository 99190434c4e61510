"""Sizes of a BERT. No JAX here: recipes import this file."""

from dataclasses import dataclass

from pretrain.models.encoder.config import EncoderConfig


@dataclass(frozen=True)
class BertConfig(EncoderConfig):
    """A BERT encoder (Devlin et al. 2019, arXiv 1810.04805) with Hugging Face's names."""

    def parameter_count(self, vocab_size: int, heads: frozenset[str]) -> int:
        """Parameters of the encoder; KLUE-BERT-base (32,000 rows) has 110,617,344 with its pooler (the head `pair`)."""
        pooler = self.hidden_size * self.hidden_size + self.hidden_size if "pair" in heads else 0
        return self.encoder_parameters(vocab_size) + pooler
