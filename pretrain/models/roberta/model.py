"""RoBERTa for pretraining (Liu et al. 2019, arXiv 1907.11692): the encoder with its masked-LM head."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx

from pretrain.models.core.layers import LayerNorm, Linear, Parameters, gelu, linear
from pretrain.models.core.vocabulary import padding_rows, vocabulary_scores
from pretrain.models.encoder.model import Body, EncoderModel, drawn_as
from pretrain.models.roberta.config import RobertaConfig

HEADS = frozenset({"vocabulary"})
"""All heads that a RoBERTa may have."""


class RobertaHead(nnx.Module):
    """The masked-LM head without its table, which is the word embeddings'."""

    def __init__(self, config: RobertaConfig, vocab_size: int, rngs: nnx.Rngs) -> None:
        self.dense = Linear(config.hidden_size, config.hidden_size, draw=drawn_as(config), rngs=rngs)
        self.layer_norm = LayerNorm(config.hidden_size)
        self.bias = nnx.Param(jnp.zeros(vocab_size + padding_rows(vocab_size)))


class RobertaTree(nnx.Module):
    """The whole tree: `roberta` and, with the head, `lm_head`."""

    def __init__(self, config: RobertaConfig, vocab_size: int, heads: frozenset[str], rngs: nnx.Rngs) -> None:
        self.roberta = Body(config, vocab_size, rngs)
        if "vocabulary" in heads:
            self.lm_head = RobertaHead(config, vocab_size, rngs)


@dataclass(frozen=True)
class Roberta(EncoderModel):
    """RoBERTa with its head `vocabulary` (masked LM)."""

    config: RobertaConfig
    body = "roberta"
    summary_activation = jnp.tanh

    def _tree(self, rngs: nnx.Rngs) -> nnx.Module:
        return RobertaTree(self.config, self.vocab_size, self.heads, rngs)

    def vocabulary_logits(self, params: Parameters, hidden: jax.Array) -> jax.Array:
        """Scores the vocabulary at hidden states [..., H]: those of the masked positions while training.

        Returns float32 [..., V] with V the padded vocabulary (`pretrain.models.core.vocabulary.vocabulary_scores`).
        """
        head = params["lm_head"]
        table = params["roberta"]["embeddings"]["word_embeddings"]["embedding"]
        hidden = gelu(linear(head["dense"], hidden, self.compute.compute_dtype))
        return vocabulary_scores(self._layer_norm(head["layer_norm"], hidden), table, head["bias"], self.vocab_size)
