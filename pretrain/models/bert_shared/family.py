"""The tied encoder-decoder as a family: the table of its parameters, and its config.json (transformers 4.x and 5.x:
EncoderDecoderModel of two BERTs)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.tokenizer import SpecialIds
from pretrain.models.bert_shared.config import BertSharedConfig
from pretrain.models.bert_shared.model import ACROSS, HEADS, BertShared
from pretrain.models.core.layers import Parameters
from pretrain.models.encoder.hugging_face import (
    MUST_MATCH,
    encoder_from_json,
    encoder_rules,
    encoder_to_json,
    head_rule,
    rule,
)
from pretrain.models.parameter_rules import ParameterRule, Rules
from pretrain.models.protocols import Family, Inputs

TITLE = "tied encoder-decoder"
SIDES = ("encoder", "decoder")
ENCODER, DECODER, HEAD = "encoder.", "decoder.bert.", "decoder.cls."
"""How the names of transformers' tensors begin: of the encoder, of the decoder's body, of its head."""
OF_DECODER = {"is_decoder": True, "add_cross_attention": True}
"""Fields of the decoder's config.json that must be so."""
MAY_DIFFER = ("hidden_dropout_prob", "attention_probs_dropout_prob", "initializer_range")
"""Sizes of the two sides that may be others: they change no tensor of a trained model."""


def rules(config: BertSharedConfig, heads: frozenset[str]) -> Rules:
    """The table of a tied encoder-decoder's parameters.

    transformers 5 ties the two sides no more: what they share is written under the names of both. The pooler, which nothing here
    reads, is a vector, so that it stays as it began: no gradient, no decay.
    """
    shared = tuple(
        replace(
            each,
            hugging_face=each.hugging_face.replace("bert.", ENCODER, 1),
            copies=(each.hugging_face.replace("bert.", DECODER, 1),),
        )
        for each in encoder_rules("bert")
    )
    into, out = (f"bert/encoder/layer/{ACROSS}/{name}" for name in ("self/(query|key|value)", "output"))
    theirs = f"{DECODER}encoder.layer.{{layer}}.{ACROSS}"
    across = (
        rule(f"{into}/kernel", rf"{theirs}.self.\1.weight", "matrix", "fsdp", "tensor", stacked=1),
        rule(f"{into}/bias", rf"{theirs}.self.\1.bias", "bias", "tensor", stacked=1),
        rule(f"{out}/dense/kernel", f"{theirs}.output.dense.weight", "matrix", "tensor", "fsdp", stacked=1),
        rule(f"{out}/dense/bias", f"{theirs}.output.dense.bias", "bias", stacked=1),
        rule(f"{out}/LayerNorm/scale", f"{theirs}.output.LayerNorm.weight", "norm", stacked=1),
        rule(f"{out}/LayerNorm/bias", f"{theirs}.output.LayerNorm.bias", "norm", stacked=1),
    )
    pooler = (
        ParameterRule(
            "bert/pooler/dense/kernel",
            "vector",
            ("fsdp",),
            group="head",
            hugging_face="encoder.pooler.dense.weight",
            transposed=True,
        ),
        ParameterRule("bert/pooler/dense/bias", "vector", group="head", hugging_face="encoder.pooler.dense.bias"),
    )
    ours, transform = "cls/predictions", f"{HEAD}predictions.transform"
    head = (
        head_rule(f"{ours}/transform/dense/kernel", f"{transform}.dense.weight", "matrix", "fsdp"),
        head_rule(f"{ours}/transform/dense/bias", f"{transform}.dense.bias", "bias"),
        head_rule(f"{ours}/transform/LayerNorm/scale", f"{transform}.LayerNorm.weight", "norm"),
        head_rule(f"{ours}/transform/LayerNorm/bias", f"{transform}.LayerNorm.bias", "norm"),
        head_rule(f"{ours}/bias", f"{HEAD}predictions.bias", "bias", "tensor", rows="vocabulary"),
    )
    return (*shared, *across, *pooler, *(head if "target" in heads else ()))


def from_bert(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A BERT's tensors under this family's names: its encoder for both sides, its masked-LM head for the target's."""
    ours = {"bert.": ENCODER, "cls.predictions.": f"{HEAD}predictions."}
    found = {}
    for name, tensor in tensors.items():
        theirs = next((beginning for beginning in ours if name.startswith(beginning)), "")
        found[ours.get(theirs, "") + name.removeprefix(theirs)] = tensor
    return found


def config_to_json(
    config: BertSharedConfig, vocab_size: int, special: SpecialIds, heads: frozenset[str]
) -> dict[str, Any]:
    """The content of config.json, with the dropouts of fine-tuning. A target begins after [CLS] and ends with [SEP], as LMkor's."""
    side = {"model_type": "bert", **encoder_to_json(config, vocab_size, special)}
    return {
        "architectures": ["EncoderDecoderModel"],
        "model_type": "encoder-decoder",
        "is_encoder_decoder": True,
        "encoder": side,
        "decoder": {**side, **OF_DECODER},
        **generation_config(special),
        "tie_encoder_decoder": True,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
    }


def generation_config(special: SpecialIds) -> dict[str, Any]:
    """Ids that a target begins with, ends with and is padded with: the content of generation_config.json."""
    return {
        "decoder_start_token_id": special.cls,
        "bos_token_id": special.cls,
        "eos_token_id": special.sep,
        "pad_token_id": special.pad,
    }


def config_from_json(configuration: Mapping[str, Any]) -> BertSharedConfig:
    """The config of a config.json. Raises InputError for sides that are no BERTs, or BERTs of other sizes."""
    for side in SIDES:
        kind = configuration[side].get("model_type")
        if kind != "bert":
            raise InputError(f"config.json says {side}.model_type {kind}; a {TITLE} is computed here of two BERTs only")
    for name, value in OF_DECODER.items():
        if configuration["decoder"].get(name) != value:
            raise InputError(f"config.json says no decoder.{name} {str(value).lower()}; its decoder cannot be one")
    sides = configuration["encoder"], {**configuration["decoder"], "is_decoder": False}
    encoder, decoder = (encoder_from_json(BertSharedConfig, TITLE, side) for side in sides)
    for name, value in vars(encoder).items():
        if name not in MAY_DIFFER and getattr(decoder, name) != value:
            raise InputError(
                f"config.json says encoder.{name} {value} and decoder.{name} {getattr(decoder, name)}; an encoder-decoder is computed "
                "here with both sides tied only"
            )
    return encoder


def target_logits(model: BertShared, params: Parameters, inputs: Inputs) -> jax.Array:
    """What AutoModelForSeq2SeqLM calls logits for rows that are source and target, float32 [B, L, vocabulary]."""
    source = model.encode(params, inputs)
    target = inputs._replace(token_types=jnp.zeros_like(inputs.token_types))
    hidden = model.decode(params, target, source, inputs.segments)
    return model.target_logits(params, hidden)[..., : model.vocab_size]


FAMILY = Family(
    name="bert_shared",
    title=TITLE,
    heads=HEADS,
    make=BertShared,
    rules=rules,
    model_types=("encoder-decoder",),
    current_names=dict,
    # Copies of the word embeddings and of the head's bias that transformers rebuilds, and constants of older checkpoints.
    not_parameters=(
        f"{HEAD}predictions.decoder.weight",
        f"{HEAD}predictions.decoder.bias",
        f"{ENCODER}embeddings.position_ids",
        f"{DECODER}embeddings.position_ids",
    ),
    config_to_json=config_to_json,
    config_from_json=config_from_json,
    must_match=MUST_MATCH,
    auto_class=lambda heads: "AutoModelForSeq2SeqLM",
    logits=target_logits,
    layouts=("source_target",),
    generation_config=generation_config,
    caveat="transformers 5 does not tie encoder and decoder: fine-tuned there, they become two models.",
    starts_from={"bert": from_bert},
)
