"""A folder whose config.json or weights contradict themselves is told in a sentence, and never half read."""

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.tokenizer import SpecialIds
from pretrain.hugging_face.folder import (
    CONFIG,
    SHARDS,
    WEIGHTS,
    how_to_fetch,
    read_configuration,
    read_model,
    write_folder,
)
from pretrain.hugging_face.weights import to_hugging_face
from pretrain.models.bert.config import BertConfig
from pretrain.models.bert.family import FAMILY
from pretrain.models.protocols import Compute
from pretrain.models.registry import family_of_hugging_face

SPECIAL, VOCAB, HEADS = SpecialIds(0, 1, 2, 3, 4), 12, frozenset({"vocabulary"})
CONFIGURED = BertConfig(
    num_hidden_layers=1, hidden_size=4, num_attention_heads=2, intermediate_size=8, max_position_embeddings=8
)


@pytest.fixture(scope="module")
def tensors() -> dict[str, np.ndarray]:
    model = FAMILY.make(CONFIGURED, VOCAB, HEADS, Compute())
    params = jax.device_get(model.init(jax.random.key(0)))
    return to_hugging_face(params, FAMILY.rules(CONFIGURED, HEADS), VOCAB)


@pytest.fixture
def folder(tensors: dict[str, np.ndarray], tmp_path: Path) -> Path:
    write_folder(tmp_path, tensors, FAMILY.config_to_json(CONFIGURED, VOCAB, SPECIAL, HEADS))
    return tmp_path


def read(folder: Path) -> Any:
    configuration = read_configuration(folder, "start_from PLACE")
    family = family_of_hugging_face(configuration, "start_from PLACE")
    return read_model(folder, family, configuration, "start_from PLACE")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"hidden_size": "4"}, 'hidden_size "4"; must be a whole number'),
        ({"hidden_size": 4.0}, "hidden_size 4.0; must be a whole number"),
        ({"hidden_size": None}, "hidden_size null; must be a whole number"),
        ({"vocab_size": "12"}, 'vocab_size "12"; must be a whole number'),
        ({"layer_norm_eps": "1e-12"}, 'layer_norm_eps "1e-12"; must be a number'),
        ({"layer_norm_eps": 0}, "layer_norm_eps 0; must be above 0"),
        ({"num_hidden_layers": -1}, "num_hidden_layers -1; must be 1 or more"),
        ({"num_attention_heads": 0}, "num_attention_heads 0; must be 1 or more"),
        ({"num_attention_heads": 3}, "config.json: hidden_size 4: must be a multiple of num_attention_heads 3"),
        ({"hidden_dropout_prob": 2}, "hidden_dropout_prob 2; must be 0 or more and below 1"),
        ({"is_decoder": True}, "is_decoder true: a token sees those before it only"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type relative_key"),
        ({"model_type": "encoder-decoder", "encoder": "bert", "decoder": {}}, "not the config of a tied encoder"),
    ],
)
def test_values_that_are_no_models_are_told_with_their_field(folder: Path, changes: dict[str, Any], told: str) -> None:
    told_before = json.loads((folder / CONFIG).read_text())
    assert read(folder).config.hidden_size == 4
    (folder / CONFIG).write_text(json.dumps({**told_before, **changes}))
    with pytest.raises(InputError, match=told.replace("(", r"\(")) as raised:
        read(folder)
    assert str(raised.value).startswith(("start_from PLACE: ", f"{folder / CONFIG}: "))


@pytest.mark.parametrize("values", [{"hidden_dropout_prob": 0}, {"is_decoder": False, "pad_token_id": None}])
def test_values_as_transformers_writes_them_are_read(folder: Path, values: dict[str, Any]) -> None:
    (folder / CONFIG).write_text(json.dumps({**json.loads((folder / CONFIG).read_text()), **values}))
    assert read(folder).heads == HEADS


@pytest.mark.parametrize("content", ["[]", "null", "3"])
def test_a_config_that_is_no_object_is_told(folder: Path, content: str) -> None:
    (folder / CONFIG).write_text(content)
    with pytest.raises(InputError):
        read(folder)


def test_a_place_that_is_no_folder_is_told(folder: Path) -> None:
    for place in (folder / CONFIG, folder / "nowhere"):
        with pytest.raises(InputError, match="start_from PLACE: no such folder; give a run folder or"):
            read(place)


def test_a_model_of_the_hub_is_to_be_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert how_to_fetch(Path("klue/bert-base")).endswith("hf download klue/bert-base --local-dir klue-bert-base")
    (tmp_path / "models").mkdir()
    assert [how_to_fetch(Path(place)) for place in ("models/absent", "absent", "/a/b", "runs/a/export")] == [""] * 4


@pytest.mark.parametrize(
    "index", ["[]", "3", "{}", '{"weight_map": null}', '{"weight_map": ["a"]}', '{"weight_map": {}}']
)
def test_an_index_of_shards_that_names_none_is_told(folder: Path, index: str) -> None:
    (folder / WEIGHTS).unlink()
    (folder / SHARDS).write_text(index)
    with pytest.raises(InputError, match=r"start_from PLACE: its .* names no files; fetch the folder again"):
        read(folder)


def test_whole_numbers_are_no_weights(folder: Path) -> None:
    rounded = {name: tensor.astype(np.int8) for name, tensor in load_file(folder / WEIGHTS).items()}
    (folder / WEIGHTS).write_bytes(save(rounded))
    with pytest.raises(InputError, match=r"start_from PLACE: its bert\..* is of int8, as of a quantised model"):
        read(folder)
