"""ModernBERT as a family: the table of its parameters, and its config.json (transformers 4.x and 5.x: ModernBertForMaskedLM)."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_fields import flag
from data_pipeline.contract.tokenizer import SpecialIds
from pretrain.models.core.task_scores import label_rules, token_rules
from pretrain.models.encoder.hugging_face import head_rule, masked_lm_logits, rule
from pretrain.models.modernbert.config import ModernBertConfig
from pretrain.models.modernbert.model import CLASSIFIER, ModernBert
from pretrain.models.modernbert.tree import BEHIND_HEAD, GATED, HEADS, QKV
from pretrain.models.parameter_rules import Axis, Kind, ParameterRule, Rules
from pretrain.models.protocols import Family

CUSTOMARY_DROPOUT = 0.0
"""What ModernBERTs are fine-tuned with (the published config.json)."""
DROPOUTS = ("embedding_dropout", "attention_dropout", "mlp_dropout")
COMPUTED = {
    "hidden_activation": "gelu",
    "classifier_activation": "gelu",
    "attention_bias": False,
    "mlp_bias": False,
    "norm_bias": False,
    "classifier_bias": False,
    "decoder_bias": True,
    "tie_word_embeddings": True,
}
"""Fields of a config.json that must be so, and are where they are missing."""
KINDS = {"global": "full_attention", "local": "sliding_attention"}
"""What transformers 5 calls layers that see all, and those with a window."""
NOT_OF_TRANSFORMERS = ("attention_gate", "relative_buckets")
"""Fields that change what is computed, and that no class of transformers has."""
OURS_ALONE = ("attention_out_dropout", "exported_dropout", "initializer", *NOT_OF_TRANSFORMERS)
"""Fields that no config.json has."""


def rules(config: ModernBertConfig, heads: frozenset[str]) -> Rules:
    """The table of a ModernBERT's parameters, split as the encoder's (`pretrain.models.encoder.hugging_face.encoder_rules`)."""
    vocabulary = (head_rule("decoder/bias", "decoder.bias", "bias", "tensor", rows="vocabulary"),)
    head = (
        head_rule("head/dense/kernel", "head.dense.weight", "matrix", "fsdp"),
        head_rule("head/norm/scale", "head.norm.weight", "norm"),
    )
    # Under names of ours: no class of transformers has them.
    relative = (
        rule("model/relative_positions/embedding", "model.relative_positions.weight", "table"),
        rule("model/relative_norm/scale", "model.relative_norm.weight", "norm"),
    )
    others = config.num_hidden_layers > 1
    return (
        rule(
            "model/embeddings/tok_embeddings/embedding",
            "model.embeddings.tok_embeddings.weight",
            "table",
            ("tensor", "fsdp"),
            group="table",
            rows="vocabulary",
        ),
        rule("model/embeddings/norm/scale", "model.embeddings.norm.weight", "norm"),
        *_layer_rules("first_layer", stacked=0, gated=config.attention_gate),
        *(_layer_rules("layers", stacked=1, gated=config.attention_gate) if others else ()),
        *(relative if config.relative_buckets else ()),
        rule("model/final_norm/scale", "model.final_norm.weight", "norm"),
        *(head if heads & BEHIND_HEAD else ()),
        *(vocabulary if "vocabulary" in heads else ()),
        *(label_rules(CLASSIFIER) if heads & (BEHIND_HEAD - HEADS) else ()),
        *token_rules(heads - BEHIND_HEAD, "model"),
    )


def _layer_rules(path: str, *, stacked: int, gated: bool) -> Rules:
    """The rows of the first layer, or of the others, of which the first is Hugging Face's number 1.

    - `gated`: whether attention has a gate, under a name of ours.
    """

    def layer(pattern: str, name: str, kind: Kind, *axes: Axis, **further: Any) -> ParameterRule:
        theirs = f"model.layers.{{layer}}.{name}" if stacked else f"model.layers.0.{name}"
        return rule(f"model/{path}/{pattern}", theirs, kind, *axes, stacked=stacked, first_layer=stacked, **further)

    def fused(path: str, name: str, parts: tuple[str, ...]) -> Rules:
        return tuple(
            layer(f"{path}/{part}/kernel", name, "matrix", "fsdp", "tensor", fused=(index, len(parts)))
            for index, part in enumerate(parts)
        )

    return (
        *((layer("attn_norm/scale", "attn_norm.weight", "norm"),) if stacked else ()),
        *fused("attn/Wqkv", "attn.Wqkv.weight", QKV),
        layer("attn/Wo/kernel", "attn.Wo.weight", "matrix", "tensor", "fsdp"),
        *((layer("attn/Wg/kernel", "attn.Wg.weight", "matrix", "fsdp", "tensor"),) if gated else ()),
        layer("mlp_norm/scale", "mlp_norm.weight", "norm"),
        *fused("mlp/Wi", "mlp.Wi.weight", GATED),
        layer("mlp/Wo/kernel", "mlp.Wo.weight", "matrix", "tensor", "fsdp"),
    )


def with_current_names(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Tensors under today's names: those of a bare model lack the beginning."""
    bare = not any(name.startswith("model.") for name in tensors)
    return {f"model.{name}" if bare else name: tensor for name, tensor in tensors.items()}


def config_to_json(
    config: ModernBertConfig, vocab_size: int, special: SpecialIds, heads: frozenset[str]
) -> dict[str, Any]:
    """The content of config.json, with the dropouts of fine-tuning. What kind each layer is, and the bases of rotary positions, are told in
    transformers 4's words and in those of 5. Raises InputError for what no class of transformers computes."""
    for field in NOT_OF_TRANSFORMERS:
        if value := getattr(config, field):
            raise InputError(
                f"{flag('training', f'model.{field}')} {value}: no class of transformers has it; such a model is trained, resumed and inspected here, and "
                "neither exported nor fine-tuned"
            )
    dropout = CUSTOMARY_DROPOUT if config.exported_dropout is None else config.exported_dropout
    bases = {"global": config.global_rope_theta, "local": config.local_rope_theta}
    kinds = ["global" if config.is_global(layer) else "local" for layer in range(config.num_hidden_layers)]
    return {
        "architectures": ["ModernBertForMaskedLM"],
        "model_type": "modernbert",
        "vocab_size": vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "max_position_embeddings": config.max_position_embeddings,
        "local_attention": config.local_attention,
        "global_attn_every_n_layers": config.global_attn_every_n_layers,
        "layer_types": [KINDS[kind] for kind in kinds],
        **{f"{kind}_rope_theta": base for kind, base in bases.items()},
        "rope_parameters": {KINDS[kind]: {"rope_type": "default", "rope_theta": base} for kind, base in bases.items()},
        "norm_eps": config.norm_eps,
        "initializer_range": config.initializer_range,
        **dict.fromkeys(DROPOUTS, dropout),
        "classifier_pooling": config.classifier_pooling,
        **COMPUTED,
        "pad_token_id": special.pad,
        "bos_token_id": special.cls,
        "eos_token_id": special.sep,
        "cls_token_id": special.cls,
        "sep_token_id": special.sep,
        "torch_dtype": "float32",
    }


def config_from_json(configuration: Mapping[str, Any]) -> ModernBertConfig:
    """The config of a config.json; its dropouts are those of fine-tuning. Raises InputError for what is not computed here."""
    for name, value in COMPUTED.items():
        if configuration.get(name, value) != value:
            raise InputError(
                f"config.json says {name} {configuration[name]}; a ModernBERT is computed here with {value} only"
            )
    names = {field.name for field in fields(ModernBertConfig)}.difference(OURS_ALONE)
    told = {name: value for name, value in configuration.items() if name in names}
    told |= {f"{kind}_rope_theta": base for kind, base in _bases(configuration).items()}
    if configuration.get("layer_types"):
        told["global_attn_every_n_layers"] = _period(configuration)
    if dropout := configuration.get("attention_dropout"):
        told["attention_out_dropout"] = dropout
    return ModernBertConfig(**{"attention_out_dropout": 0.0, **told})


def _bases(configuration: Mapping[str, Any]) -> dict[str, float]:
    """The bases of rotary positions that transformers 5 wrote, by kind of layer; none where it did not."""
    bases = {}
    for kind, theirs in KINDS.items():
        told = (configuration.get("rope_parameters") or {}).get(theirs) or {}
        if told.get("rope_type", "default") != "default":
            raise InputError(
                f"config.json says rope_parameters.{theirs}.rope_type {told['rope_type']}; a ModernBERT is computed here with default "
                "only"
            )
        if "rope_theta" in told:
            bases[kind] = told["rope_theta"]
    return bases


def _period(configuration: Mapping[str, Any]) -> int:
    """The `global_attn_every_n_layers` that gives each layer the kind which `layer_types` names."""
    told = configuration["layer_types"]
    wanted = configuration.get("global_attn_every_n_layers", ModernBertConfig.global_attn_every_n_layers)
    for period in (wanted, *range(1, len(told) + 1)):
        if told == [KINDS["local" if layer % period else "global"] for layer in range(len(told))]:
            return int(period)
    raise InputError(
        f"config.json says layer_types {' '.join(map(str, told))}; a ModernBERT is computed here with {KINDS['global']} in the "
        f"first layer and each n-th further on, and {KINDS['local']} between, only"
    )


FAMILY = Family(
    name="modernbert",
    title="ModernBERT",
    heads=HEADS,
    make=ModernBert,
    rules=rules,
    model_types=("modernbert",),
    current_names=with_current_names,
    not_parameters=("decoder.weight",),  # a copy of the word table
    config_to_json=config_to_json,
    config_from_json=config_from_json,
    must_match=(
        "num_hidden_layers",
        "hidden_size",
        "num_attention_heads",
        "intermediate_size",
        "global_attn_every_n_layers",
        "local_attention",
        "norm_eps",
        *NOT_OF_TRANSFORMERS,
    ),
    auto_class=lambda heads: "AutoModelForMaskedLM",
    logits=masked_lm_logits,
    layouts=("packed", "full_sentences"),
    for_task=ModernBert.for_task,
    class_prefix="ModernBert",
    converts=True,
)
