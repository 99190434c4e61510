"""BERT for pretraining (Devlin et al. 2019, arXiv 1810.04805): the encoder with its pooler and its two heads."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx

from pretrain.models.bert.config import BertConfig
from pretrain.models.core.dropout import dropout
from pretrain.models.core.layers import Linear, Parameters, gelu, linear, wide_einsum
from pretrain.models.core.task_scores import label_scores
from pretrain.models.core.vocabulary import padding_rows, vocabulary_scores
from pretrain.models.encoder.config import EncoderConfig
from pretrain.models.encoder.model import CLASSIFIER, Body, Dense, EncoderModel, drawn_as
from pretrain.models.protocols import POOLER
from pretrain.models.task_heads import TaskHead

HEADS = frozenset({"vocabulary", "pair"})
"""All heads that a BERT may be pretrained with."""
POOLED = frozenset({"pair", CLASSIFIER, POOLER})
"""Heads that need the pooler, and the pooler alone."""


class BodyWithPooler(Body):
    """The encoder and, for heads that look at the first token only, the pooler."""

    def __init__(self, config: EncoderConfig, vocab_size: int, pooled: bool, rngs: nnx.Rngs) -> None:
        super().__init__(config, vocab_size, rngs)
        if pooled:
            self.pooler = Dense(config.hidden_size, config.hidden_size, config, rngs)


class Predictions(nnx.Module):
    """The masked-LM head without its table, which is the word embeddings'."""

    def __init__(self, config: EncoderConfig, vocab_size: int, rngs: nnx.Rngs) -> None:
        self.transform = Dense(config.hidden_size, config.hidden_size, config, rngs, normalised=True)
        self.bias = nnx.Param(jnp.zeros(vocab_size + padding_rows(vocab_size)))


class Heads(nnx.Module):
    """The masked-LM head and the classifier of pairs, as far as wanted."""

    def __init__(self, config: BertConfig, vocab_size: int, heads: frozenset[str], rngs: nnx.Rngs) -> None:
        if "vocabulary" in heads:
            self.predictions = Predictions(config, vocab_size, rngs)
        if "pair" in heads:
            self.seq_relationship = Linear(config.hidden_size, 2, draw=drawn_as(config), rngs=rngs)


class Tree(nnx.Module):
    """The whole tree: `bert` and, with heads, `cls`."""

    def __init__(self, config: BertConfig, vocab_size: int, heads: frozenset[str], rngs: nnx.Rngs) -> None:
        self.bert = BodyWithPooler(config, vocab_size, bool(heads & POOLED), rngs)
        if heads & HEADS:
            self.cls = Heads(config, vocab_size, heads, rngs)


@dataclass(frozen=True)
class Bert(EncoderModel):
    """BERT with its heads: `vocabulary` (masked LM) and `pair` (next sentence or sentence order, with the pooler)."""

    config: BertConfig
    body = "bert"

    def _tree(self, rngs: nnx.Rngs) -> nnx.Module:
        return Tree(self.config, self.vocab_size, self.heads, rngs)

    def vocabulary_logits(self, params: Parameters, hidden: jax.Array) -> jax.Array:
        """Scores the vocabulary at hidden states [..., H]: those of the masked positions while training.

        Returns float32 [..., V] with V the padded vocabulary (`pretrain.models.core.vocabulary.vocabulary_scores`).
        """
        head = params["cls"]["predictions"]
        table = params["bert"]["embeddings"]["word_embeddings"]["embedding"]
        hidden = gelu(linear(head["transform"]["dense"], hidden, self.compute.compute_dtype))
        hidden = self._layer_norm(head["transform"]["LayerNorm"], hidden)
        return vocabulary_scores(hidden, table, head["bias"], self.vocab_size)

    def pair_logits(self, params: Parameters, hidden: jax.Array) -> jax.Array:
        """Classifies rows [B, L, H] by their first position: float32 [B, 2], index 0 meaning that the second part follows."""
        pooled = self.pooled(params, hidden[:, 0])
        classifier = params["cls"]["seq_relationship"]
        return wide_einsum("bh,hc->bc", pooled, classifier["kernel"].astype(pooled.dtype)) + classifier["bias"]

    def pooled(self, params: Parameters, first: jax.Array) -> jax.Array:
        """The pooler's output [..., H] for hidden states [..., H] of first tokens."""
        return jnp.tanh(linear(params["bert"]["pooler"]["dense"], first, self.compute.compute_dtype))

    def _add_classifier(self, tree: nnx.Module, task: TaskHead, rngs: nnx.Rngs) -> None:
        last = Linear(self.config.hidden_size, task.outputs, draw=drawn_as(self.config), rngs=rngs)
        setattr(tree, CLASSIFIER, last)

    def _class_scores(self, params: Parameters, first: jax.Array, key: jax.Array | None) -> jax.Array:
        return label_scores(params[CLASSIFIER], dropout(self.pooled(params, first), self.task_dropout, key))
