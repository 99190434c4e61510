"""Funnel as a family: the table of its parameters, and its config.json (transformers 4.x and 5.x: FunnelForPreTraining is the
discriminator, FunnelForMaskedLM the generator)."""

from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from typing import Any

import jax

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.tokenizer import SpecialIds
from pretrain.models.core.layers import Parameters
from pretrain.models.core.task_scores import token_rules
from pretrain.models.encoder.hugging_face import head_rule, rule, with_current_names
from pretrain.models.funnel.config import FunnelConfig, has_decoder
from pretrain.models.funnel.model import HEADS, Funnel
from pretrain.models.parameter_rules import Axis, Kind, ParameterRule, Rules
from pretrain.models.protocols import Family, Inputs

CUSTOMARY_DROPOUT = 0.1
"""What Funnels are fine-tuned with (the published config.json)."""
COMPUTED = {
    "hidden_act": "gelu_new",
    "pooling_type": "mean",
    "separate_cls": True,
    "truncate_seq": True,
    "pool_q_only": True,
    "tie_word_embeddings": True,
}
"""Fields of a config.json that must be so, and are where they are missing."""
WRITTEN = {
    "attention_type": "relative_shift",
    "initializer_range": 0.1,
    "type_vocab_size": 3,
    "torch_dtype": "float32",
}
"""Further fields, as funnel-kor-base has them. The other attention_type, factorized, is the same sums in another order, and is read too;
the range is that of what transformers would draw anew; of token types [CLS] has its own."""
OMITTED = {"block_sizes": (4, 4, 4)}
"""What transformers takes where a config.json does not say it, as far as that is not the default here."""


def rules(config: FunnelConfig, heads: frozenset[str]) -> Rules:
    """The table of a Funnel's parameters, split as the encoder's (`pretrain.models.encoder.hugging_face.encoder_rules`)."""
    decoder = _layer_rules("decoder/layers", "decoder.layers.{layer}", config) if has_decoder(heads) else ()
    return (
        rule(
            "funnel/embeddings/word_embeddings/embedding",
            "funnel.embeddings.word_embeddings.weight",
            "table",
            ("tensor", "fsdp"),
            group="table",
            rows="vocabulary",
        ),
        *_norm_rules("funnel/embeddings/layer_norm", "funnel.embeddings.layer_norm"),
        *_layer_rules(r"encoder/block_(\d+)", r"encoder.blocks.\1.{layer}", config),
        *decoder,
        *_head_rules(heads),
        *token_rules(heads, "funnel"),
    )


def _layer_rules(ours: str, theirs: str, config: FunnelConfig) -> Rules:
    """The rows of the layers of all blocks, or of the decoder.

    - `ours`: a pattern; `theirs`: a template for it.
    """
    group = 2 if "(" in ours else 1

    def layer(pattern: str, name: str, kind: Kind, *axes: Axis, **further: Any) -> ParameterRule:
        name = name.replace("@", rf"\{group}")
        return rule(f"funnel/{ours}/{pattern}", f"funnel.{theirs}.{name}", kind, *axes, stacked=1, **further)

    # Hugging Face keeps it as [d_model, heads, width of a head], not transposed.
    distances = ParameterRule(
        f"funnel/{ours}/attention/r_kernel",
        "matrix",
        ("fsdp", "tensor"),
        stacked=1,
        hugging_face=f"funnel.{theirs}.attention.r_kernel",
        hugging_face_shape=(config.d_model, config.n_head, config.d_head),
    )
    return (
        distances,
        layer("attention/(q_head|k_head|v_head)/kernel", "attention.@.weight", "matrix", "fsdp", "tensor"),
        layer("attention/(k_head|v_head)/bias", "attention.@.bias", "bias", "tensor"),
        layer("attention/(r_w_bias|r_r_bias|r_s_bias)", "attention.@", "bias", "tensor"),
        layer("attention/seg_embed", "attention.seg_embed", "vector", None, "tensor", rows="same_type"),
        layer("attention/post_proj/kernel", "attention.post_proj.weight", "matrix", "tensor", "fsdp"),
        layer("attention/post_proj/bias", "attention.post_proj.bias", "bias"),
        layer("ffn/linear_1/kernel", "ffn.linear_1.weight", "matrix", "fsdp", "tensor"),
        layer("ffn/linear_1/bias", "ffn.linear_1.bias", "bias", "tensor"),
        layer("ffn/linear_2/kernel", "ffn.linear_2.weight", "matrix", "tensor", "fsdp"),
        layer("ffn/linear_2/bias", "ffn.linear_2.bias", "bias"),
        layer("(attention|ffn)/layer_norm/scale", "@.layer_norm.weight", "norm"),
        layer("(attention|ffn)/layer_norm/bias", "@.layer_norm.bias", "norm"),
    )


def _norm_rules(ours: str, theirs: str) -> Rules:
    return rule(f"{ours}/scale", f"{theirs}.weight", "norm"), rule(f"{ours}/bias", f"{theirs}.bias", "norm")


def _head_rules(heads: frozenset[str]) -> Rules:
    """The rows of the heads that are Funnel's own."""

    def affine(name: str, *axes: Axis) -> Rules:
        path = name.replace(".", "/")
        return (
            head_rule(f"{path}/kernel", f"{name}.weight", "matrix", *axes),
            head_rule(f"{path}/bias", f"{name}.bias", "bias"),
        )

    of_heads = {
        "replaced": (
            *affine("discriminator_predictions.dense", "fsdp"),
            *affine("discriminator_predictions.dense_prediction"),
        ),
        "vocabulary": (head_rule("lm_head/bias", "lm_head.bias", "bias", "tensor", rows="vocabulary"),),
        "classifier": (*affine("classifier.linear_hidden", "fsdp"), *affine("classifier.linear_out")),
    }
    return tuple(rule for head, found in of_heads.items() if head in heads for rule in found)


def config_to_json(config: FunnelConfig, vocab_size: int, special: SpecialIds, heads: frozenset[str]) -> dict[str, Any]:
    """The content of config.json, with the dropouts of fine-tuning."""
    dropout = CUSTOMARY_DROPOUT if config.exported_dropout is None else config.exported_dropout
    return {
        "architectures": ["FunnelForPreTraining" if "replaced" in heads else "FunnelForMaskedLM"],
        "model_type": "funnel",
        "vocab_size": vocab_size,
        "block_sizes": list(config.block_sizes),
        "block_repeats": [1] * len(config.block_sizes),
        "num_decoder_layers": config.num_decoder_layers,
        "d_model": config.d_model,
        "n_head": config.n_head,
        "d_head": config.d_head,
        "d_inner": config.d_inner,
        "hidden_dropout": dropout,
        "attention_dropout": dropout,
        "activation_dropout": config.activation_dropout,
        "layer_norm_eps": config.layer_norm_eps,
        "initializer_std": config.init_std,
        "pad_token_id": special.pad,
        **COMPUTED,
        **WRITTEN,
    }


def config_from_json(configuration: Mapping[str, Any]) -> FunnelConfig:
    """The config of a config.json; its dropouts are those of fine-tuning. Raises InputError for what is not computed here."""
    for name, value in COMPUTED.items():
        if configuration.get(name, value) != value:
            raise InputError(
                f"config.json says {name} {configuration[name]}; a Funnel is computed here with {value} only"
            )
    told = {**OMITTED, **configuration, "init_std": configuration.get("initializer_std")}
    if any(count != 1 for count in told.get("block_repeats") or ()):
        raise InputError(
            f"config.json says block_repeats {told['block_repeats']}; a Funnel is computed here with 1 only: each layer runs once"
        )
    names = {field.name for field in fields(FunnelConfig)} - {"exported_dropout"}
    chosen = {name: value for name, value in told.items() if name in names and value is not None}
    return FunnelConfig(**{**chosen, "block_sizes": tuple(chosen["block_sizes"])})


def logits(model: Funnel, params: Parameters, inputs: Inputs) -> jax.Array:
    """What transformers calls logits: float32 [B, L] of a discriminator, [B, L, vocabulary] of a generator."""
    hidden = model.encode(params, inputs)
    if "replaced" in model.heads:
        return model.replaced_logits(params, hidden)
    return model.vocabulary_logits(params, hidden)[..., : model.vocab_size]


FAMILY = Family(
    name="funnel",
    title="Funnel",
    heads=HEADS,
    make=Funnel,
    rules=rules,
    model_types=("funnel",),
    current_names=partial(with_current_names, "funnel"),
    not_parameters=("lm_head.weight",),  # a copy of the word table
    config_to_json=config_to_json,
    config_from_json=config_from_json,
    must_match=("block_sizes", "num_decoder_layers", "d_model", "n_head", "d_head", "d_inner", "layer_norm_eps"),
    auto_class=lambda heads: "AutoModelForPreTraining" if "replaced" in heads else "AutoModelForMaskedLM",
    logits=logits,
    layouts=("full_sentences", "sentence_pairs", "sentence_order"),
    zero_padding=True,
    shared_with_generator="funnel/embeddings",
    caveat="transformers fails on very short rows, with three blocks on those below 5 tokens, unless they are padded.",
    for_task=Funnel.for_task,
    class_prefix="Funnel",
)
