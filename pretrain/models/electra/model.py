"""ELECTRA for pretraining (Clark et al. 2020, arXiv 2003.10555): the encoder as discriminator or as generator."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx

from pretrain.models.core.layers import LayerNorm, Linear, Parameters, gelu, linear, wide_einsum
from pretrain.models.core.vocabulary import padding_rows, vocabulary_scores
from pretrain.models.electra.config import ElectraConfig
from pretrain.models.encoder.model import Body, EncoderModel, drawn_as

HEADS = frozenset({"replaced", "vocabulary"})
"""All heads that an ELECTRA may have: a discriminator has the first, a generator the second."""


class DiscriminatorPredictions(nnx.Module):
    """The head that tells replaced tokens."""

    def __init__(self, config: ElectraConfig, rngs: nnx.Rngs) -> None:
        self.dense = Linear(config.hidden_size, config.hidden_size, draw=drawn_as(config), rngs=rngs)
        self.dense_prediction = Linear(config.hidden_size, 1, draw=drawn_as(config), rngs=rngs)


class GeneratorPredictions(nnx.Module):
    """The masked-LM head without its table, which is the word embeddings', and without its bias."""

    def __init__(self, config: ElectraConfig, rngs: nnx.Rngs) -> None:
        self.dense = Linear(config.hidden_size, config.embedding_size, draw=drawn_as(config), rngs=rngs)
        self.LayerNorm = LayerNorm(config.embedding_size)


class OutputBias(nnx.Module):
    """The bias of the masked-LM head."""

    def __init__(self, vocab_size: int) -> None:
        self.bias = nnx.Param(jnp.zeros(vocab_size + padding_rows(vocab_size)))


class ElectraTree(nnx.Module):
    """The whole tree: the encoder, and heads as far as wanted."""

    def __init__(self, config: ElectraConfig, vocab_size: int, heads: frozenset[str], rngs: nnx.Rngs) -> None:
        self.electra = Body(config, vocab_size, rngs)
        if "replaced" in heads:
            self.discriminator_predictions = DiscriminatorPredictions(config, rngs)
        if "vocabulary" in heads:
            self.generator_predictions = GeneratorPredictions(config, rngs)
            self.generator_lm_head = OutputBias(vocab_size)


@dataclass(frozen=True)
class Electra(EncoderModel):
    """ELECTRA with the head `replaced` (a discriminator's) or `vocabulary` (a generator's)."""

    config: ElectraConfig
    body = "electra"
    summary_activation = gelu

    def _tree(self, rngs: nnx.Rngs) -> nnx.Module:
        return ElectraTree(self.config, self.vocab_size, self.heads, rngs)

    def replaced_logits(self, params: Parameters, hidden: jax.Array) -> jax.Array:
        """Scores each of [..., H], float32 [...]: above 0 where the token is rather a replacement than the original."""
        head = params["discriminator_predictions"]
        hidden = gelu(linear(head["dense"], hidden, self.compute.compute_dtype))
        scores = wide_einsum("...h,ho->...o", hidden, head["dense_prediction"]["kernel"].astype(hidden.dtype))
        return (scores + head["dense_prediction"]["bias"])[..., 0]

    def vocabulary_logits(self, params: Parameters, hidden: jax.Array) -> jax.Array:
        """Scores the vocabulary at hidden states [..., H]: those of the masked positions while training.

        Returns float32 [..., V] with V the padded vocabulary (`pretrain.models.core.vocabulary.vocabulary_scores`).
        """
        head, table = params["generator_predictions"], params["electra"]["embeddings"]["word_embeddings"]["embedding"]
        hidden = gelu(linear(head["dense"], hidden, self.compute.compute_dtype))
        hidden = self._layer_norm(head["LayerNorm"], hidden)
        return vocabulary_scores(hidden, table, params["generator_lm_head"]["bias"], self.vocab_size)
