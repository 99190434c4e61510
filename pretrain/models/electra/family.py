"""ELECTRA as a family: the table of its parameters, and its config.json (transformers 4.x and 5.x: ElectraForPreTraining is the
discriminator, ElectraForMaskedLM the generator)."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax

from data_pipeline.contract.tokenizer import SpecialIds
from pretrain.models.core.layers import Parameters
from pretrain.models.electra.config import ElectraConfig
from pretrain.models.electra.model import HEADS, Electra
from pretrain.models.encoder.hugging_face import (
    MUST_MATCH,
    encoder_from_json,
    encoder_rules,
    encoder_to_json,
    head_rule,
    rule,
    task_rules,
    with_current_names,
)
from pretrain.models.parameter_rules import Rules
from pretrain.models.protocols import Family, Inputs

SUMMARY = {
    "summary_type": "first",
    "summary_use_proj": True,
    "summary_activation": "gelu",
    "summary_last_dropout": 0.1,
}
"""How transformers pools a discriminator, as published ones say it."""
OMITTED = {
    "embedding_size": 128,
    "hidden_size": 256,
    "num_attention_heads": 4,
    "intermediate_size": 1024,
}
"""What transformers takes where a config.json does not say it, as far as that is not the default here."""


def rules(config: ElectraConfig, heads: frozenset[str]) -> Rules:
    """The table of an ELECTRA's parameters."""
    projection = (
        rule("electra/embeddings_project/kernel", "electra.embeddings_project.weight", "matrix", "fsdp"),
        rule("electra/embeddings_project/bias", "electra.embeddings_project.bias", "bias"),
    )
    replaced = (
        head_rule("discriminator_predictions/dense/kernel", "discriminator_predictions.dense.weight", "matrix", "fsdp"),
        head_rule("discriminator_predictions/dense/bias", "discriminator_predictions.dense.bias", "bias"),
        head_rule(
            "discriminator_predictions/dense_prediction/kernel",
            "discriminator_predictions.dense_prediction.weight",
            "matrix",
        ),
        head_rule(
            "discriminator_predictions/dense_prediction/bias",
            "discriminator_predictions.dense_prediction.bias",
            "bias",
        ),
    )
    vocabulary = (
        head_rule("generator_predictions/dense/kernel", "generator_predictions.dense.weight", "matrix", "fsdp"),
        head_rule("generator_predictions/dense/bias", "generator_predictions.dense.bias", "bias"),
        head_rule("generator_predictions/LayerNorm/scale", "generator_predictions.LayerNorm.weight", "norm"),
        head_rule("generator_predictions/LayerNorm/bias", "generator_predictions.LayerNorm.bias", "norm"),
        head_rule("generator_lm_head/bias", "generator_lm_head.bias", "bias", "tensor", rows="vocabulary"),
    )
    return (
        *encoder_rules("electra"),
        *(projection if config.embedding_size != config.hidden_size else ()),
        *(replaced if "replaced" in heads else ()),
        *(vocabulary if "vocabulary" in heads else ()),
        *task_rules(heads, "electra", projected=config.embedding_width != config.hidden_size),
    )


def config_to_json(
    config: ElectraConfig, vocab_size: int, special: SpecialIds, heads: frozenset[str]
) -> dict[str, Any]:
    """The content of config.json, with the dropouts of fine-tuning."""
    return {
        "architectures": ["ElectraForPreTraining" if "replaced" in heads else "ElectraForMaskedLM"],
        "model_type": "electra",
        **encoder_to_json(config, vocab_size, special),
        "embedding_size": config.embedding_size,
        **(SUMMARY if "replaced" in heads else {}),
    }


def config_from_json(configuration: Mapping[str, Any]) -> ElectraConfig:
    """The config of a config.json; its dropouts are those of fine-tuning. Raises InputError for an activation that is not gelu."""
    return encoder_from_json(ElectraConfig, "ELECTRA", {**OMITTED, **configuration})


def logits(model: Electra, params: Parameters, inputs: Inputs) -> jax.Array:
    """What transformers calls logits: float32 [B, L] of a discriminator, [B, L, vocabulary] of a generator."""
    hidden = model.encode(params, inputs)
    if "replaced" in model.heads:
        return model.replaced_logits(params, hidden)
    return model.vocabulary_logits(params, hidden)[..., : model.vocab_size]


FAMILY = Family(
    name="electra",
    title="ELECTRA",
    heads=HEADS,
    make=Electra,
    rules=rules,
    model_types=("electra",),
    current_names=partial(with_current_names, "electra"),
    # A copy of the word embeddings that transformers rebuilds, and a constant of older checkpoints.
    not_parameters=("generator_lm_head.weight", "electra.embeddings.position_ids"),
    config_to_json=config_to_json,
    config_from_json=config_from_json,
    must_match=(*MUST_MATCH, "embedding_size"),
    auto_class=lambda heads: "AutoModelForPreTraining" if "replaced" in heads else "AutoModelForMaskedLM",
    logits=logits,
    shared_with_generator="electra/embeddings",
    converts=True,
    for_task=Electra.for_task,
    class_prefix="Electra",
)
