"""Sizes of an ALBERT. No JAX here: recipes import this file."""

from dataclasses import dataclass
from typing import ClassVar

from data_pipeline.contract.recipe_fields import AT_LEAST_ONE, ZERO_TO_BELOW_ONE, Limit, number
from pretrain.models.encoder.config import EncoderConfig

ONLY_ONE = Limit("1: an ALBERT has one layer here, which is run num_hidden_layers times", lambda value: value == 1)


@dataclass(frozen=True)
class AlbertConfig(EncoderConfig):
    """An ALBERT encoder (Lan et al. 2019, arXiv 1909.11942), whose layers share their parameters, with Hugging Face's names. The
    defaults are ALBERT-base's, version 2."""

    customary_dropout: ClassVar[float] = 0.0
    hidden_act: ClassVar[str] = "gelu_new"
    shares_layers: ClassVar[bool] = True

    embedding_size: int = number(128, AT_LEAST_ONE)
    """Width of the word, position and token type tables; a linear map follows them, also where it is hidden_size."""
    num_hidden_groups: int = number(1, ONLY_ONE)
    """Groups of layers that share their parameters; 1."""
    inner_group_num: int = number(1, ONLY_ONE)
    """Layers with parameters of their own in a group; 1."""
    hidden_dropout_prob: float = number(0.0, ZERO_TO_BELOW_ONE)
    """Dropout after the embeddings and after each block's output, 0 to 1."""
    exported_dropout: float | None = number(None, ZERO_TO_BELOW_ONE, free=True)
    """Both dropouts that config.json of an export names, with which fine-tuning scripts then train, 0 to 1; None means 0, as
    published ALBERTs of version 2, whatever pretraining had."""

    @property
    def embedding_width(self) -> int:
        return self.embedding_size

    @property
    def projects_embeddings(self) -> bool:
        return True

    def in_words(self) -> str:
        return f"{self.num_hidden_layers} layers with the same parameters, {self.hidden_size} wide"

    def parameter_count(self, vocab_size: int, heads: frozenset[str]) -> int:
        """Parameters of the encoder; albert-base-v2 (30,000 entries) has 11,683,584 with its pooler (the head `pair`)."""
        pooler = self.hidden_size * self.hidden_size + self.hidden_size if "pair" in heads else 0
        return self.encoder_parameters(vocab_size) + pooler
