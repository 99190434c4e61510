"""T5 as a family: the table of its parameters, and its config.json (transformers 4.x and 5.x: T5ForConditionalGeneration)."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import jax

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.tokenizer import SpecialIds
from pretrain.models.core.layers import Parameters
from pretrain.models.parameter_rules import Axis, Kind, ParameterRule, Rules
from pretrain.models.protocols import Family, Inputs
from pretrain.models.t5.config import T5Config
from pretrain.models.t5.model import HEADS, T5

CUSTOMARY_DROPOUT = 0.1
"""What T5s are fine-tuned with (Raffel et al. 2019, section 3.1.2, and version 1.1's config.json)."""
ACTIVATIONS = ("relu", "gated-gelu")
"""Values of feed_forward_proj that are computed here."""
BLOCKS = {
    "encoder": ("self_attention", "feed_forward"),
    "decoder": ("self_attention", "cross_attention", "feed_forward"),
}
"""Of a layer of each stack, in Hugging Face's order, by our names."""
THEIR_NAMES = {
    "self_attention": "SelfAttention",
    "cross_attention": "EncDecAttention",
    "feed_forward": "DenseReluDense",
}


def rules(config: T5Config, heads: frozenset[str]) -> Rules:
    """The table of a T5's parameters, split as the encoder's (`pretrain.models.encoder.hugging_face.encoder_rules`).

    The biases of relative positions are biases: neither decayed nor split, 32 rows are not worth a gather.
    """

    def table(name: str, group: Any) -> ParameterRule:
        return ParameterRule(
            f"{name}/embedding",
            "table",
            (("tensor", "fsdp"),),
            group=group,
            rows="vocabulary",
            hugging_face=f"{name}.weight",
        )

    of_stacks = (rule for stack, blocks in BLOCKS.items() for rule in _stack_rules(stack, blocks, config))
    own_head = "target" in heads and not config.tie_word_embeddings
    return (table("shared", "table"), *of_stacks, *((table("lm_head", "head"),) if own_head else ()))


def _stack_rules(stack: str, blocks: tuple[str, ...], config: T5Config) -> Rules:
    """The rows of the encoder's or the decoder's parameters."""

    def layer(pattern: str, name: str, kind: Kind, *axes: Axis) -> ParameterRule:
        theirs = f"{stack}.block.{{layer}}.layer.{name}.weight"
        return ParameterRule(
            f"{stack}/block/{pattern}", kind, axes, stacked=1, hugging_face=theirs, transposed=kind == "matrix"
        )

    found = []
    into_inner = "wi_0|wi_1" if config.is_gated else "wi"
    for place, block in enumerate(blocks):
        into, out = (into_inner, "wo") if block == "feed_forward" else ("q|k|v", "o")
        theirs = f"{place}.{THEIR_NAMES[block]}"
        found += [
            layer(f"{block}/layer_norm/scale", f"{place}.layer_norm", "norm"),
            layer(f"{block}/({into})/kernel", rf"{theirs}.\1", "matrix", "fsdp", "tensor"),
            layer(f"{block}/{out}/kernel", f"{theirs}.{out}", "matrix", "tensor", "fsdp"),
        ]
    positions = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
    return (
        ParameterRule(f"{stack}/relative_attention_bias/embedding", "bias", hugging_face=positions),
        *found,
        ParameterRule(f"{stack}/final_layer_norm/scale", "norm", hugging_face=f"{stack}.final_layer_norm.weight"),
    )


def config_to_json(config: T5Config, vocab_size: int, special: SpecialIds, heads: frozenset[str]) -> dict[str, Any]:
    """The content of config.json, with the dropout of fine-tuning."""
    return {
        "architectures": ["T5ForConditionalGeneration"],
        "model_type": "t5",
        "is_encoder_decoder": True,
        "vocab_size": vocab_size,
        "num_layers": config.num_layers,
        "num_decoder_layers": config.num_decoder_layers,
        "d_model": config.d_model,
        "d_kv": config.d_kv,
        "num_heads": config.num_heads,
        "d_ff": config.d_ff,
        "feed_forward_proj": config.feed_forward_proj,
        "tie_word_embeddings": config.tie_word_embeddings,
        "relative_attention_num_buckets": config.relative_attention_num_buckets,
        "relative_attention_max_distance": config.relative_attention_max_distance,
        "dropout_rate": CUSTOMARY_DROPOUT if config.exported_dropout is None else config.exported_dropout,
        "layer_norm_epsilon": config.layer_norm_epsilon,
        "initializer_factor": config.initializer_factor,
        **generation_config(special),
        "torch_dtype": "float32",
    }


def generation_config(special: SpecialIds) -> dict[str, Any]:
    """Ids that a target begins with (the padding, as published T5s), ends with and is padded with: the content of
    generation_config.json."""
    return {"decoder_start_token_id": special.pad, "eos_token_id": special.sep, "pad_token_id": special.pad}


def config_from_json(configuration: Mapping[str, Any]) -> T5Config:
    """The config of a config.json; its dropout is that of fine-tuning. Raises InputError for what is not computed here."""
    activation = configuration.get("feed_forward_proj", "relu")
    if activation not in ACTIVATIONS:
        raise InputError(
            f"config.json says feed_forward_proj {activation}; a T5 is computed here with {' or '.join(ACTIVATIONS)} only"
        )
    names = {field.name for field in fields(T5Config)} - {"exported_dropout"}
    told = {name: value for name, value in configuration.items() if name in names and value is not None}
    if told.get("num_decoder_layers") is None:
        told["num_decoder_layers"] = told.get("num_layers", T5Config.num_layers)
    # transformers 5 writes tie_word_embeddings true of every T5, and whether the head is tied under another name.
    told["tie_word_embeddings"] = configuration.get("scale_decoder_outputs", told.get("tie_word_embeddings", True))
    return T5Config(**told)


def target_logits(model: T5, params: Parameters, inputs: Inputs) -> jax.Array:
    """What AutoModelForSeq2SeqLM calls logits for rows that are source and target, float32 [B, L, vocabulary]."""
    hidden = model.decode(params, inputs, model.encode(params, inputs), inputs.segments)
    return model.target_logits(params, hidden)[..., : model.vocab_size]


FAMILY = Family(
    name="t5",
    title="T5",
    heads=HEADS,
    make=T5,
    rules=rules,
    model_types=("t5",),
    current_names=dict,
    # Copies of the word table, and a table that Google's checkpoints have and nothing reads.
    not_parameters=(
        "lm_head.weight",
        "encoder.embed_tokens.weight",
        "decoder.embed_tokens.weight",
        "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight",
    ),
    config_to_json=config_to_json,
    config_from_json=config_from_json,
    must_match=(
        "num_layers",
        "num_decoder_layers",
        "d_model",
        "d_kv",
        "num_heads",
        "d_ff",
        "feed_forward_proj",
        "tie_word_embeddings",
        "relative_attention_num_buckets",
        "relative_attention_max_distance",
        "layer_norm_epsilon",
    ),
    auto_class=lambda heads: "AutoModelForSeq2SeqLM",
    logits=target_logits,
    layouts=("source_target", "full_sentences"),
    generation_config=generation_config,
    sentinels=True,
    caveat="If it was trained by span corruption, it writes the spans that belong in the place of [unused0], [unused1], ... in a text, each "
    "behind its own.",
)
