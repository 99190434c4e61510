"""ELECTRA without a projection behind the tables, both heads, as transformers computes it (with one, every family's tests show it);
sizes of published ones."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.tokenizer import SpecialIds
from pretrain.hugging_face.folder import read_configuration, read_model, write_folder
from pretrain.hugging_face.weights import from_hugging_face, to_hugging_face
from pretrain.models.bert.config import BertConfig
from pretrain.models.config import RowShape
from pretrain.models.electra.config import ElectraConfig
from pretrain.models.electra.family import FAMILY
from pretrain.models.electra.model import Electra
from pretrain.models.protocols import Compute, Inputs
from pretrain.recipe import TrainingRecipe
from pretrain.recipe_checks import check

VOCAB, LENGTH = 150, 21
SPECIAL = SpecialIds(pad=0, unk=1, cls=2, sep=3, mask=4)
DISCRIMINATOR, GENERATOR = frozenset({"replaced"}), frozenset({"vocabulary"})
SMALL = ElectraConfig(
    num_hidden_layers=2, hidden_size=32, embedding_size=16, num_attention_heads=2, intermediate_size=64,
    max_position_embeddings=24, initializer_range=0.2, pad_token_id=0,
)  # fmt: skip
EQUAL = ElectraConfig(**{**vars(SMALL), "embedding_size": 32})
EACH = pytest.mark.parametrize(
    ("config", "heads"),
    [(EQUAL, heads) for heads in (DISCRIMINATOR, GENERATOR)],
    ids=["discriminator", "generator"],
)


def drawn(config: ElectraConfig, heads: frozenset[str]) -> tuple[Electra, Any]:
    """A model whose biases and scales count."""
    model = Electra(config, VOCAB, heads, Compute())
    random = np.random.default_rng(1)
    params = jax.tree.map(
        lambda leaf: np.asarray(leaf + 0.1 * random.standard_normal(leaf.shape), np.float32),
        jax.device_get(jax.jit(model.init)(jax.random.key(0))),
    )
    tensors = to_hugging_face(params, FAMILY.rules(config, heads), VOCAB)  # cuts rows that are only padding
    return model, from_hugging_face(tensors, params, FAMILY.rules(config, heads), VOCAB)


def written(params: Any, config: ElectraConfig, heads: frozenset[str]) -> dict[str, np.ndarray]:
    return to_hugging_face(params, FAMILY.rules(config, heads), VOCAB)


@EACH
def test_logits_and_gradients_equal_transformers(config: ElectraConfig, heads: frozenset[str], tmp_path: Path) -> None:
    """Over rows with padding and two token types; nothing is missing and nothing random."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    model, params = drawn(config, heads)
    configuration = FAMILY.config_to_json(config, VOCAB, SPECIAL, heads)
    write_folder(tmp_path, written(params, config, heads), configuration)
    loader = getattr(transformers, FAMILY.auto_class(heads))
    theirs, info = loader.from_pretrained(tmp_path, output_loading_info=True)
    assert type(theirs).__name__ == configuration["architectures"][0]
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")), info

    random = np.random.default_rng(2)
    real = np.arange(LENGTH) < np.array([[LENGTH], [13], [8]])
    ids = np.where(real, random.integers(1, VOCAB, real.shape), 0)
    types = np.where(real & (np.arange(LENGTH) >= 5), 1, 0)
    labels = random.integers(0, 2 if heads == DISCRIMINATOR else VOCAB, real.shape)

    def loss(params: Any) -> tuple[jax.Array, jax.Array]:
        positions = jnp.broadcast_to(jnp.arange(LENGTH), ids.shape)
        inputs = Inputs(jnp.asarray(ids), jnp.asarray(real.astype(np.int32)), positions, jnp.asarray(types))
        logits = FAMILY.logits(model, params, inputs)
        if heads == DISCRIMINATOR:
            losses = jnp.where(labels == 1, jax.nn.softplus(-logits), jax.nn.softplus(logits))
        else:
            losses = -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[..., None], -1)[..., 0]
        return jnp.where(real, losses, 0).sum() / real.sum(), logits

    with jax.default_matmul_precision("highest"):
        (total, logits), gradients = jax.jit(jax.value_and_grad(loss, has_aux=True))(params)
    output = theirs.eval()(
        torch.tensor(ids), attention_mask=torch.tensor(real.astype(int)), token_type_ids=torch.tensor(types),
        labels=torch.tensor(labels if heads == DISCRIMINATOR else np.where(real, labels, -100)),
    )  # fmt: skip
    output.loss.backward()
    their_logits = output.logits.detach().numpy()
    assert logits.shape == their_logits.shape
    np.testing.assert_allclose(logits[real], their_logits[real], atol=1e-4 * their_logits.std())
    assert float(total) == pytest.approx(output.loss.item(), rel=1e-5)
    theirs_by_name = {name: parameter.grad.numpy() for name, parameter in theirs.named_parameters()}
    ours_by_name = written(gradients, config, heads)
    assert ours_by_name.keys() == theirs_by_name.keys()
    for name, gradient in ours_by_name.items():
        if "self.key.bias" not in name:  # zero: softmax does not see what all keys share
            difference = np.linalg.norm(gradient - theirs_by_name[name])
            assert difference < 1e-4 * np.linalg.norm(theirs_by_name[name]), name


@EACH
def test_import_and_export_are_exact_in_both_directions(
    config: ElectraConfig, heads: frozenset[str], tmp_path: Path
) -> None:
    """From parameters, and from a folder that transformers wrote."""
    model, params = drawn(config, heads)
    rules = FAMILY.rules(config, heads)
    jax.tree.map(
        np.testing.assert_array_equal, from_hugging_face(written(params, config, heads), params, rules, VOCAB), params
    )
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    told = FAMILY.config_to_json(config, VOCAB, SPECIAL, heads)
    torch.manual_seed(0)
    theirs = getattr(transformers, told["architectures"][0])(transformers.ElectraConfig(**told))
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(torch.randn_like(parameter))
    theirs.save_pretrained(tmp_path)
    stored = read_model(tmp_path, FAMILY, read_configuration(tmp_path, "it"), "it")
    assert stored.heads == heads
    dropouts = dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob"), 0.1)
    assert stored.config == ElectraConfig(**{**vars(config), **dropouts, "vocab_size": VOCAB})
    template = jax.eval_shape(model.init, jax.random.key(0))
    back = written(from_hugging_face(stored.tensors, template, rules, VOCAB), config, heads)
    of_file = load_file(tmp_path / "model.safetensors")
    of_file.pop("generator_lm_head.weight", None)
    assert back.keys() == of_file.keys()
    for name, tensor in back.items():
        np.testing.assert_array_equal(tensor, of_file[name], err_msg=name)


@EACH
def test_config_json_says_what_transformers_reads(config: ElectraConfig, heads: frozenset[str], tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    told = FAMILY.config_to_json(config, VOCAB, SPECIAL, heads)
    (tmp_path / "config.json").write_text(json.dumps(told))
    read = transformers.AutoConfig.from_pretrained(tmp_path)
    assert type(read).__name__ == "ElectraConfig"
    for name in told.keys() - {"torch_dtype", "position_embedding_type"}:
        assert getattr(read, name) == told[name], name
    assert ("summary_type" in told) == (heads == DISCRIMINATOR)


@pytest.mark.parametrize(
    ("config", "vocabulary", "parameters"),
    [
        (ElectraConfig(), 42_000, 117_706_752),  # kykim/electra-kor-base
        (
            ElectraConfig(embedding_size=128, hidden_size=256, num_attention_heads=4, intermediate_size=1024),
            35_000,
            None,
        ),
    ],
    ids=["base", "small"],
)
def test_parameters_are_as_many_as_published_and_as_drawn(
    config: ElectraConfig, vocabulary: int, parameters: int | None
) -> None:
    body = jax.eval_shape(Electra(config, vocabulary, frozenset(), Compute()).init, jax.random.key(0))
    padded = sum(leaf.size for leaf in jax.tree.leaves(body))
    counted = config.parameter_count(vocabulary, frozenset())
    assert counted == padded - (-vocabulary % 128) * config.embedding_size
    assert parameters in (None, counted)


@pytest.mark.parametrize(
    ("config", "hidden_share", "sizes"),
    [
        (ElectraConfig(), 1 / 3, (256, 4, 1024)),  # KoELECTRA base
        (ElectraConfig(), 0.33333, (256, 4, 1024)),  # as google-research/electra writes it
        (SMALL, 1.0, (32, 2, 128)),
        (SMALL, 0.25, (8, 1, 32)),
    ],
)
def test_the_generator_has_the_sizes_of_googles_rule(
    config: ElectraConfig, hidden_share: float, sizes: tuple[int, int, int]
) -> None:
    generator = config.generator(hidden_share, 0.5)
    assert (generator.hidden_size, generator.num_attention_heads, generator.intermediate_size) == sizes
    assert (generator.num_hidden_layers, generator.embedding_size) == (
        config.num_hidden_layers // 2,
        config.embedding_size,
    )


def test_a_generator_that_cannot_be_is_refused_by_its_flag() -> None:
    with pytest.raises(
        InputError,
        match=r"--training\.objective\.generator\.hidden-share 0\.3: .* 230 wide with 3 .* of the head size 64",
    ):
        ElectraConfig().generator(0.3, 1.0)
    with pytest.raises(InputError, match="model is a BertConfig, which has no generator"):
        BertConfig().generator(0.25, 1.0)
    with pytest.raises(InputError, match=r"model\.embedding-size 0: must be 1 or more"):
        check(TrainingRecipe(model=ElectraConfig(embedding_size=0)))


def test_flops_of_a_row_count_projection_and_heads() -> None:
    row = RowShape(length=16, target_length=0, vocabulary_size=VOCAB, predictions=3)
    bare = SMALL.flops_per_row(row, frozenset())
    assert bare - EQUAL.flops_per_row(row, frozenset()) == 6 * 16 * 32 * 16
    assert SMALL.flops_per_row(row, DISCRIMINATOR) - bare == 6 * 16 * (32 * 32 + 32)
    assert SMALL.flops_per_row(row, GENERATOR) - bare == 6 * 3 * (32 * 16 + 16 * VOCAB)
