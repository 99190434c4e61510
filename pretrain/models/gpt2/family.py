"""GPT-2 as a family: the table of its parameters, and its config.json (transformers 4.x and 5.x: GPT2LMHeadModel)."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import jax
import numpy as np

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.tokenizer import SpecialIds
from pretrain.models.core.layers import Parameters
from pretrain.models.core.task_scores import label_rules, token_rules
from pretrain.models.gpt2.config import GPT2Config
from pretrain.models.gpt2.model import GPT2, HEADS, QKV, SCORE
from pretrain.models.parameter_rules import Axis, Kind, ParameterRule, Rules
from pretrain.models.protocols import Family, Inputs

CUSTOMARY_DROPOUT = 0.1
"""What GPT-2s are trained and fine-tuned with (the published config.json)."""
DROPOUTS = ("embd_pdrop", "resid_pdrop", "attn_pdrop")
COMPUTED = {
    "activation_function": "gelu_new",
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "add_cross_attention": False,
    "tie_word_embeddings": True,
}
"""Fields of a config.json that must be so, and are where they are missing."""


def rules(config: GPT2Config, heads: frozenset[str]) -> Rules:
    """The table of a GPT-2's parameters, split as the encoder's (`pretrain.models.encoder.hugging_face.encoder_rules`).

    Hugging Face's Conv1D keeps matrices as [inputs, outputs], as we do.
    """

    def layer(pattern: str, name: str, kind: Kind, *axes: Axis, **further: Any) -> ParameterRule:
        theirs = f"transformer.h.{{layer}}.{name}"
        return ParameterRule(f"transformer/h/{pattern}", kind, axes, stacked=1, hugging_face=theirs, **further)

    def into_attention(index: int, name: str) -> Rules:
        pattern, fused = f"attn/c_attn/{name}", (index, len(QKV))
        return (
            layer(f"{pattern}/kernel", "attn.c_attn.weight", "matrix", "fsdp", "tensor", fused=fused),
            layer(f"{pattern}/bias", "attn.c_attn.bias", "bias", "tensor", fused=fused),
        )

    def table(name: str, *axes: Axis, **further: Any) -> ParameterRule:
        theirs = f"transformer.{name}.weight"
        return ParameterRule(
            f"transformer/{name}/embedding", "table", axes, group="table", hugging_face=theirs, **further
        )

    return (
        table("wte", ("tensor", "fsdp"), rows="vocabulary"),
        table("wpe", rows="positions"),
        *(rule for index, name in enumerate(QKV) for rule in into_attention(index, name)),
        layer("attn/c_proj/kernel", "attn.c_proj.weight", "matrix", "tensor", "fsdp"),
        layer("attn/c_proj/bias", "attn.c_proj.bias", "bias"),
        layer("mlp/c_fc/kernel", "mlp.c_fc.weight", "matrix", "fsdp", "tensor"),
        layer("mlp/c_fc/bias", "mlp.c_fc.bias", "bias", "tensor"),
        layer("mlp/c_proj/kernel", "mlp.c_proj.weight", "matrix", "tensor", "fsdp"),
        layer("mlp/c_proj/bias", "mlp.c_proj.bias", "bias"),
        layer("(ln_1|ln_2)/scale", r"\1.weight", "norm"),
        layer("(ln_1|ln_2)/bias", r"\1.bias", "norm"),
        ParameterRule("transformer/ln_f/scale", "norm", hugging_face="transformer.ln_f.weight"),
        ParameterRule("transformer/ln_f/bias", "norm", hugging_face="transformer.ln_f.bias"),
        *(label_rules(SCORE, biased=False) if "classifier" in heads else ()),
        *token_rules(heads, "transformer"),
    )


def with_current_names(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Tensors under today's names: those of a bare model lack the beginning, and older files hold the causal masks as well."""
    bare = not any(name.startswith("transformer.") for name in tensors)
    return {
        f"transformer.{name}" if bare and name != "lm_head.weight" else name: tensor
        for name, tensor in tensors.items()
        if not name.endswith((".attn.bias", ".attn.masked_bias"))
    }


def config_to_json(config: GPT2Config, vocab_size: int, special: SpecialIds, heads: frozenset[str]) -> dict[str, Any]:
    """The content of config.json, with the dropouts of fine-tuning. A text begins after [SEP] and ends with it, as LMkor's."""
    dropout = CUSTOMARY_DROPOUT if config.exported_dropout is None else config.exported_dropout
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": vocab_size,
        "n_layer": config.n_layer,
        "n_embd": config.n_embd,
        "n_head": config.n_head,
        "n_inner": config.n_inner,
        "n_positions": config.n_positions,
        **dict.fromkeys(DROPOUTS, dropout),
        "layer_norm_epsilon": config.layer_norm_epsilon,
        "initializer_range": config.initializer_range,
        **COMPUTED,
        **special_tokens(special),
        "torch_dtype": "float32",
    }


def special_tokens(special: SpecialIds) -> dict[str, Any]:
    """Ids that text begins with, ends with and is padded with: the content of generation_config.json."""
    return {"bos_token_id": special.sep, "eos_token_id": special.sep, "pad_token_id": special.pad}


def config_from_json(configuration: Mapping[str, Any]) -> GPT2Config:
    """The config of a config.json; its dropouts are those of fine-tuning. Raises InputError for what is not computed here."""
    for name, value in COMPUTED.items():
        if configuration.get(name, value) != value:
            raise InputError(
                f"config.json says {name} {configuration[name]}; a GPT-2 is computed here with {value} only"
            )
    names = {field.name for field in fields(GPT2Config)} - {"exported_dropout"}
    return GPT2Config(**{name: value for name, value in configuration.items() if name in names})


def causal_lm_logits(model: GPT2, params: Parameters, inputs: Inputs) -> jax.Array:
    """What AutoModelForCausalLM calls logits: float32 [B, L, vocabulary]."""
    return model.next_token_logits(params, model.encode(params, inputs))[..., : model.vocab_size]


FAMILY = Family(
    name="gpt2",
    title="GPT-2",
    heads=HEADS,
    make=GPT2,
    rules=rules,
    model_types=("gpt2",),
    current_names=with_current_names,
    not_parameters=("lm_head.weight",),  # a copy of the word table
    config_to_json=config_to_json,
    config_from_json=config_from_json,
    must_match=("n_layer", "n_embd", "n_head", "layer_norm_epsilon"),
    auto_class=lambda heads: "AutoModelForCausalLM",
    logits=causal_lm_logits,
    layouts=("causal",),
    template=("sep", "text"),
    generation_config=special_tokens,
    for_task=GPT2.for_task,
    class_prefix="GPT2",
)
