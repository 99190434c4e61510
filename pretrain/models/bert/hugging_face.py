"""BERT's weight map to and from Hugging Face (transformers 4.x and 5.x: BertForPreTraining, BertForMaskedLM), and its config.json."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from data_pipeline.contract.errors import InputError
from pretrain.models.bert.config import BertConfig
from pretrain.models.bert.model import BertForPreTraining
from pretrain.models.core.layers import Parameters

WEIGHT_MAP: tuple[tuple[str, str], ...] = (
    (r"bert/encoder/layer/(.*)/(kernel|scale)", r"bert.encoder.layer.{layer}.\1.weight"),
    (r"bert/encoder/layer/(.*)/bias", r"bert.encoder.layer.{layer}.\1.bias"),
    (r"(.*)/(kernel|scale|embedding)", r"\1.weight"),
    (r"(.*)/bias", r"\1.bias"),
)
"""Our path -> Hugging Face's tensor name; the first full match counts and a slash left in the name becomes a dot.

Module names are the same on both sides, so four lines are the whole map. `{layer}` stands for one tensor of each layer of the
stack. Kernels are [inputs, outputs] here and transposed there.
"""

STACKED = "bert/encoder/layer/"
"""Beginning of the paths whose parameters hold all layers in their first axis."""

TIED = ("cls.predictions.decoder.weight", "cls.predictions.decoder.bias")
"""Copies of the word embeddings and of cls.predictions.bias that transformers rebuilds; never written, not needed to read."""

NOT_PARAMETERS = (*TIED, "bert.embeddings.position_ids")
"""Tensors that are not read: the copies, and constants that older checkpoints store."""

NEXT_SENTENCE = ("bert.pooler.", "cls.seq_relationship.")
"""Beginnings of the tensor names that only a model with the next-sentence head has."""

VOCABULARY_ROWS = ("bert.embeddings.word_embeddings.weight", "cls.predictions.bias")
"""Tensors with a row for each piece of the vocabulary."""

PADDED = ("bert/embeddings/word_embeddings/embedding", "cls/predictions/bias")
"""Parameters whose first axis is the vocabulary, padded here and not there."""


def to_hugging_face(params: Parameters, config: BertConfig, vocab_size: int) -> dict[str, np.ndarray]:
    """Turns parameters into the tensors of a Hugging Face checkpoint.

    - `params`: the tree of BertForPreTraining.init (or anything of its structure, gradients for one).
    - `vocab_size`: rows without padding.

    Returns C-contiguous float32 arrays by name: kernels transposed, layers unstacked, padding rows cut, tied tensors left out.
    Raises InputError where the tree is not of `config`'s layers.
    """
    tensors: dict[str, np.ndarray] = {}
    for path, leaf in _flatten(params):
        array = np.asarray(leaf, np.float32)
        if path in PADDED:
            array = array[:vocab_size]
        if path.endswith("/kernel"):
            array = array.swapaxes(-1, -2)
        names = _names(path, config.num_hidden_layers)
        stacked = path.startswith(STACKED)
        if stacked and array.shape[0] != config.num_hidden_layers:
            raise InputError(f"{path} holds {array.shape[0]} layers but the model has {config.num_hidden_layers}")
        tensors.update(
            (name, np.ascontiguousarray(part)) for name, part in zip(names, array if stacked else [array], strict=True)
        )
    return tensors


def from_hugging_face(
    tensors: Mapping[str, np.ndarray], config: BertConfig, vocab_size: int, *, next_sentence: bool
) -> Parameters:
    """Turns the tensors of a Hugging Face checkpoint into parameters; padding rows are zero.

    - `tensors`: arrays of any float type by name, for example from safetensors.numpy.load_file. The old names
      LayerNorm.gamma and LayerNorm.beta are understood.
    - `vocab_size`: rows of the vocabulary; the checkpoint must have as many.
    - `next_sentence`: whether the pooler and the next-sentence classifier are wanted; left out otherwise.

    Returns the tree of BertForPreTraining.init as float32 numpy arrays.
    Raises InputError for a tensor that is missing, surplus or of another shape.
    """
    given = renamed(tensors)
    model = BertForPreTraining(config, vocab_size, next_sentence=next_sentence, compute_dtype=jnp.float32)
    template = jax.eval_shape(model.init, jax.eval_shape(lambda: jax.random.key(0)))
    used: set[str] = set()

    def take(name: str, shape: tuple[int, ...]) -> np.ndarray:
        if name not in given:
            raise InputError(f"the Hugging Face checkpoint has no tensor {name}; is it a BERT of this configuration?")
        used.add(name)
        if given[name].shape != shape:
            raise InputError(f"the Hugging Face tensor {name} is {list(given[name].shape)}, not {list(shape)}")
        return np.asarray(given[name], np.float32)

    params: Parameters = {}
    for path, leaf in _flatten(template):
        stacked = path.startswith(STACKED)
        shape = leaf.shape[1:] if stacked else leaf.shape
        if path in PADDED:
            shape = (vocab_size, *shape[1:])
        if path.endswith("/kernel"):
            shape = shape[::-1]
        parts = [take(name, shape) for name in _names(path, config.num_hidden_layers)]
        array = np.stack(parts) if stacked else parts[0]
        if path.endswith("/kernel"):
            array = array.swapaxes(-1, -2)
        if path in PADDED:
            array = np.pad(array, [(0, leaf.shape[0] - vocab_size)] + [(0, 0)] * (array.ndim - 1))
        _put(params, path, np.ascontiguousarray(array))
    surplus = sorted(
        name
        for name in given.keys() - used
        if not name.startswith(NOT_PARAMETERS) and (next_sentence or not name.startswith(NEXT_SENTENCE))
    )
    if surplus:
        raise InputError(
            f"the Hugging Face checkpoint has {len(surplus)} tensors that this model has not, the first is {surplus[0]}"
        )
    return params


def renamed(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Tensors under the names of today's BertForPreTraining: the old LayerNorm.gamma and beta, and a bare BertModel's without bert."""
    bare = not any(name.startswith("bert.") for name in tensors)
    names = {name: f"bert.{name}" if bare else name for name in tensors}
    return {
        new.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias"): tensors[old]
        for old, new in names.items()
    }


def hugging_face_config(
    config: BertConfig, vocab_size: int, *, pad_token_id: int, next_sentence: bool, dtype: str = "float32"
) -> dict[str, Any]:
    """Returns the content of config.json.

    - `pad_token_id`: id of [PAD].
    - `next_sentence`: whether the export holds the pooler and the next-sentence head.
    - `dtype`: type of the exported weights, written under the name that transformers 4.x and 5.x both read.
    """
    return {
        "architectures": ["BertForPreTraining" if next_sentence else "BertForMaskedLM"],
        "model_type": "bert",
        "vocab_size": vocab_size,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "intermediate_size": config.intermediate_size,
        "hidden_act": "gelu",
        "hidden_dropout_prob": config.hidden_dropout_prob,
        "attention_probs_dropout_prob": config.attention_probs_dropout_prob,
        "max_position_embeddings": config.max_position_embeddings,
        "type_vocab_size": config.type_vocab_size,
        "initializer_range": config.initializer_range,
        "layer_norm_eps": config.layer_norm_eps,
        "pad_token_id": pad_token_id,
        "position_embedding_type": "absolute",
        "tie_word_embeddings": True,
        "torch_dtype": dtype,
    }


def _names(path: str, num_layers: int) -> list[str]:
    """Hugging Face's names of the tensors that a parameter holds: one for each layer of a stack, otherwise one."""
    for pattern, replacement in WEIGHT_MAP:
        match = re.fullmatch(pattern, path)
        if match:
            name = match.expand(replacement).replace("/", ".")
            return [name.format(layer=i) for i in range(num_layers)] if "{layer}" in name else [name]
    raise InputError(f"no rule of WEIGHT_MAP names the parameter {path}")


def _flatten(params: Parameters) -> Iterator[tuple[str, Any]]:
    """Yields (path with slashes, leaf) of a nested dict."""
    for key, value in params.items():
        if isinstance(value, dict):
            yield from ((f"{key}/{path}", leaf) for path, leaf in _flatten(value))
        else:
            yield key, value


def _put(params: Parameters, path: str, leaf: np.ndarray) -> None:
    """Stores a leaf under its path, making the dicts on the way."""
    *parents, name = path.split("/")
    for parent in parents:
        params = params.setdefault(parent, {})
    params[name] = leaf
