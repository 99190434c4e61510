"""BERT as a family: the table of its parameters, and its config.json (transformers 4.x and 5.x: BertForPreTraining, BertForMaskedLM)."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import jax
import numpy as np

from data_pipeline.contract.errors import InputError
from pretrain.models.bert.config import CUSTOMARY_DROPOUT, BertConfig
from pretrain.models.bert.model import HEADS, Bert
from pretrain.models.core.layers import Parameters
from pretrain.models.parameter_rules import Axis, Kind, ParameterRule, Rules
from pretrain.models.protocols import Family, Inputs


def rules(config: BertConfig, heads: frozenset[str]) -> Rules:
    """The table of a BERT's parameters.

    Heads and the feed-forward width are split over "tensor", so that each block ends in one sum over it. The word table is split by
    rows: split by width, XLA gathers twice the bytes. The small tables are not worth a gather.
    """
    vocabulary = (
        _head("cls/predictions/transform/dense/kernel", "cls.predictions.transform.dense.weight", "matrix", "fsdp"),
        _head("cls/predictions/transform/dense/bias", "cls.predictions.transform.dense.bias", "bias"),
        _head("cls/predictions/transform/LayerNorm/scale", "cls.predictions.transform.LayerNorm.weight", "norm"),
        _head("cls/predictions/transform/LayerNorm/bias", "cls.predictions.transform.LayerNorm.bias", "norm"),
        _head("cls/predictions/bias", "cls.predictions.bias", "bias", "tensor", rows="vocabulary"),
    )
    pair = (
        _head("bert/pooler/dense/kernel", "bert.pooler.dense.weight", "matrix", "fsdp"),
        _head("bert/pooler/dense/bias", "bert.pooler.dense.bias", "bias"),
        _head("cls/seq_relationship/kernel", "cls.seq_relationship.weight", "matrix"),
        _head("cls/seq_relationship/bias", "cls.seq_relationship.bias", "bias"),
    )
    return (
        _table("word_embeddings", ("tensor", "fsdp"), rows="vocabulary"),
        _table("position_embeddings", rows="positions"),
        _table("token_type_embeddings", rows="token_types"),
        _rule("bert/embeddings/LayerNorm/scale", "bert.embeddings.LayerNorm.weight", "norm"),
        _rule("bert/embeddings/LayerNorm/bias", "bert.embeddings.LayerNorm.bias", "norm"),
        _layer("attention/self/(query|key|value)/kernel", r"attention.self.\1.weight", "matrix", "fsdp", "tensor"),
        _layer("attention/self/(query|key|value)/bias", r"attention.self.\1.bias", "bias", "tensor"),
        _layer("intermediate/dense/kernel", "intermediate.dense.weight", "matrix", "fsdp", "tensor"),
        _layer("intermediate/dense/bias", "intermediate.dense.bias", "bias", "tensor"),
        _layer("attention/output/dense/kernel", "attention.output.dense.weight", "matrix", "tensor", "fsdp"),
        _layer("output/dense/kernel", "output.dense.weight", "matrix", "tensor", "fsdp"),
        _layer("attention/output/dense/bias", "attention.output.dense.bias", "bias"),
        _layer("output/dense/bias", "output.dense.bias", "bias"),
        _layer("attention/output/LayerNorm/scale", "attention.output.LayerNorm.weight", "norm"),
        _layer("output/LayerNorm/scale", "output.LayerNorm.weight", "norm"),
        _layer("attention/output/LayerNorm/bias", "attention.output.LayerNorm.bias", "norm"),
        _layer("output/LayerNorm/bias", "output.LayerNorm.bias", "norm"),
        *(vocabulary if "vocabulary" in heads else ()),
        *(pair if "pair" in heads else ()),
    )


def _rule(pattern: str, name: str, kind: Kind, *axes: Axis, **further: Any) -> ParameterRule:
    return ParameterRule(pattern, kind, axes, hugging_face=name, transposed=kind == "matrix", **further)


def _table(name: str, *axes: Axis, **further: Any) -> ParameterRule:
    pattern, theirs = f"bert/embeddings/{name}/embedding", f"bert.embeddings.{name}.weight"
    return _rule(pattern, theirs, "table", *axes, group="table", **further)


def _layer(pattern: str, name: str, kind: Kind, *axes: Axis) -> ParameterRule:
    return _rule(f"bert/encoder/layer/{pattern}", f"bert.encoder.layer.{{layer}}.{name}", kind, *axes, stacked=1)


def _head(pattern: str, name: str, kind: Kind, *axes: Axis, **further: Any) -> ParameterRule:
    return _rule(pattern, name, kind, *axes, group="head", **further)


def current_names(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Tensors under the names of today's BertForPreTraining: the old LayerNorm.gamma and beta, and a bare BertModel's without bert."""
    bare = not any(name.startswith("bert.") for name in tensors)
    names = {name: f"bert.{name}" if bare else name for name in tensors}
    return {
        new.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias"): tensors[old]
        for old, new in names.items()
    }


def config_to_json(config: BertConfig, vocab_size: int, pad_token_id: int, heads: frozenset[str]) -> dict[str, Any]:
    """The content of config.json, with the dropouts of fine-tuning; its types are read by transformers 4.x and 5.x."""
    dropout = CUSTOMARY_DROPOUT if config.exported_dropout is None else config.exported_dropout
    return {
        "architectures": ["BertForPreTraining" if "pair" in heads else "BertForMaskedLM"],
        "model_type": "bert",
        "vocab_size": vocab_size,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "intermediate_size": config.intermediate_size,
        "hidden_act": "gelu",
        "hidden_dropout_prob": dropout,
        "attention_probs_dropout_prob": dropout,
        "max_position_embeddings": config.max_position_embeddings,
        "type_vocab_size": config.type_vocab_size,
        "initializer_range": config.initializer_range,
        "layer_norm_eps": config.layer_norm_eps,
        "pad_token_id": pad_token_id,
        "position_embedding_type": "absolute",
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
    }


NOT_IN_CONFIG_JSON = ("initializer", "exported_dropout")
"""Fields of BertConfig that are ours alone, whatever a config.json has under such a name."""


def config_from_json(configuration: Mapping[str, Any]) -> BertConfig:
    """The config of a config.json; its dropouts are those of fine-tuning. Raises InputError for an activation that is not gelu."""
    activation = configuration.get("hidden_act", "gelu")
    if activation != "gelu":
        raise InputError(f"config.json says hidden_act {activation}; a BERT is computed here with gelu only")
    names = {field.name for field in fields(BertConfig)}.difference(NOT_IN_CONFIG_JSON)
    return BertConfig(**{name: value for name, value in configuration.items() if name in names})


def masked_lm_logits(model: Bert, params: Parameters, inputs: Inputs) -> jax.Array:
    """What AutoModelForMaskedLM calls logits: float32 [B, L, vocabulary]."""
    return model.vocabulary_logits(params, model.encode(params, inputs))[..., : model.vocab_size]


FAMILY = Family(
    name="bert",
    title="BERT",
    heads=HEADS,
    make=Bert,
    rules=rules,
    model_types=("bert",),
    current_names=current_names,
    # Copies of the word embeddings and of cls.predictions.bias that transformers rebuilds, and constants of older checkpoints.
    not_parameters=("cls.predictions.decoder.weight", "cls.predictions.decoder.bias", "bert.embeddings.position_ids"),
    config_to_json=config_to_json,
    config_from_json=config_from_json,
    # Heads and epsilon show in no shape.
    must_match=("num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size", "layer_norm_eps"),
    auto_class=lambda heads: "AutoModelForMaskedLM",
    logits=masked_lm_logits,
)
