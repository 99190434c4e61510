"""A tied encoder-decoder (Rothe et al. 2019, arXiv 1907.12461): the same BERT reads the source and, with cross-attention, writes the
target."""

from dataclasses import dataclass

import jax
from flax import nnx

from pretrain.models.bert.model import BodyWithPooler, Predictions
from pretrain.models.bert_shared.config import BertSharedConfig
from pretrain.models.core.layers import Parameters, fold_key, gelu, linear
from pretrain.models.core.vocabulary import vocabulary_scores
from pretrain.models.encoder.model import Attention, EncoderModel
from pretrain.models.protocols import Inputs, OutputTable

HEADS = frozenset({"target"})
"""All heads that a tied encoder-decoder may have."""
ACROSS = "crossattention"


class BodyWithCrossAttention(BodyWithPooler):
    """The encoder, which is the decoder too, and the decoder's cross-attention in each layer."""

    def __init__(self, config: BertSharedConfig, vocab_size: int, rngs: nnx.Rngs) -> None:
        super().__init__(config, vocab_size, True, rngs)
        setattr(self.encoder.layer, ACROSS, Attention(config, rngs, (config.num_hidden_layers,)))


class TargetHead(nnx.Module):
    """BERT's masked-LM head, under its name."""

    def __init__(self, config: BertSharedConfig, vocab_size: int, rngs: nnx.Rngs) -> None:
        self.predictions = Predictions(config, vocab_size, rngs)


class SharedTree(nnx.Module):
    """The whole tree: `bert` and, with the head, `cls`."""

    def __init__(self, config: BertSharedConfig, vocab_size: int, heads: frozenset[str], rngs: nnx.Rngs) -> None:
        self.bert = BodyWithCrossAttention(config, vocab_size, rngs)
        if "target" in heads:
            self.cls = TargetHead(config, vocab_size, rngs)


@dataclass(frozen=True)
class BertShared(EncoderModel):
    """A tied encoder-decoder with its head `target`, BERT's masked-LM head.

    The pooler belongs to transformers' encoder and has a tensor in every file; nothing looks through it.
    """

    config: BertSharedConfig
    body = "bert"

    def _tree(self, rngs: nnx.Rngs) -> nnx.Module:
        return SharedTree(self.config, self.vocab_size, self.heads, rngs)

    def encode(self, params: Parameters, inputs: Inputs, *, dropout_key: jax.Array | None = None) -> jax.Array:
        """Runs the encoder over sources; as `EncoderModel.encode`."""
        body = params[self.body]
        layers = {name: below for name, below in body["encoder"]["layer"].items() if name != ACROSS}
        without = {**params, self.body: {**body, "encoder": {"layer": layers}}}
        return super().encode(without, inputs, dropout_key=dropout_key)

    def decode(
        self,
        params: Parameters,
        target: Inputs,
        source: jax.Array,
        source_segments: jax.Array,
        *,
        dropout_key: jax.Array | None = None,
    ) -> jax.Array:
        """Runs the decoder (`pretrain.models.protocols.Decoder`)."""
        body = params[self.body]
        embeddings_key, layers_key = fold_key(dropout_key, 0), fold_key(dropout_key, 1)
        hidden = self._embed(body["embeddings"], target, embeddings_key)
        read = source.reshape(-1, source.shape[-1])

        def run_layer(params: Parameters, hidden: jax.Array, key: jax.Array | None) -> jax.Array:
            rows, segments = hidden.reshape(-1, hidden.shape[-1]), target.segments
            keys = [fold_key(key, number) for number in range(5)]
            rows = self._attended(params["attention"], rows, rows, keys[:2], causal=True, segments=segments)
            rows = self._attended(
                params[ACROSS], rows, read, keys[2:4], segments=segments, key_segments=source_segments
            )
            return self._fed_forward(params, rows, keys[4]).reshape(hidden.shape)

        return self._through_layers(body["encoder"]["layer"], run_layer, hidden, layers_key)

    def output_table(self, params: Parameters, hidden: jax.Array) -> OutputTable:
        """What scores the target's tokens (`pretrain.models.protocols.Decoder`)."""
        head = params["cls"]["predictions"]
        hidden = gelu(linear(head["transform"]["dense"], hidden, self.compute.compute_dtype))
        hidden = self._layer_norm(head["transform"]["LayerNorm"], hidden)
        return OutputTable(hidden, params[self.body]["embeddings"]["word_embeddings"]["embedding"], head["bias"])

    def target_logits(self, params: Parameters, hidden: jax.Array) -> jax.Array:
        """Scores of the token that follows in the target, float32 [..., V] with V padded, for the decoder's states [..., H]."""
        return vocabulary_scores(*self.output_table(params, hidden), self.vocab_size)
