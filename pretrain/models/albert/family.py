"""ALBERT as a family: the table of its parameters, and its config.json (transformers 4.x and 5.x: AlbertForPreTraining,
AlbertForMaskedLM)."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.tokenizer import SpecialIds
from pretrain.models.albert.config import AlbertConfig
from pretrain.models.albert.model import HEADS, POOLED, Albert
from pretrain.models.core.task_scores import label_rules, token_rules
from pretrain.models.encoder.hugging_face import (
    MUST_MATCH,
    embedding_rules,
    encoder_from_json,
    encoder_to_json,
    head_rule,
    masked_lm_logits,
    rule,
    with_current_names,
)
from pretrain.models.parameter_rules import Axis, Kind, ParameterRule, Rules
from pretrain.models.protocols import Family

LAYER = "albert.encoder.albert_layer_groups.0.albert_layers.0"
"""What transformers calls the only layer of the only group."""
ONLY = {"num_hidden_groups": 1, "inner_group_num": 1}
"""What config.json says of such an encoder."""
LEFT_OUT = {"hidden_size": 4096, "num_attention_heads": 64, "intermediate_size": 16384}
"""What a config.json means that leaves a field out: transformers' defaults, where ours are others."""


def rules(config: AlbertConfig, heads: frozenset[str]) -> Rules:
    """The table of an ALBERT's parameters; inside the layer the tree has the encoder's names."""
    vocabulary = (
        head_rule("predictions/dense/kernel", "predictions.dense.weight", "matrix", "fsdp"),
        head_rule("predictions/dense/bias", "predictions.dense.bias", "bias"),
        head_rule("predictions/LayerNorm/scale", "predictions.LayerNorm.weight", "norm"),
        head_rule("predictions/LayerNorm/bias", "predictions.LayerNorm.bias", "norm"),
        head_rule("predictions/bias", "predictions.bias", "bias", "tensor", rows="vocabulary"),
    )
    pooler = (
        head_rule("albert/pooler/kernel", "albert.pooler.weight", "matrix", "fsdp"),
        head_rule("albert/pooler/bias", "albert.pooler.bias", "bias"),
    )
    return (
        *embedding_rules("albert"),
        rule("albert/embeddings_project/kernel", "albert.encoder.embedding_hidden_mapping_in.weight", "matrix", "fsdp"),
        rule("albert/embeddings_project/bias", "albert.encoder.embedding_hidden_mapping_in.bias", "bias"),
        *_layer_rules(),
        *(vocabulary if "vocabulary" in heads else ()),
        *(pooler if heads & POOLED else ()),
        *(label_rules("sop_classifier/classifier") if "pair" in heads else ()),
        *(label_rules("classifier") if "classifier" in heads else ()),
        *token_rules(heads, "albert", projected=config.embedding_width != config.hidden_size),
    )


def _layer_rules() -> Rules:
    """The rows of the layer, split as the encoder's (`pretrain.models.encoder.hugging_face.encoder_rules`), and not stacked."""

    def layer(pattern: str, name: str, kind: Kind, *axes: Axis) -> ParameterRule:
        return rule(f"albert/encoder/layer/{pattern}", f"{LAYER}.{name}", kind, *axes)

    return (
        layer("attention/self/(query|key|value)/kernel", r"attention.\1.weight", "matrix", "fsdp", "tensor"),
        layer("attention/self/(query|key|value)/bias", r"attention.\1.bias", "bias", "tensor"),
        layer("attention/output/dense/kernel", "attention.dense.weight", "matrix", "tensor", "fsdp"),
        layer("attention/output/dense/bias", "attention.dense.bias", "bias"),
        layer("attention/output/LayerNorm/scale", "attention.LayerNorm.weight", "norm"),
        layer("attention/output/LayerNorm/bias", "attention.LayerNorm.bias", "norm"),
        layer("intermediate/dense/kernel", "ffn.weight", "matrix", "fsdp", "tensor"),
        layer("intermediate/dense/bias", "ffn.bias", "bias", "tensor"),
        layer("output/dense/kernel", "ffn_output.weight", "matrix", "tensor", "fsdp"),
        layer("output/dense/bias", "ffn_output.bias", "bias"),
        layer("output/LayerNorm/scale", "full_layer_layer_norm.weight", "norm"),
        layer("output/LayerNorm/bias", "full_layer_layer_norm.bias", "norm"),
    )


def config_to_json(config: AlbertConfig, vocab_size: int, special: SpecialIds, heads: frozenset[str]) -> dict[str, Any]:
    """The content of config.json, with the dropouts of fine-tuning."""
    return {
        "architectures": ["AlbertForPreTraining" if "pair" in heads else "AlbertForMaskedLM"],
        "model_type": "albert",
        **encoder_to_json(config, vocab_size, special),
        "embedding_size": config.embedding_size,
        **ONLY,
        "bos_token_id": special.cls,
        "eos_token_id": special.sep,
    }


def config_from_json(configuration: Mapping[str, Any]) -> AlbertConfig:
    """The config of a config.json; its dropouts are those of fine-tuning.

    Raises InputError for another activation than gelu_new, and for layers that do not all share their parameters.
    """
    for name, value in ONLY.items():
        if configuration.get(name, value) != value:
            raise InputError(
                f"config.json says {name} {configuration[name]}; an ALBERT is computed here with {value} only: one layer, whose "
                "parameters all layers share"
            )
    return encoder_from_json(AlbertConfig, "ALBERT", {**LEFT_OUT, **configuration})


FAMILY = Family(
    name="albert",
    title="ALBERT",
    heads=HEADS,
    make=Albert,
    rules=rules,
    model_types=("albert",),
    current_names=partial(with_current_names, "albert"),
    # Copies of the word embeddings and of predictions.bias that transformers rebuilds, and constants of older checkpoints.
    not_parameters=("predictions.decoder.weight", "predictions.decoder.bias", "albert.embeddings.position_ids"),
    config_to_json=config_to_json,
    config_from_json=config_from_json,
    must_match=(*MUST_MATCH, "embedding_size"),
    auto_class=lambda heads: "AutoModelForMaskedLM",
    logits=masked_lm_logits,
    adds_pooler=lambda heads: "pair" not in heads,
    converts=True,
    for_task=Albert.for_task,
    class_prefix="Albert",
    task_dropout="classifier_dropout_prob",
    has_pooler=True,
    pair_task="sentence_order",
)
