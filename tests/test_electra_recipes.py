"""The recipes of published ELECTRAs: the sizes that their pages state, and the figures of their own docstrings."""

import ast
import importlib
from pathlib import Path

import pytest

from data_pipeline.contract.records import RecordsHeader
from data_pipeline.contract.tokenizer import SpecialIds
from pretrain.job import objective_of
from pretrain.models.electra.family import FAMILY
from pretrain.recipe_checks import check

TPU_V3_8 = 8 * 61.5e12
MFU = 0.45
PUBLISHED = {
    "electra_kor_base": (42_000, 512, (768, 768, 12), (256, 4)),
    "koelectra_base_v3": (35_000, 512, (768, 768, 12), (256, 4)),
    "koelectra_small_v3": (35_000, 512, (128, 256, 4), (256, 4)),
    "kr_electra": (30_000, 128, (768, 768, 12), (256, 4)),
}
"""Entries of the vocabulary, tokens a row, (embedding_size, hidden_size, heads) of the discriminator, (hidden_size, heads) of the generator."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_recipe_has_the_published_sizes_and_says_what_they_amount_to(name: str) -> None:
    module = importlib.import_module(f"configs.{name}")
    recipe, data = module.training, module.data
    vocabulary, length, discriminator, generator = PUBLISHED[name]
    assert (data.vocabulary.size, data.examples.length, data.word_unit) == (vocabulary, length, "token")
    header = RecordsHeader(
        layout=data.examples.layout, length=length, vocabulary_size=vocabulary, token_dtype="uint16", pad_id=0, unk_id=1,
        cls_id=2, sep_id=3, mask_id=4, reserved_ids=tuple(range(5)), word_unit="token", tokenizer_sha256="", rows={},
        tokens={}, fingerprint="",
    )  # fmt: skip
    check(recipe)
    objective = objective_of(recipe, header)
    models = objective.parts.models
    first, second = models["discriminator"].config, models["generator"].config
    assert (first.embedding_size, first.hidden_size, first.num_attention_heads) == discriminator  # type: ignore[attr-defined]
    assert (second.hidden_size, second.num_attention_heads) == generator  # type: ignore[attr-defined]
    assert (first.num_hidden_layers, second.num_hidden_layers) == (12, 12)  # type: ignore[attr-defined]
    assert objective.weights == {"generator": 1.0, "discriminator": 50.0}

    flops = recipe.global_batch_size * objective.flops_per_row()
    docstring = ast.get_docstring(ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))) or ""
    for figure in (
        f"{first.parameter_count(vocabulary, frozenset({'replaced'})):,} parameters",
        f"{objective.parts.parameter_count():,} with the generator",
        f"{flops:.1e} FLOPs a step".replace("e+", "e"),
        f"{flops * recipe.max_steps / (TPU_V3_8 * MFU) / 86_400:.1f} days on a v3-8",
    ):
        assert figure in docstring

    told = FAMILY.config_to_json(first, vocabulary, SpecialIds(0, 1, 2, 3, 4), frozenset({"replaced"}))
    published = {
        "embedding_size": discriminator[0],
        "layer_norm_eps": 1e-12,
        "hidden_dropout_prob": 0.1,
        "type_vocab_size": 2,
    }
    summary = {"summary_type": "first", "summary_activation": "gelu", "summary_use_proj": True}
    assert {**told, **published, **summary, "max_position_embeddings": 512, "hidden_act": "gelu"} == told
