"""GPT-2's files: what is beside the parameters, config.json. That it computes what transformers does, every family's tests show."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.tokenizer import SpecialIds
from pretrain.hugging_face.folder import read_configuration, read_model
from pretrain.hugging_face.weights import from_hugging_face, to_hugging_face
from pretrain.models.gpt2.config import GPT2Config
from pretrain.models.gpt2.family import FAMILY, config_from_json, config_to_json
from pretrain.models.gpt2.model import GPT2, HEADS
from pretrain.models.protocols import Compute

CONFIG = GPT2Config(
    n_layer=2, n_embd=32, n_head=4, n_positions=40, embd_pdrop=0.0, resid_pdrop=0.0, initializer_range=0.15
)
VOCAB, SPECIAL = 150, SpecialIds(0, 1, 2, 3, 4)
MODEL = GPT2(CONFIG, VOCAB, HEADS, Compute())


def drawn() -> Any:
    """Parameters whose biases and scales are random too, so that none of them can be lost without a difference."""
    random = np.random.default_rng(1)

    def draw(path: tuple[Any, ...], leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        return (random.normal(0, CONFIG.initializer_range, leaf.shape) + (path[-1].key == "scale")).astype(np.float32)

    params = jax.tree.map_with_path(draw, jax.eval_shape(MODEL.init, jax.random.key(0)))
    params["transformer"]["wte"]["embedding"][VOCAB:] = 0
    return params


def written(params: Any) -> dict[str, np.ndarray]:
    return to_hugging_face(params, FAMILY.rules(CONFIG, HEADS), VOCAB)


def read(tensors: Mapping[str, np.ndarray], config: GPT2Config = CONFIG) -> Any:
    template = jax.eval_shape(GPT2(config, VOCAB, HEADS, Compute()).init, jax.random.key(0))
    return from_hugging_face(FAMILY.current_names(tensors), template, FAMILY.rules(config, HEADS), VOCAB)


def test_a_folder_that_transformers_wrote_is_read_and_written_tensor_for_tensor(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    sizes = {"n_layer": 3, "n_embd": 24, "n_head": 2, "n_inner": 40, "n_positions": 17, "vocab_size": VOCAB}
    torch.manual_seed(0)
    theirs = transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, attn_pdrop=0.3))
    theirs.save_pretrained(tmp_path / "whole")
    theirs.transformer.save_pretrained(tmp_path / "bare")
    for name in ("whole", "bare"):
        configuration = read_configuration(tmp_path / name, name)
        stored = read_model(tmp_path / name, FAMILY, configuration, name)
        assert stored.config == GPT2Config(**sizes, attn_pdrop=0.3)
        assert stored.heads == HEADS
        again = to_hugging_face(read(stored.tensors, stored.config), FAMILY.rules(stored.config, HEADS), VOCAB)
        file = load_file(tmp_path / name / "model.safetensors")
        assert {key.removeprefix("transformer.") for key in again} == {
            key.removeprefix("transformer.") for key in file.keys() - {"lm_head.weight"}
        }
        for key, tensor in file.items():
            beginning = "" if key.startswith("transformer.") else "transformer."
            np.testing.assert_array_equal(again[beginning + key], tensor)


def test_the_causal_masks_of_older_files_and_the_tied_copy_are_no_parameters() -> None:
    params = drawn()
    further = {"lm_head.weight": 0, "transformer.h.0.attn.bias": 0, "transformer.h.0.attn.masked_bias": 0}
    back = read({**written(params), **{name: np.zeros(1, np.float32) for name in further}})
    jax.tree.map(np.testing.assert_array_equal, back, params)
    assert "transformer.h.1.attn.c_attn.bias" in FAMILY.current_names(written(params))


def test_config_json_says_what_transformers_reads_and_comes_back() -> None:
    transformers = pytest.importorskip("transformers")
    told = config_to_json(CONFIG, VOCAB, replace(SPECIAL, pad=2, sep=7), HEADS)
    theirs = transformers.GPT2Config(**told)
    for name in told.keys() - {"architectures", "model_type", "torch_dtype"}:
        assert getattr(theirs, name) == told[name], name
    assert (theirs.bos_token_id, theirs.eos_token_id, theirs.pad_token_id) == (7, 7, 2)
    assert {theirs.embd_pdrop, theirs.resid_pdrop, theirs.attn_pdrop} == {0.1}
    back = replace(CONFIG, embd_pdrop=0.1, resid_pdrop=0.1, attn_pdrop=0.1, vocab_size=VOCAB)
    assert config_from_json(told) == back


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("activation_function", "relu"),
        ("scale_attn_by_inverse_layer_idx", True),
        ("add_cross_attention", True),
        ("tie_word_embeddings", False),
    ],
)
def test_what_is_not_computed_here_is_refused(field: str, value: Any) -> None:
    told = config_to_json(CONFIG, VOCAB, SPECIAL, HEADS)
    with pytest.raises(InputError, match=f"config.json says {field} {value}; a GPT-2 is computed here with"):
        config_from_json({**told, field: value})


def test_the_published_size_has_its_parameters() -> None:
    """kykim/gpt3-kor-small_based_on_gpt2: 118.9M."""
    config = GPT2Config(n_positions=2048)
    shapes = jax.eval_shape(GPT2(config, 42_000, HEADS, Compute()).init, jax.random.key(0))
    tensors = sum(leaf.size for leaf in jax.tree.leaves(shapes))
    padding = -42_000 % 128 * config.n_embd
    assert config.parameter_count(42_000, HEADS) == tensors - padding == 118_884_864
