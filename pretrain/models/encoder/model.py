"""The post-norm encoder (Devlin et al. 2019, arXiv 1810.04805): a parameter tree with Hugging Face's names, and functions of it."""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import jax
import jax.numpy as jnp
from flax import nnx

from pretrain.models.config import check_config
from pretrain.models.core.attention import attention
from pretrain.models.core.dropout import dropout
from pretrain.models.core.layers import (
    Draw,
    Embedding,
    LayerNorm,
    Linear,
    Parameters,
    embed,
    embed_few,
    fold_key,
    gelu,
    gelu_tanh,
    layer_norm,
    linear,
    normal,
    parameters,
    split_rows,
    truncated_normal,
)
from pretrain.models.core.remat import check_remat, recomputed, rematerialised_layer
from pretrain.models.core.task_scores import OF_TOKENS, add_token_head, label_scores, token_scores
from pretrain.models.core.vocabulary import padding_rows
from pretrain.models.encoder.config import EncoderConfig
from pretrain.models.protocols import Compute, Inputs
from pretrain.models.task_heads import TaskHead

RunLayer = Callable[[Parameters, jax.Array, jax.Array | None], jax.Array]
CLASSIFIER = "classifier"
"""What transformers calls the classifier of rows."""
ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {"gelu": gelu, "gelu_new": gelu_tanh}
"""By transformers' name (`EncoderConfig.hidden_act`)."""


def drawn_as(config: EncoderConfig) -> Draw:
    """How kernels and tables are drawn."""
    return {"normal": normal, "truncated_normal": truncated_normal}[config.initializer](config.initializer_range)


class Embeddings(nnx.Module):
    """Word, position and token type tables."""

    def __init__(self, config: EncoderConfig, vocab_size: int, rngs: nnx.Rngs) -> None:
        width, draw = config.embedding_width, drawn_as(config)
        self.word_embeddings = Embedding(vocab_size, width, padding_rows=padding_rows(vocab_size), draw=draw, rngs=rngs)
        self.position_embeddings = Embedding(config.max_position_embeddings, width, draw=draw, rngs=rngs)
        self.token_type_embeddings = Embedding(config.type_vocab_size, width, draw=draw, rngs=rngs)
        self.LayerNorm = LayerNorm(width)


class Dense(nnx.Module):
    """A linear map under the name `dense`, and, where `normalised`, a LayerNorm behind it."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        config: EncoderConfig,
        rngs: nnx.Rngs,
        *,
        stack: tuple[int, ...] = (),
        normalised: bool = False,
    ) -> None:
        self.dense = Linear(inputs, outputs, draw=drawn_as(config), rngs=rngs, stack=stack)
        if normalised:
            self.LayerNorm = LayerNorm(outputs, stack=stack)


class SelfAttention(nnx.Module):
    """Query, key and value projections of all layers."""

    def __init__(self, config: EncoderConfig, rngs: nnx.Rngs, stack: tuple[int, ...]) -> None:
        for name in ("query", "key", "value"):
            projection = Linear(
                config.hidden_size,
                config.hidden_size,
                draw=drawn_as(config),
                rngs=rngs,
                stack=stack,
            )
            setattr(self, name, projection)


class Attention(nnx.Module):
    """Self-attention and its output projection, of all layers."""

    def __init__(self, config: EncoderConfig, rngs: nnx.Rngs, stack: tuple[int, ...]) -> None:
        self.self = SelfAttention(config, rngs, stack)
        self.output = Dense(config.hidden_size, config.hidden_size, config, rngs, stack=stack, normalised=True)


class Layers(nnx.Module):
    """All encoder layers, stacked: every parameter has a leading axis of num_hidden_layers, unless the layers share it."""

    def __init__(self, config: EncoderConfig, rngs: nnx.Rngs) -> None:
        hidden, inner = config.hidden_size, config.intermediate_size
        stack = () if config.shares_layers else (config.num_hidden_layers,)
        self.attention = Attention(config, rngs, stack)
        self.intermediate = Dense(hidden, inner, config, rngs, stack=stack)
        self.output = Dense(inner, hidden, config, rngs, stack=stack, normalised=True)


class Encoder(nnx.Module):
    """The stack of layers under Hugging Face's name `layer`."""

    def __init__(self, config: EncoderConfig, rngs: nnx.Rngs) -> None:
        self.layer = Layers(config, rngs)


class Body(nnx.Module):
    """Embeddings and encoder, with a projection between them where the family has one."""

    def __init__(self, config: EncoderConfig, vocab_size: int, rngs: nnx.Rngs) -> None:
        self.embeddings = Embeddings(config, vocab_size, rngs)
        if config.projects_embeddings:
            draw = drawn_as(config)
            self.embeddings_project = Linear(config.embedding_width, config.hidden_size, draw=draw, rngs=rngs)
        self.encoder = Encoder(config, rngs)


class ClassificationHead(nnx.Module):
    """The classifier of rows that RoBERTa and ELECTRA share."""

    def __init__(self, config: EncoderConfig, task: TaskHead, rngs: nnx.Rngs) -> None:
        draw = drawn_as(config)
        self.dense = Linear(config.hidden_size, config.hidden_size, draw=draw, rngs=rngs)
        self.out_proj = Linear(config.hidden_size, task.outputs, draw=draw, rngs=rngs)


@dataclass(frozen=True)
class EncoderModel(ABC):
    """A post-norm encoder; a family's own model adds its heads.

    - `config`: the sizes.
    - `vocab_size`: entries of the vocabulary; the word table is padded to a multiple of 128 (`pretrain.models.core.vocabulary`).
    - `heads`: of the family's, or the kind of `task` alone.
    - `compute`: how it is computed. LayerNorm, softmax and logits are float32 whatever the types.
    - `task`: the head of a fine-tuned model.

    Raises InputError for sizes or names that do not fit. All methods are pure and may run under jax.jit.
    """

    config: EncoderConfig
    vocab_size: int
    heads: frozenset[str]
    compute: Compute
    task: TaskHead | None = None

    body: ClassVar[str]
    """Name of the encoder in the tree of parameters, which is Hugging Face's."""
    summary_activation: ClassVar[Callable[[jax.Array], jax.Array]]
    """What follows the first map of the classifier."""

    @classmethod
    def for_task(cls, config: EncoderConfig, vocab_size: int, task: TaskHead, compute: Compute) -> Self:
        """The encoder with the head of a task and no other."""
        return cls(config, vocab_size, frozenset({task.kind}), compute, task)

    def __post_init__(self) -> None:
        check_config(self.config, self.vocab_size)
        check_remat(self.compute.remat)

    @abstractmethod
    def _tree(self, rngs: nnx.Rngs) -> nnx.Module:
        """The whole tree as drawn: the encoder under `body`, and the heads."""

    def init(self, key: jax.Array) -> Parameters:
        """Draws the parameters: kernels and tables as `config.initializer` says, biases 0, scales 1.

        The row of [PAD] is drawn like any other (torch sets it to zero): no other token sees a padding position, and as an
        output the row is a class like the rest.
        """
        rngs = nnx.Rngs(params=key)
        tree = self._tree(rngs)
        if self.task:
            self._add_task(tree, self.task, rngs)
        drawn = parameters(tree)
        return jax.tree.map(lambda parameter: parameter.astype(self.compute.parameter_dtype), drawn)

    def encode(self, params: Parameters, inputs: Inputs, *, dropout_key: jax.Array | None = None) -> jax.Array:
        """Runs the encoder.

        - `inputs`: integers [B, L].
        - `dropout_key`: one key, or a key [B] for each row; switches dropout on; its implementation draws the bits.

        Returns the last hidden states [B, L, H] in compute_dtype. An id beyond the word or position table gives NaN.
        """
        body = params[self.body]
        embeddings_key, layers_key = fold_key(dropout_key, 0), fold_key(dropout_key, 1)
        hidden = self._embed(body["embeddings"], inputs, embeddings_key)
        if "embeddings_project" in body:
            hidden = linear(body["embeddings_project"], hidden, self.compute.compute_dtype)

        def run(params: Parameters, hidden: jax.Array, key: jax.Array | None) -> jax.Array:
            return self._layer(params, hidden, inputs.segments, key)

        return self._through_layers(body["encoder"]["layer"], run, hidden, layers_key)

    def _through_layers(self, layers: Parameters, run: RunLayer, hidden: jax.Array, key: jax.Array | None) -> jax.Array:
        """Hidden states [B, L, H] after all layers.

        - `layers`: their parameters, stacked unless they share them; `run`: (of one layer, hidden states, its dropout key) -> hidden states.
        """

        def run_layer(hidden: jax.Array, turn: tuple[Parameters | None, jax.Array]) -> tuple[jax.Array, None]:
            own, index = turn
            # What all layers share is cast in each of them, so that its gradients add up in float32.
            of_layer = layers if own is None else own
            return split_rows(run(of_layer, hidden, fold_key(key, index))), None

        run_layer = rematerialised_layer(run_layer, self.compute.remat, unrolled=self._unrolled)
        turns = (None if self.config.shares_layers else layers, jnp.arange(self.config.num_hidden_layers))
        hidden, _ = jax.lax.scan(run_layer, hidden, turns, unroll=self.compute.scan_unroll)
        return hidden

    def task_logits(
        self, params: Parameters, hidden: jax.Array, inputs: Inputs, *, dropout_key: jax.Array | None = None
    ) -> jax.Array:
        """What the head of the task says (`pretrain.models.protocols.TaskModel`)."""
        assert self.task
        key = fold_key(dropout_key, 2)  # 0 and 1 are the encoder's
        if self.task.kind in OF_TOKENS:
            return token_scores(params, hidden, self.task, self.task_dropout, key)
        return self._class_scores(params, self.summary(hidden, inputs.segments), key)

    @property
    def task_dropout(self) -> float:
        """Of the task's head: the model's own, unless the head names another."""
        chosen = self.task.dropout if self.task else None
        return self.config.hidden_dropout_prob if chosen is None else chosen

    def word_table(self, params: Parameters) -> jax.Array:
        """The word table [V, W], V padded."""
        table: jax.Array = params[self.body]["embeddings"]["word_embeddings"]["embedding"]
        return table

    def summary(self, hidden: jax.Array, segments: jax.Array) -> jax.Array:
        """The hidden states [B, H] of the first tokens."""
        return hidden[:, 0]

    def _add_task(self, tree: nnx.Module, task: TaskHead, rngs: nnx.Rngs) -> None:
        """Gives the tree the head of the task."""
        width, draw = self.config.hidden_size, drawn_as(self.config)
        if task.kind in OF_TOKENS:
            add_token_head(tree, task, width, self.config.embedding_width, draw=draw, rngs=rngs)
        else:
            self._add_classifier(tree, task, rngs)

    def _add_classifier(self, tree: nnx.Module, task: TaskHead, rngs: nnx.Rngs) -> None:
        setattr(tree, CLASSIFIER, ClassificationHead(self.config, task, rngs))

    def _class_scores(self, params: Parameters, first: jax.Array, key: jax.Array | None) -> jax.Array:
        """Scores of the classes, float32 [B, n], from the hidden states [B, H] of the first tokens."""
        head, rate = params[CLASSIFIER], self.task_dropout
        pooled = linear(head["dense"], dropout(first, rate, fold_key(key, 0)), self.compute.compute_dtype)
        pooled = dropout(type(self).summary_activation(pooled), rate, fold_key(key, 1))
        return label_scores(head["out_proj"], pooled)

    def _embed(self, params: Parameters, inputs: Inputs, key: jax.Array | None) -> jax.Array:
        padding, first = self.config.pad_token_id, self.config.first_position
        positions = inputs.positions + first if first else inputs.positions
        if first:
            # Padding takes the row before the first, and as in torch no gradient reaches that.
            positions = jnp.where(inputs.tokens == padding, first - 1, positions)
        total = embed(params["word_embeddings"], inputs.tokens, without_gradient=padding) + embed(
            params["position_embeddings"], positions, without_gradient=first - 1 if first else None
        )
        total = split_rows(total + embed_few(params["token_type_embeddings"], inputs.token_types))
        return dropout(self._layer_norm(params["LayerNorm"], total), self.config.hidden_dropout_prob, key)

    def _layer(self, params: Parameters, hidden: jax.Array, segments: jax.Array, key: jax.Array | None) -> jax.Array:
        """One encoder layer with LayerNorm after each residual sum, as in the original: [B, L, H] to [B, L, H]."""
        # One axis of rows outside attention: products of two matrices, whose gradients sum over one axis, take a CPU a
        # twentieth less time for a step. Reshaped once: the backward pass keeps each shape that a product gets.
        rows = hidden.reshape(-1, self.config.hidden_size)
        keys = [fold_key(key, number) for number in range(3)]
        rows = self._attended(params["attention"], rows, rows, keys[:2], segments=segments)
        return self._fed_forward(params, rows, keys[2]).reshape(hidden.shape)

    def _attended(
        self,
        params: Parameters,
        rows: jax.Array,
        read: jax.Array,
        keys: Sequence[jax.Array | None],
        *,
        causal: bool = False,
        **segments: jax.Array,
    ) -> jax.Array:
        """Attention, the residual sum and its LayerNorm: [B x L, H] to [B x L, H].

        - `read`: [B x K, H], what keys and values are made of.
        - `keys`: for dropout on the probabilities, and behind the output.
        - `segments`: `segments` [B, L] and, where keys have their own, `key_segments` [B, K], as `attention` takes them.
        """
        config, dtype = self.config, self.compute.compute_dtype
        width = config.hidden_size // config.num_attention_heads
        heads = (segments["segments"].shape[0], -1, config.num_attention_heads, width)
        q, k, v = (
            linear(params["self"][name], inputs, dtype).reshape(heads)
            for name, inputs in (("query", rows), ("key", read), ("value", read))
        )
        attend: Callable[..., jax.Array] = functools.partial(
            attention,
            causal=causal,
            implementation=self.compute.attention,
            dropout_rate=config.attention_probs_dropout_prob,
        )
        if self.compute.remat == "attention":
            attend = recomputed(attend, unrolled=self._unrolled)
        mixed = attend(q, k, v, dropout_key=keys[0], **segments).reshape(rows.shape)
        return self._add_and_norm(params["output"], mixed, rows, keys[1])

    def _fed_forward(self, params: Parameters, rows: jax.Array, key: jax.Array | None) -> jax.Array:
        """The feed-forward layer, the residual sum and its LayerNorm: [B x L, H] to [B x L, H]."""
        inner = ACTIVATIONS[self.config.hidden_act](
            linear(params["intermediate"]["dense"], rows, self.compute.compute_dtype)
        )
        return self._add_and_norm(params["output"], inner, rows, key)

    @property
    def _unrolled(self) -> bool:
        return self.compute.scan_unroll >= self.config.num_hidden_layers

    def _add_and_norm(
        self, params: Parameters, inputs: jax.Array, residual: jax.Array, key: jax.Array | None
    ) -> jax.Array:
        outputs = dropout(
            linear(params["dense"], inputs, self.compute.compute_dtype), self.config.hidden_dropout_prob, key
        )
        return self._layer_norm(params["LayerNorm"], residual, outputs)

    def _layer_norm(self, params: Parameters, *inputs: jax.Array) -> jax.Array:
        return layer_norm(params, *inputs, epsilon=self.config.layer_norm_eps, dtype=self.compute.compute_dtype)
