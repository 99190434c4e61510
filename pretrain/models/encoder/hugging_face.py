"""The encoder's rows of a parameter table, and its part of a config.json (transformers 4.x and 5.x)."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

import jax
import numpy as np

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.tokenizer import SpecialIds
from pretrain.models.core.layers import Parameters
from pretrain.models.core.task_scores import label_rules, token_rules
from pretrain.models.encoder.config import EncoderConfig
from pretrain.models.parameter_rules import Axis, Kind, ParameterRule, Rules
from pretrain.models.protocols import Inputs, VocabularyHead

Config = TypeVar("Config", bound=EncoderConfig)
MUST_MATCH = ("num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size", "layer_norm_eps")
"""Fields that must be equal where one model starts from another; heads and epsilon show in no shape."""
NOT_IN_CONFIG_JSON = ("initializer", "exported_dropout")
"""Fields that are ours alone, whatever a config.json has under such a name."""


def encoder_rules(body: str) -> Rules:
    """The rows of an encoder's parameters, under its name in the tree and in Hugging Face's file.

    Heads and the feed-forward width are split over "tensor", so that each block ends in one sum over it.
    """

    def layer(pattern: str, name: str, kind: Kind, *axes: Axis) -> ParameterRule:
        return rule(f"{body}/encoder/layer/{pattern}", f"{body}.encoder.layer.{{layer}}.{name}", kind, *axes, stacked=1)

    return (
        *embedding_rules(body),
        layer("attention/self/(query|key|value)/kernel", r"attention.self.\1.weight", "matrix", "fsdp", "tensor"),
        layer("attention/self/(query|key|value)/bias", r"attention.self.\1.bias", "bias", "tensor"),
        layer("intermediate/dense/kernel", "intermediate.dense.weight", "matrix", "fsdp", "tensor"),
        layer("intermediate/dense/bias", "intermediate.dense.bias", "bias", "tensor"),
        layer("attention/output/dense/kernel", "attention.output.dense.weight", "matrix", "tensor", "fsdp"),
        layer("output/dense/kernel", "output.dense.weight", "matrix", "tensor", "fsdp"),
        layer("attention/output/dense/bias", "attention.output.dense.bias", "bias"),
        layer("output/dense/bias", "output.dense.bias", "bias"),
        layer("attention/output/LayerNorm/scale", "attention.output.LayerNorm.weight", "norm"),
        layer("output/LayerNorm/scale", "output.LayerNorm.weight", "norm"),
        layer("attention/output/LayerNorm/bias", "attention.output.LayerNorm.bias", "norm"),
        layer("output/LayerNorm/bias", "output.LayerNorm.bias", "norm"),
    )


def embedding_rules(body: str) -> Rules:
    """The rows of its tables and of the LayerNorm behind them.

    The word table is split by rows: split by width, XLA gathers twice the bytes. The small tables are not worth a gather.
    """

    def table(name: str, *axes: Axis, **further: Any) -> ParameterRule:
        pattern, theirs = f"{body}/embeddings/{name}/embedding", f"{body}.embeddings.{name}.weight"
        return rule(pattern, theirs, "table", *axes, group="table", **further)

    return (
        table("word_embeddings", ("tensor", "fsdp"), rows="vocabulary"),
        table("position_embeddings", rows="positions"),
        table("token_type_embeddings", rows="token_types"),
        rule(f"{body}/embeddings/LayerNorm/scale", f"{body}.embeddings.LayerNorm.weight", "norm"),
        rule(f"{body}/embeddings/LayerNorm/bias", f"{body}.embeddings.LayerNorm.bias", "norm"),
    )


def rule(pattern: str, name: str, kind: Kind, *axes: Axis, **further: Any) -> ParameterRule:
    """A row of the table whose matrices are stored transposed, as torch.nn.Linear's."""
    return ParameterRule(pattern, kind, axes, hugging_face=name, transposed=kind == "matrix", **further)


def head_rule(pattern: str, name: str, kind: Kind, *axes: Axis, **further: Any) -> ParameterRule:
    """`rule` for a parameter of a head."""
    return rule(pattern, name, kind, *axes, group="head", **further)


def task_rules(heads: frozenset[str], body: str, *, projected: bool = False) -> Rules:
    """The rows of a task's head, where `heads` has one; the classifier is RoBERTa's and ELECTRA's. Arguments as for `token_rules`."""
    dense = (
        head_rule("classifier/dense/kernel", "classifier.dense.weight", "matrix", "fsdp"),
        head_rule("classifier/dense/bias", "classifier.dense.bias", "bias"),
    )
    return (
        *((*dense, *label_rules("classifier/out_proj")) if "classifier" in heads else ()),
        *token_rules(heads, body, projected=projected),
    )


def with_current_names(body: str, tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Tensors under today's names: the old LayerNorm.gamma and beta, and those of a bare model, without the encoder's name."""
    bare = not any(name.startswith(f"{body}.") for name in tensors)
    names = {name: f"{body}.{name}" if bare else name for name in tensors}
    return {
        new.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias"): tensors[old]
        for old, new in names.items()
    }


def encoder_to_json(config: EncoderConfig, vocab_size: int, special: SpecialIds) -> dict[str, Any]:
    """The encoder's part of config.json, with the dropouts of fine-tuning; its types are read by transformers 4.x and 5.x."""
    dropout = config.customary_dropout if config.exported_dropout is None else config.exported_dropout
    return {
        "vocab_size": vocab_size,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "intermediate_size": config.intermediate_size,
        "hidden_act": config.hidden_act,
        "hidden_dropout_prob": dropout,
        "attention_probs_dropout_prob": dropout,
        "max_position_embeddings": config.max_position_embeddings,
        "type_vocab_size": config.type_vocab_size,
        "initializer_range": config.initializer_range,
        "layer_norm_eps": config.layer_norm_eps,
        "pad_token_id": special.pad,
        "position_embedding_type": "absolute",
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
    }


def encoder_from_json(kind: type[Config], title: str, configuration: Mapping[str, Any]) -> Config:
    """The config of a config.json; its dropouts are those of fine-tuning. Raises InputError for another activation than the family's,
    relative positions, and a decoder.

    - `title`: of the family, for the error.
    """
    activation = configuration.get("hidden_act", kind.hidden_act)
    if activation != kind.hidden_act:
        raise InputError(
            f"config.json says hidden_act {activation}; {title} is computed here with {kind.hidden_act} only"
        )
    positions = configuration.get("position_embedding_type") or "absolute"
    if positions != "absolute":
        raise InputError(
            f"config.json says position_embedding_type {positions}; {title} is computed here with absolute ones only"
        )
    if configuration.get("is_decoder"):
        raise InputError(
            f"config.json says is_decoder true: a token sees those before it only; {title} is computed here in both directions only"
        )
    names = {field.name for field in fields(kind)}.difference(NOT_IN_CONFIG_JSON)
    return kind(**{name: value for name, value in configuration.items() if name in names})


def masked_lm_logits(model: VocabularyHead, params: Parameters, inputs: Inputs) -> jax.Array:
    """What AutoModelForMaskedLM calls logits: float32 [B, L, vocabulary]."""
    return model.vocabulary_logits(params, model.encode(params, inputs))[..., : model.vocab_size]
