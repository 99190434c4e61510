"""BERT as a family: the table of its parameters, and its config.json (transformers 4.x and 5.x: BertForPreTraining, BertForMaskedLM)."""

from functools import partial
from typing import Any

from data_pipeline.contract.tokenizer import SpecialIds
from pretrain.models.bert.config import BertConfig
from pretrain.models.bert.model import HEADS, POOLED, Bert
from pretrain.models.core.task_scores import label_rules, token_rules
from pretrain.models.encoder.hugging_face import (
    MUST_MATCH,
    encoder_from_json,
    encoder_rules,
    encoder_to_json,
    head_rule,
    masked_lm_logits,
    with_current_names,
)
from pretrain.models.parameter_rules import Rules
from pretrain.models.protocols import Family


def rules(config: BertConfig, heads: frozenset[str]) -> Rules:
    """The table of a BERT's parameters."""
    vocabulary = (
        head_rule("cls/predictions/transform/dense/kernel", "cls.predictions.transform.dense.weight", "matrix", "fsdp"),
        head_rule("cls/predictions/transform/dense/bias", "cls.predictions.transform.dense.bias", "bias"),
        head_rule("cls/predictions/transform/LayerNorm/scale", "cls.predictions.transform.LayerNorm.weight", "norm"),
        head_rule("cls/predictions/transform/LayerNorm/bias", "cls.predictions.transform.LayerNorm.bias", "norm"),
        head_rule("cls/predictions/bias", "cls.predictions.bias", "bias", "tensor", rows="vocabulary"),
    )
    pooler = (
        head_rule("bert/pooler/dense/kernel", "bert.pooler.dense.weight", "matrix", "fsdp"),
        head_rule("bert/pooler/dense/bias", "bert.pooler.dense.bias", "bias"),
    )
    pair = (
        head_rule("cls/seq_relationship/kernel", "cls.seq_relationship.weight", "matrix"),
        head_rule("cls/seq_relationship/bias", "cls.seq_relationship.bias", "bias"),
    )
    return (
        *encoder_rules("bert"),
        *(vocabulary if "vocabulary" in heads else ()),
        *(pooler if heads & POOLED else ()),
        *(pair if "pair" in heads else ()),
        *(label_rules("classifier") if "classifier" in heads else ()),
        *token_rules(heads, "bert"),
    )


def config_to_json(config: BertConfig, vocab_size: int, special: SpecialIds, heads: frozenset[str]) -> dict[str, Any]:
    """The content of config.json, with the dropouts of fine-tuning."""
    return {
        "architectures": ["BertForPreTraining" if "pair" in heads else "BertForMaskedLM"],
        "model_type": "bert",
        **encoder_to_json(config, vocab_size, special),
    }


FAMILY = Family(
    name="bert",
    title="BERT",
    heads=HEADS,
    make=Bert,
    rules=rules,
    model_types=("bert",),
    current_names=partial(with_current_names, "bert"),
    # Copies of the word embeddings and of cls.predictions.bias that transformers rebuilds, and constants of older checkpoints.
    not_parameters=("cls.predictions.decoder.weight", "cls.predictions.decoder.bias", "bert.embeddings.position_ids"),
    config_to_json=config_to_json,
    config_from_json=partial(encoder_from_json, BertConfig, "BERT"),
    must_match=MUST_MATCH,
    auto_class=lambda heads: "AutoModelForMaskedLM",
    logits=masked_lm_logits,
    adds_pooler=lambda heads: "pair" not in heads,
    converts=True,
    for_task=Bert.for_task,
    class_prefix="Bert",
    has_pooler=True,
)
