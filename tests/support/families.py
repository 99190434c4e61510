"""A tiny model of each family: what the tests take that every family passes. A new family adds its line to FAMILIES."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from tiny_run import TINY, changed

from data_pipeline.contract.records import Layout
from data_pipeline.contract.storage import read_json, write_json
from data_pipeline.contract.tokenizer import SpecialIds, Tokenizer, hugging_face_files
from pretrain.hugging_face.folder import tokenizer_configuration, write_folder
from pretrain.hugging_face.weights import flatten, to_hugging_face
from pretrain.models.albert.config import AlbertConfig
from pretrain.models.bert.config import BertConfig
from pretrain.models.bert_shared.config import BertSharedConfig
from pretrain.models.config import ModelConfig, with_padding
from pretrain.models.core.layers import Parameters, put
from pretrain.models.electra.config import ElectraConfig
from pretrain.models.funnel.config import FunnelConfig
from pretrain.models.gpt2.config import GPT2Config
from pretrain.models.modernbert.config import ModernBertConfig
from pretrain.models.parameter_rules import rule_of
from pretrain.models.protocols import Compute, Model
from pretrain.models.registry import family_of
from pretrain.models.roberta.config import RobertaConfig
from pretrain.models.t5.config import T5Config
from pretrain.objectives.causal_lm.recipe import CausalLM
from pretrain.objectives.config import ObjectiveRecipe
from pretrain.objectives.masked_lm.recipe import MaskedLM
from pretrain.objectives.replaced_token.recipe import Generator, ReplacedToken
from pretrain.objectives.sequence_to_sequence.recipe import SequenceToSequence
from pretrain.recipe import TrainingRecipe

VOCAB = 50
SPECIAL = SpecialIds(pad=1, unk=3, cls=0, sep=2, mask=4)
"""KLUE's order for RoBERTa: a family that takes 0 for the padding is found out."""
PIECES = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]", *(chr(ord("가") + index) for index in range(VOCAB - 5))]
ENCODER = {"num_hidden_layers": 2, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
FUNNEL = {"num_decoder_layers": 1, "d_model": 16, "n_head": 2, "d_head": 8, "d_inner": 32}
T5 = {"num_layers": 2, "num_decoder_layers": 3, "d_model": 16, "d_kv": 4, "num_heads": 2, "d_ff": 32}
BERT = {"model_type": "bert"}


@dataclass(frozen=True)
class Tiny:
    """How a family is tested.

    - `config`: the sizes of its models in ../shared/facts/keys_5.23.0.json.
    - `exported`: the heads, with blanks between, of each class of transformers that an export names.
    - `objective`, `layout`: of the training tests.
    - `config_json`: what a config.json must say beside its model_type.
    - `variants`: of the config, by what tells them apart: exported too.
    """

    config: ModelConfig
    exported: tuple[str, ...] = ("vocabulary",)
    objective: ObjectiveRecipe = field(default_factory=MaskedLM)
    layout: Layout = "packed"
    config_json: Mapping[str, Any] = field(default_factory=dict, hash=False)
    variants: Mapping[str, ModelConfig] = field(default_factory=dict, hash=False)

    @property
    def recipe(self) -> TrainingRecipe:
        found: TrainingRecipe = changed(TINY, model=self.config, objective=self.objective)
        return found


FAMILIES = {
    "bert": Tiny(BertConfig(**ENCODER), ("vocabulary", "pair vocabulary"), layout="sentence_pairs"),
    "roberta": Tiny(RobertaConfig(**ENCODER, max_position_embeddings=512, type_vocab_size=2)),
    "electra": Tiny(
        ElectraConfig(**ENCODER, embedding_size=8),
        ("replaced", "vocabulary"),
        ReplacedToken(generator=Generator(0.5, 0.5)),
    ),
    "albert": Tiny(
        AlbertConfig(**ENCODER, embedding_size=8), ("vocabulary", "pair vocabulary"), layout="sentence_order"
    ),
    "funnel": Tiny(
        FunnelConfig(block_sizes=(1, 1), **FUNNEL),
        ("replaced", "vocabulary"),
        ReplacedToken(generator=Generator(1.0, 0.5)),  # heads that tensor parallelism can split
        layout="full_sentences",
    ),
    "gpt2": Tiny(GPT2Config(1, 16, 2), ("next_token",), CausalLM(), "causal"),
    "modernbert": Tiny(
        ModernBertConfig(**ENCODER, local_attention=8),
        variants={
            "of 4 layers": ModernBertConfig(
                **{**ENCODER, "num_hidden_layers": 4},
                global_attn_every_n_layers=2,
                local_attention=4,
                global_rope_theta=100.0,
                local_rope_theta=50.0,
            )
        },
    ),
    "bert_shared": Tiny(
        BertSharedConfig(**ENCODER),
        ("target",),
        SequenceToSequence(),
        "source_target",
        {"encoder": BERT, "decoder": {**BERT, "is_decoder": True, "add_cross_attention": True}},
    ),
    "t5": Tiny(
        T5Config(**T5),
        ("target",),
        SequenceToSequence(),
        "source_target",
        variants={"1.1": T5Config(**T5, feed_forward_proj="gated-gelu", tie_word_embeddings=False)},
    ),
}
EVERY_FAMILY = pytest.mark.parametrize("tiny", [pytest.param(tiny, id=name) for name, tiny in FAMILIES.items()])
TUNED = [name for name, tiny in FAMILIES.items() if family_of(tiny.config).for_task]
"""The families that are fine-tuned here."""
EVERY_TUNED_FAMILY = pytest.mark.parametrize("tiny", [pytest.param(FAMILIES[name], id=name) for name in TUNED])
EVERY_EXPORT = pytest.mark.parametrize(
    ("config", "heads"),
    [
        pytest.param(config, frozenset(heads.split()), id=f"{name}{variant and ' '}{variant} {heads}")
        for name, tiny in FAMILIES.items()
        for variant, config in {"": tiny.config, **tiny.variants}.items()
        for heads in tiny.exported
    ],
)


def drawn(config: ModelConfig, heads: frozenset[str]) -> tuple[Model, Parameters]:
    """A model whose biases and scales are random too, so that none of them can be lost without a difference."""
    family, config = family_of(config), with_padding(config, SPECIAL.pad)
    model, rules = family.make(config, VOCAB, heads, Compute()), family.rules(config, heads)
    random, params = np.random.default_rng(1), {}
    for path, leaf in flatten(jax.eval_shape(model.init, jax.random.key(0))):
        values = random.normal(float(path.endswith("scale")), 0.3, leaf.shape).astype(np.float32)
        rule = rule_of(path, rules)
        if rule.rows == "vocabulary":
            values[VOCAB:] = 0
        if rule.rows == "vocabulary" and rule.kind == "table" and family.zero_padding:
            values[SPECIAL.pad] = 0
        put(params, path, values)
    return model, params


def tensors_of(model: Model, params: Parameters) -> dict[str, np.ndarray]:
    """Parameters, or gradients, by Hugging Face's names."""
    return to_hugging_face(params, family_of(model.config).rules(model.config, model.heads), VOCAB)


def stored(folder: Path, model: Model, params: Parameters) -> Path:
    """The model's Hugging Face folder, with a tokenizer."""
    folder.mkdir(exist_ok=True)
    configuration = family_of(model.config).config_to_json(model.config, VOCAB, SPECIAL, model.heads)
    write_folder(folder, tensors_of(model, params), configuration)
    return with_tokenizer(folder, model.config)


def with_tokenizer(folder: Path, config: ModelConfig) -> Path:
    """The folder of a model with the files of a tokenizer, as an export has them."""
    for name, content in hugging_face_files(PIECES, lowercase=False).items():
        (folder / name).write_text(content, encoding="utf-8")
    settings = tokenizer_configuration(read_json(folder / "tokenizer_config.json") or {}, config, 32)
    write_json(folder / "tokenizer_config.json", settings)
    assert Tokenizer(folder).special == SPECIAL
    return folder
