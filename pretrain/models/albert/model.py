"""ALBERT for pretraining (Lan et al. 2019, arXiv 1909.11942): one encoder layer, run again and again, with its heads."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx

from pretrain.models.albert.config import AlbertConfig
from pretrain.models.core.dropout import dropout
from pretrain.models.core.layers import LayerNorm, Linear, Parameters, gelu_tanh, linear
from pretrain.models.core.task_scores import label_scores
from pretrain.models.core.vocabulary import padding_rows, vocabulary_scores
from pretrain.models.encoder.model import CLASSIFIER, Body, EncoderModel, drawn_as
from pretrain.models.protocols import POOLER
from pretrain.models.task_heads import TaskHead

HEADS = frozenset({"vocabulary", "pair"})
"""All heads that an ALBERT may be pretrained with."""
POOLED = frozenset({"pair", CLASSIFIER, POOLER})
"""Heads that need the pooler, and the pooler alone."""
TASK_DROPOUT = 0.1
"""Before the last map of a task's head where config.json has no classifier_dropout_prob (transformers, AlbertConfig)."""


class AlbertBody(Body):
    """The encoder and, for heads that look at the first token only, the pooler."""

    def __init__(self, config: AlbertConfig, vocab_size: int, pooled: bool, rngs: nnx.Rngs) -> None:
        super().__init__(config, vocab_size, rngs)
        if pooled:
            self.pooler = Linear(config.hidden_size, config.hidden_size, draw=drawn_as(config), rngs=rngs)


class AlbertPredictions(nnx.Module):
    """The masked-LM head without its table, which is the word embeddings'."""

    def __init__(self, config: AlbertConfig, vocab_size: int, rngs: nnx.Rngs) -> None:
        self.dense = Linear(config.hidden_size, config.embedding_size, draw=drawn_as(config), rngs=rngs)
        self.LayerNorm = LayerNorm(config.embedding_size)
        self.bias = nnx.Param(jnp.zeros(vocab_size + padding_rows(vocab_size)))


class SentenceOrderClassifier(nnx.Module):
    """The classifier of pairs."""

    def __init__(self, config: AlbertConfig, rngs: nnx.Rngs) -> None:
        self.classifier = Linear(config.hidden_size, 2, draw=drawn_as(config), rngs=rngs)


class AlbertTree(nnx.Module):
    """The whole tree: the encoder, and heads as far as wanted."""

    def __init__(self, config: AlbertConfig, vocab_size: int, heads: frozenset[str], rngs: nnx.Rngs) -> None:
        self.albert = AlbertBody(config, vocab_size, bool(heads & POOLED), rngs)
        if "vocabulary" in heads:
            self.predictions = AlbertPredictions(config, vocab_size, rngs)
        if "pair" in heads:
            self.sop_classifier = SentenceOrderClassifier(config, rngs)


@dataclass(frozen=True)
class Albert(EncoderModel):
    """ALBERT with its heads: `vocabulary` (masked LM) and `pair` (sentence order, with the pooler)."""

    config: AlbertConfig
    body = "albert"

    def _tree(self, rngs: nnx.Rngs) -> nnx.Module:
        return AlbertTree(self.config, self.vocab_size, self.heads, rngs)

    def vocabulary_logits(self, params: Parameters, hidden: jax.Array) -> jax.Array:
        """Scores the vocabulary at hidden states [..., H]: those of the masked positions while training.

        Returns float32 [..., V] with V the padded vocabulary (`pretrain.models.core.vocabulary.vocabulary_scores`).
        """
        head, table = params["predictions"], params["albert"]["embeddings"]["word_embeddings"]["embedding"]
        hidden = gelu_tanh(linear(head["dense"], hidden, self.compute.compute_dtype))
        return vocabulary_scores(self._layer_norm(head["LayerNorm"], hidden), table, head["bias"], self.vocab_size)

    def pair_logits(self, params: Parameters, hidden: jax.Array) -> jax.Array:
        """Classifies rows [B, L, H] by their first position: float32 [B, 2], index 0 meaning that the second part follows.

        Without dropout, as google-research/albert (run_pretraining.py, `get_sentence_order_output`).
        """
        return label_scores(params["sop_classifier"]["classifier"], self.pooled(params, hidden[:, 0]))

    def pooled(self, params: Parameters, first: jax.Array) -> jax.Array:
        """The pooler's output [..., H] for hidden states [..., H] of first tokens."""
        return jnp.tanh(linear(params["albert"]["pooler"], first, self.compute.compute_dtype))

    @property
    def task_dropout(self) -> float:
        chosen = self.task.dropout if self.task else None
        return TASK_DROPOUT if chosen is None else chosen

    def _add_classifier(self, tree: nnx.Module, task: TaskHead, rngs: nnx.Rngs) -> None:
        last = Linear(self.config.hidden_size, task.outputs, draw=drawn_as(self.config), rngs=rngs)
        setattr(tree, CLASSIFIER, last)

    def _class_scores(self, params: Parameters, first: jax.Array, key: jax.Array | None) -> jax.Array:
        return label_scores(params[CLASSIFIER], dropout(self.pooled(params, first), self.task_dropout, key))
