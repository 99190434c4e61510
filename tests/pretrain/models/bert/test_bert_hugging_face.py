"""Parity with transformers: names, logits, gradients, round trip, config.json."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.tokenizer import SPECIAL_TOKENS, SpecialIds, hugging_face_files
from pretrain.hugging_face.folder import write_folder
from pretrain.hugging_face.weights import from_hugging_face, to_hugging_face
from pretrain.models.bert.config import BertConfig
from pretrain.models.bert.family import FAMILY
from pretrain.models.bert.model import HEADS, Bert
from pretrain.models.core.layers import Parameters
from pretrain.models.protocols import Compute, Inputs
from pretrain.subject import load_subject

CONFIG = BertConfig(
    num_hidden_layers=2,
    hidden_size=32,
    num_attention_heads=4,
    intermediate_size=64,
    max_position_embeddings=40,
    hidden_dropout_prob=0.0,
    initializer_range=0.15,
)
VOCAB, SPECIAL = 150, SpecialIds(0, 1, 2, 3, 4)

HIDDEN, INNER, POSITIONS = 32, 64, 40

LAYER = {
    "attention.self.query.weight": (HIDDEN, HIDDEN),
    "attention.self.query.bias": (HIDDEN,),
    "attention.self.key.weight": (HIDDEN, HIDDEN),
    "attention.self.key.bias": (HIDDEN,),
    "attention.self.value.weight": (HIDDEN, HIDDEN),
    "attention.self.value.bias": (HIDDEN,),
    "attention.output.dense.weight": (HIDDEN, HIDDEN),
    "attention.output.dense.bias": (HIDDEN,),
    "attention.output.LayerNorm.weight": (HIDDEN,),
    "attention.output.LayerNorm.bias": (HIDDEN,),
    "intermediate.dense.weight": (INNER, HIDDEN),
    "intermediate.dense.bias": (INNER,),
    "output.dense.weight": (HIDDEN, INNER),
    "output.dense.bias": (HIDDEN,),
    "output.LayerNorm.weight": (HIDDEN,),
    "output.LayerNorm.bias": (HIDDEN,),
}
MASKED_LM = {
    "bert.embeddings.word_embeddings.weight": (VOCAB, HIDDEN),
    "bert.embeddings.position_embeddings.weight": (POSITIONS, HIDDEN),
    "bert.embeddings.token_type_embeddings.weight": (2, HIDDEN),
    "bert.embeddings.LayerNorm.weight": (HIDDEN,),
    "bert.embeddings.LayerNorm.bias": (HIDDEN,),
    **{f"bert.encoder.layer.{i}.{name}": shape for i in range(2) for name, shape in LAYER.items()},
    "cls.predictions.bias": (VOCAB,),
    "cls.predictions.transform.dense.weight": (HIDDEN, HIDDEN),
    "cls.predictions.transform.dense.bias": (HIDDEN,),
    "cls.predictions.transform.LayerNorm.weight": (HIDDEN,),
    "cls.predictions.transform.LayerNorm.bias": (HIDDEN,),
}
PRETRAINING = MASKED_LM | {
    "bert.pooler.dense.weight": (HIDDEN, HIDDEN),
    "bert.pooler.dense.bias": (HIDDEN,),
    "cls.seq_relationship.weight": (2, HIDDEN),
    "cls.seq_relationship.bias": (2,),
}
"""state_dict names and shapes of transformers 4.57.6 and 5.23.0, without the tied cls.predictions.decoder."""


MASKED_LM_HEADS = frozenset({"vocabulary"})
EITHER = pytest.mark.parametrize("heads", [HEADS, MASKED_LM_HEADS], ids=["pairs", "no pairs"])
TIED = ("cls.predictions.decoder.weight", "cls.predictions.decoder.bias")


def built(heads: frozenset[str]) -> tuple[Bert, Any]:
    """A model whose biases and scales are random too, so that none of them can be lost without a difference."""
    model = Bert(CONFIG, VOCAB, heads, Compute())
    random = np.random.default_rng(1)

    def draw(path: tuple[Any, ...], leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        return (random.normal(0, CONFIG.initializer_range, leaf.shape) + (path[-1].key == "scale")).astype(np.float32)

    params = jax.tree.map_with_path(draw, jax.eval_shape(model.init, jax.random.key(0)))
    params["bert"]["embeddings"]["word_embeddings"]["embedding"][VOCAB:] = 0
    params["cls"]["predictions"]["bias"][VOCAB:] = 0
    return model, params


def written(params: Any, heads: frozenset[str]) -> dict[str, np.ndarray]:
    return to_hugging_face(params, FAMILY.rules(CONFIG, heads), VOCAB)


def read(tensors: Mapping[str, np.ndarray], heads: frozenset[str], config: BertConfig = CONFIG) -> Parameters:
    template = jax.eval_shape(Bert(config, VOCAB, heads, Compute()).init, jax.random.key(0))
    return from_hugging_face(FAMILY.current_names(tensors), template, FAMILY.rules(config, heads), VOCAB)


@pytest.mark.parametrize(("heads", "expected"), [(HEADS, PRETRAINING), (MASKED_LM_HEADS, MASKED_LM)])
def test_tensors_have_hugging_faces_names_and_shapes(heads: frozenset[str], expected: dict[str, Any]) -> None:
    _, params = built(heads)
    tensors = written(params, heads)
    assert {name: tensor.shape for name, tensor in tensors.items()} == expected
    assert all(tensor.dtype == np.float32 and tensor.flags.c_contiguous for tensor in tensors.values())


@EITHER
def test_round_trip_is_exact(heads: frozenset[str]) -> None:
    _, params = built(heads)
    back = read(written(params, heads), heads)
    # Refuses trees of different structure.
    jax.tree.map(np.testing.assert_array_equal, back, params)


def stored(folder: Path, tensors: Mapping[str, np.ndarray], heads: frozenset[str], config: BertConfig = CONFIG) -> Path:
    """A folder of the model, with a tokenizer."""
    configuration = FAMILY.config_to_json(config, VOCAB, SPECIAL, heads)
    write_folder(folder, tensors, configuration)
    pieces = [*SPECIAL_TOKENS, *(chr(ord("가") + index) for index in range(VOCAB - len(SPECIAL_TOKENS)))]
    for name, content in hugging_face_files(pieces, lowercase=False).items():
        (folder / name).write_text(content, encoding="utf-8")
    return folder


@pytest.mark.parametrize("named_head", [HEADS, MASKED_LM_HEADS], ids=["wanted", "unwanted"])
def test_old_names_tied_copies_and_unwanted_heads_are_understood(named_head: frozenset[str], tmp_path: Path) -> None:
    _, params = built(HEADS)
    tensors = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in written(params, HEADS).items()
    }
    tensors |= {name: np.zeros(1, np.float32) for name in (*TIED, "bert.embeddings.position_ids")}
    assert ("pooler" in read(tensors, named_head)["bert"]) == ("pair" in named_head)
    subject = load_subject(stored(tmp_path, tensors, named_head))
    assert subject.heads == HEADS, "what the folder holds, whatever its config.json names"
    for back in (read(tensors, named_head), subject.params):
        np.testing.assert_array_equal(
            back["bert"]["encoder"]["layer"]["output"]["LayerNorm"]["bias"],
            params["bert"]["encoder"]["layer"]["output"]["LayerNorm"]["bias"],
        )


def test_a_checkpoint_that_does_not_fit_is_refused_by_tensor(tmp_path: Path) -> None:
    _, params = built(MASKED_LM_HEADS)
    tensors = written(params, MASKED_LM_HEADS)
    name = "bert.encoder.layer.1.output.dense.weight"
    with pytest.raises(InputError, match=f"no tensor {name}"):
        read({k: v for k, v in tensors.items() if k != name}, MASKED_LM_HEADS)
    with pytest.raises(InputError, match=f"{name} is"):
        read(tensors | {name: tensors[name].T}, MASKED_LM_HEADS)
    surplus = {"bert.encoder.layer.2.output.dense.weight": tensors[name]}
    with pytest.raises(InputError, match=r"1 tensors that this model has not, the first is bert\.encoder\.layer\.2"):
        _ = load_subject(stored(tmp_path, tensors | surplus, MASKED_LM_HEADS)).params
    three, one = (BertConfig(**(vars(CONFIG) | {"num_hidden_layers": layers})) for layers in (3, 1))
    with pytest.raises(InputError, match=r"no tensor bert\.encoder\.layer\.2\."):
        _ = load_subject(stored(tmp_path, tensors, MASKED_LM_HEADS, three)).params
    with pytest.raises(InputError, match=r"16 tensors that this model has not, the first is bert\.encoder\.layer\.1\."):
        _ = load_subject(stored(tmp_path, tensors, MASKED_LM_HEADS, one)).params


def test_a_model_without_room_for_a_head_is_read_as_it_is(tmp_path: Path) -> None:
    """Pairs need two token types."""
    config = BertConfig(**(vars(CONFIG) | {"type_vocab_size": 1}))
    _, params = built(MASKED_LM_HEADS)
    tensors = written(params, MASKED_LM_HEADS)
    tensors["bert.embeddings.token_type_embeddings.weight"] = np.ones((1, HIDDEN), np.float32)
    back = load_subject(stored(tmp_path, tensors, MASKED_LM_HEADS, config)).params
    assert back["bert"]["embeddings"]["token_type_embeddings"]["embedding"].shape == (1, HIDDEN)


def saved_and_loaded(params: Any, heads: frozenset[str], folder: Path) -> Any:
    """Writes config.json and model.safetensors and loads them with the class that config.json names."""
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    config = FAMILY.config_to_json(CONFIG, VOCAB, SPECIAL, heads)
    write_folder(folder, written(params, heads), config)
    cls = getattr(transformers, config["architectures"][0])
    model, info = cls.from_pretrained(folder, output_loading_info=True)
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")), info
    return model


def compare(heads: frozenset[str], folder: Path) -> dict[str, float]:
    """Largest absolute differences from transformers of logits and gradients, over rows with padding and two token types."""
    model, params = built(heads)
    with_pairs = "pair" in heads
    theirs = saved_and_loaded(params, heads, folder)
    import torch

    random = np.random.default_rng(2)
    rows, length, lengths = 3, 20, np.array([20, 13, 7])
    real = np.arange(length) < lengths[:, None]
    ids = np.where(real, random.integers(1, VOCAB, (rows, length)), 0)
    types = np.where(real & (np.arange(length) >= 5), 1, 0)
    positions, labels = np.array([[1, 4, 9], [2, 3, 12], [0, 5, 6]]), random.integers(0, VOCAB, (rows, 3))
    follows = np.array([0, 1, 0])
    row = np.arange(rows)[:, None]

    def loss(params: Any) -> tuple[jax.Array, tuple[jax.Array, jax.Array | None]]:
        inputs = Inputs(
            tokens=jnp.asarray(ids),
            segments=jnp.asarray(real.astype(np.int32)),
            positions=jnp.broadcast_to(jnp.arange(length), ids.shape),
            token_types=jnp.asarray(types),
        )
        hidden = model.encode(params, inputs)
        logits = model.vocabulary_logits(params, hidden)
        total = -jax.nn.log_softmax(logits[row, positions])[row, jnp.arange(3), labels].mean()
        pair = model.pair_logits(params, hidden) if with_pairs else None
        if pair is not None:
            total -= jax.nn.log_softmax(pair)[jnp.arange(rows), follows].mean()
        return total, (logits[..., :VOCAB], pair)

    with jax.default_matmul_precision("highest"):
        (total, (logits, pair)), gradients = jax.jit(jax.value_and_grad(loss, has_aux=True))(params)

    output = theirs.eval()(
        input_ids=torch.tensor(ids), attention_mask=torch.tensor(real.astype(int)), token_type_ids=torch.tensor(types)
    )
    their_logits = output.prediction_logits if with_pairs else output.logits
    chosen = their_logits[torch.tensor(row), torch.tensor(positions)]
    their_total = torch.nn.functional.cross_entropy(chosen.reshape(-1, VOCAB), torch.tensor(labels).reshape(-1))
    differences = {"logits": abs(np.asarray(logits) - their_logits.detach().numpy())[real].max()}
    if with_pairs:
        their_pair = output.seq_relationship_logits
        their_total = their_total + torch.nn.functional.cross_entropy(their_pair, torch.tensor(follows))
        differences["pair_logits"] = abs(np.asarray(pair) - their_pair.detach().numpy()).max()
    their_total.backward()
    differences["loss"] = abs(float(total) - their_total.item())

    their_gradients = {name: parameter.grad.numpy() for name, parameter in theirs.named_parameters()}
    our_gradients = written(gradients, heads)
    assert our_gradients.keys() == their_gradients.keys() - set(TIED)
    differences["gradients"] = max(abs(our_gradients[name] - their_gradients[name]).max() for name in our_gradients)
    differences["gradients_relative"] = max(
        float(np.linalg.norm(our_gradients[name] - their_gradients[name]) / np.linalg.norm(their_gradients[name]))
        for name in our_gradients
        if "self.key.bias" not in name  # exactly zero in theory: softmax does not see what all keys share
    )
    differences["logits_scale"] = float(their_logits.detach().numpy()[real].std())
    differences["gradients_scale"] = max(abs(gradient).max() for gradient in their_gradients.values())
    return {name: float(value) for name, value in differences.items()}


@EITHER
def test_logits_and_gradients_equal_transformers(heads: frozenset[str], tmp_path: Path) -> None:
    differences = compare(heads, tmp_path)
    assert differences["logits"] < 1e-4
    assert differences.get("pair_logits", 0.0) < 1e-4
    assert differences["loss"] < 1e-5
    assert differences["gradients"] < 1e-4
    assert differences["gradients_relative"] < 1e-4
    # Logits and gradients of this model are large enough for such a tolerance to mean something.
    assert differences["logits_scale"] > 0.5
    assert differences["gradients_scale"] > 0.05


def test_config_json_says_what_transformers_reads(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    told = FAMILY.config_to_json(CONFIG, VOCAB, replace(SPECIAL, pad=3), HEADS)
    (tmp_path / "config.json").write_text(json.dumps(told))
    read = transformers.AutoConfig.from_pretrained(tmp_path)
    assert type(read).__name__ == "BertConfig"
    for name in told.keys() - {"torch_dtype", "position_embedding_type"}:
        assert getattr(read, name) == told[name], name
    assert read.dtype in (torch.float32, "float32")


DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob")


@pytest.mark.parametrize(("asked", "exported"), [(None, 0.1), (0.0, 0.0), (0.2, 0.2)])
def test_config_json_has_the_dropouts_of_fine_tuning_and_not_those_of_pretraining(
    asked: float | None, exported: float
) -> None:
    for pretraining in (0.0, 0.3):
        config = BertConfig(**(vars(CONFIG) | dict.fromkeys(DROPOUTS, pretraining) | {"exported_dropout": asked}))
        told = FAMILY.config_to_json(config, VOCAB, SPECIAL, HEADS)
        assert [told[name] for name in DROPOUTS] == [exported] * 2
        assert not {"exported_dropout", "initializer"} & told.keys()


def test_what_is_ours_alone_is_not_taken_from_a_config_json() -> None:
    told = FAMILY.config_to_json(CONFIG, VOCAB, SPECIAL, HEADS)
    read = FAMILY.config_from_json({**told, "initializer": "TruncatedNormal", "exported_dropout": "no"})
    assert read == BertConfig(
        **(vars(CONFIG) | dict.fromkeys(DROPOUTS, 0.1) | {"vocab_size": VOCAB, "pad_token_id": 0})
    )
