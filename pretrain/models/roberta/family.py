"""RoBERTa as a family: the table of its parameters, and its config.json (transformers 4.x and 5.x: RobertaForMaskedLM)."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from data_pipeline.contract.tokenizer import SpecialIds
from pretrain.models.encoder.hugging_face import (
    MUST_MATCH,
    encoder_from_json,
    encoder_rules,
    encoder_to_json,
    head_rule,
    masked_lm_logits,
    task_rules,
    with_current_names,
)
from pretrain.models.parameter_rules import Rules
from pretrain.models.protocols import Family
from pretrain.models.roberta.config import RobertaConfig
from pretrain.models.roberta.model import HEADS, Roberta

LEFT_OUT = {"layer_norm_eps": 1e-12, "max_position_embeddings": 512, "pad_token_id": 1, "type_vocab_size": 2}
"""What a config.json means that leaves a field out: transformers' defaults, where ours are others."""


def rules(config: RobertaConfig, heads: frozenset[str]) -> Rules:
    """The table of a RoBERTa's parameters."""
    vocabulary = (
        head_rule("lm_head/dense/kernel", "lm_head.dense.weight", "matrix", "fsdp"),
        head_rule("lm_head/dense/bias", "lm_head.dense.bias", "bias"),
        head_rule("lm_head/layer_norm/scale", "lm_head.layer_norm.weight", "norm"),
        head_rule("lm_head/layer_norm/bias", "lm_head.layer_norm.bias", "norm"),
        head_rule("lm_head/bias", "lm_head.bias", "bias", "tensor", rows="vocabulary"),
    )
    return (*encoder_rules("roberta"), *(vocabulary if "vocabulary" in heads else ()), *task_rules(heads, "roberta"))


def config_to_json(
    config: RobertaConfig, vocab_size: int, special: SpecialIds, heads: frozenset[str]
) -> dict[str, Any]:
    """The content of config.json, with the dropouts of fine-tuning."""
    return {
        "architectures": ["RobertaForMaskedLM"],
        "model_type": "roberta",
        **encoder_to_json(config, vocab_size, special),
        "bos_token_id": special.cls,
        "eos_token_id": special.sep,
    }


def config_from_json(configuration: Mapping[str, Any]) -> RobertaConfig:
    """The config of a config.json. Raises InputError for an activation that is not gelu."""
    return encoder_from_json(RobertaConfig, "RoBERTa", {**LEFT_OUT, **configuration})


FAMILY = Family(
    name="roberta",
    title="RoBERTa",
    heads=HEADS,
    make=Roberta,
    rules=rules,
    model_types=("roberta",),
    current_names=partial(with_current_names, "roberta"),
    # Copies of the word embeddings and of lm_head.bias that transformers rebuilds, and constants of older checkpoints.
    not_parameters=("lm_head.decoder.weight", "lm_head.decoder.bias", "roberta.embeddings.position_ids"),
    config_to_json=config_to_json,
    config_from_json=config_from_json,
    must_match=MUST_MATCH,
    auto_class=lambda heads: "AutoModelForMaskedLM",
    logits=masked_lm_logits,
    adds_pooler=lambda heads: True,
    converts=True,
    for_task=Roberta.for_task,
    class_prefix="Roberta",
)
