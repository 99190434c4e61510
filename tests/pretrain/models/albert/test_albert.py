"""What is ALBERT's own: one layer for all, its published sizes and config.json, what it refuses, how its heads are dropped."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from families import FAMILIES, SPECIAL, VOCAB
from matrix_products import multiply_adds
from tiny_run import TINY, changed
from tuned_models import HEADS as TASKS
from tuned_models import subject_of

from data_pipeline.contract.errors import InputError
from pretrain.models.albert.config import AlbertConfig
from pretrain.models.albert.family import FAMILY
from pretrain.models.albert.model import HEADS, Albert
from pretrain.models.config import RowShape
from pretrain.models.protocols import Compute, Inputs
from pretrain.models.task_heads import task_to_json
from pretrain.recipe_checks import check

CONFIG = FAMILIES["albert"].config
assert isinstance(CONFIG, AlbertConfig)
MASKED_LM = frozenset({"vocabulary"})
ROW = jax.ShapeDtypeStruct((1, 16), jnp.int32)
PUBLISHED = {
    "architectures": ["AlbertForMaskedLM"], "attention_probs_dropout_prob": 0, "bos_token_id": 2, "classifier_dropout_prob": 0.1,
    "down_scale_factor": 1, "embedding_size": 128, "eos_token_id": 3, "gap_size": 0, "hidden_act": "gelu_new",
    "hidden_dropout_prob": 0, "hidden_size": 768, "initializer_range": 0.02, "inner_group_num": 1, "intermediate_size": 3072,
    "layer_norm_eps": 1e-12, "max_position_embeddings": 512, "model_type": "albert", "net_structure_type": 0,
    "num_attention_heads": 12, "num_hidden_groups": 1, "num_hidden_layers": 12, "num_memory_blocks": 0, "pad_token_id": 0,
    "type_vocab_size": 2, "vocab_size": 30000,
}  # fmt: skip
"""The config.json of albert/albert-base-v2."""


@pytest.mark.parametrize(("remat", "unroll"), [("none", 1), ("none", 3), ("full", 1)])
def test_the_shared_layer_is_kept_once_and_its_gradients_add_up_in_float32(remat: str, unroll: int) -> None:
    """No array of the step's program has a parameter's shape once for each layer, and no sum of such a shape is in bfloat16."""
    layers, hidden, inner = 3, 24, 40
    config = replace(CONFIG, num_hidden_layers=layers, hidden_size=hidden, intermediate_size=inner)
    compute = Compute(compute_dtype="bfloat16", remat=remat, scan_unroll=unroll)
    model = Albert(config, VOCAB, MASKED_LM, compute)

    def loss(params: Any, row: jax.Array) -> jax.Array:
        return model.encode(params, Inputs(row, row, row, row)).astype(jnp.float32).sum()

    params = jax.eval_shape(model.init, jax.random.key(0))
    of_layer = {leaf.shape for leaf in jax.tree.leaves(params["albert"]["encoder"]["layer"])}
    assert of_layer == {(hidden,), (inner,), (hidden, hidden), (hidden, inner), (inner, hidden)}
    program = jax.jit(jax.grad(loss)).lower(params, ROW).as_text()
    shapes = {"x".join(map(str, shape)) for shape in of_layer}
    assert not re.findall(rf"tensor<{layers}x(?:{'|'.join(shapes)})x\w+>", program)
    matrices = [shape for shape in shapes if "x" in shape]
    sums = re.findall(rf"stablehlo\.add .*: tensor<(?:{'|'.join(matrices)})x(\w+)>", program)
    assert len(sums) >= 6
    assert set(sums) == {"f32"}


def test_more_layers_have_no_more_parameters() -> None:
    deep = replace(CONFIG, num_hidden_layers=24)
    assert deep.parameter_count(VOCAB, HEADS) == CONFIG.parameter_count(VOCAB, HEADS)
    model = Albert(deep, VOCAB, HEADS, Compute())
    shapes = jax.tree.leaves(jax.eval_shape(model.init, jax.random.key(0))["albert"])
    padding = 128 - VOCAB
    assert sum(leaf.size for leaf in shapes) - padding * CONFIG.embedding_size == CONFIG.parameter_count(VOCAB, HEADS)


def test_the_published_base_has_its_size() -> None:
    assert AlbertConfig().parameter_count(30_000, HEADS) == 11_683_584


@pytest.mark.parametrize("width", [CONFIG.embedding_size, CONFIG.hidden_size])
def test_the_flops_of_a_row_are_its_products_counted_one_by_one(width: int) -> None:
    """Of the forward pass in its jaxpr, times three; each layer's count, though they share their parameters."""
    config = replace(CONFIG, embedding_size=width)
    row = RowShape(length=16, target_length=0, vocabulary_size=128, predictions=3)
    model = Albert(config, 128, MASKED_LM, Compute())

    def forward(params: Any, tokens: jax.Array) -> jax.Array:
        hidden = model.encode(params, Inputs(tokens, tokens, tokens, tokens))
        return model.vocabulary_logits(params, hidden[:, : row.predictions])

    params = jax.eval_shape(model.init, jax.random.key(0))
    counted = multiply_adds(jax.make_jaxpr(forward)(params, ROW).jaxpr)
    assert config.flops_per_row(row, MASKED_LM) == 3 * 2 * counted


def test_a_published_config_json_is_read_as_it_is_written() -> None:
    config = FAMILY.config_from_json(PUBLISHED)
    assert config == AlbertConfig(pad_token_id=0, vocab_size=30_000)
    special = replace(SPECIAL, pad=0, cls=2, sep=3)
    written = FAMILY.config_to_json(config, 30_000, special, MASKED_LM)
    of_older_code = (
        "classifier_dropout_prob",
        "down_scale_factor",
        "gap_size",
        "net_structure_type",
        "num_memory_blocks",
    )
    assert written.items() >= {name: value for name, value in PUBLISHED.items() if name not in of_older_code}.items()


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        (
            "num_hidden_groups",
            2,
            "config.json says num_hidden_groups 2; an ALBERT is computed here with 1 only: one layer",
        ),
        ("inner_group_num", 2, "config.json says inner_group_num 2; an ALBERT is computed here with 1 only: one layer"),
        ("hidden_act", "gelu", "config.json says hidden_act gelu; ALBERT is computed here with gelu_new only"),
    ],
)
def test_what_is_not_computed_here_is_refused_when_it_is_read(field: str, value: Any, words: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(words)}"):
        FAMILY.config_from_json({**PUBLISHED, field: value})


@pytest.mark.parametrize("field", ["num_hidden_groups", "inner_group_num"])
def test_a_recipe_with_other_groups_is_refused(field: str) -> None:
    with pytest.raises(
        InputError, match=f"^--training.model.{field.replace('_', '-')} 2: must be 1: an ALBERT has one layer here"
    ):
        check(changed(TINY, model=replace(CONFIG, **{field: 2})))


@pytest.mark.parametrize("exported", [None, 0.2])
def test_an_export_names_no_dropout_unless_the_recipe_does(exported: float | None) -> None:
    config = replace(CONFIG, hidden_dropout_prob=0.1, exported_dropout=exported)
    told = FAMILY.config_to_json(config, VOCAB, SPECIAL, HEADS)
    assert told["hidden_dropout_prob"] == told["attention_probs_dropout_prob"] == (exported or 0)


def test_the_dropout_of_a_head_has_transformers_name_for_it(tmp_path: Path) -> None:
    """And is transformers' 0.1 where none is named: null is refused there."""
    head = TASKS["classes"]
    subject = subject_of(CONFIG, head, tmp_path)
    assert subject.configuration["classifier_dropout_prob"] == head.dropout == 0.5
    assert "classifier_dropout" not in subject.configuration
    assert "classifier_dropout_prob" not in task_to_json(replace(head, dropout=None), "Albert", FAMILY.task_dropout)
    assert subject_of(CONFIG, replace(head, dropout=None), tmp_path).model.task_dropout == 0.1  # type: ignore[attr-defined]
