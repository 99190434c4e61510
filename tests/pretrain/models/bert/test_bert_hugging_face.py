"""BERT's Hugging Face folders: old names, heads that a file has or lacks, tensors that do not fit, dropouts of config.json."""

from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np
import pytest
from families import FAMILIES, SPECIAL, VOCAB, drawn, tensors_of, with_tokenizer

from data_pipeline.contract.errors import InputError
from pretrain.hugging_face.folder import write_folder
from pretrain.hugging_face.weights import from_hugging_face
from pretrain.models.bert.config import BertConfig
from pretrain.models.bert.family import FAMILY
from pretrain.models.bert.model import HEADS, Bert
from pretrain.models.core.layers import Parameters
from pretrain.models.protocols import Compute
from pretrain.subject import load_subject

CONFIG = FAMILIES["bert"].config
HIDDEN = vars(CONFIG)["hidden_size"]
MASKED_LM_HEADS = frozenset({"vocabulary"})
TIED = ("cls.predictions.decoder.weight", "cls.predictions.decoder.bias")


def read(tensors: Mapping[str, np.ndarray], heads: frozenset[str]) -> Parameters:
    template = jax.eval_shape(Bert(CONFIG, VOCAB, heads, Compute()).init, jax.random.key(0))
    return from_hugging_face(FAMILY.current_names(tensors), template, FAMILY.rules(CONFIG, heads), VOCAB)


def stored(folder: Path, tensors: Mapping[str, np.ndarray], heads: frozenset[str], config: BertConfig = CONFIG) -> Path:
    """A folder of these tensors, with a tokenizer."""
    write_folder(folder, tensors, FAMILY.config_to_json(config, VOCAB, SPECIAL, heads))
    return with_tokenizer(folder, config)


@pytest.mark.parametrize("named_head", [HEADS, MASKED_LM_HEADS], ids=["wanted", "unwanted"])
def test_old_names_tied_copies_and_unwanted_heads_are_understood(named_head: frozenset[str], tmp_path: Path) -> None:
    model, params = drawn(CONFIG, HEADS)
    tensors = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in tensors_of(model, params).items()
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
    tensors = tensors_of(*drawn(CONFIG, MASKED_LM_HEADS))
    name = "bert.encoder.layer.1.output.dense.weight"
    with pytest.raises(InputError, match=f"no tensor {name}"):
        read({k: v for k, v in tensors.items() if k != name}, MASKED_LM_HEADS)
    with pytest.raises(InputError, match=f"{name} is"):
        read(tensors | {name: tensors[name].T}, MASKED_LM_HEADS)
    surplus = {"bert.encoder.layer.2.output.dense.weight": tensors[name]}
    with pytest.raises(
        InputError, match=r"has 1 tensors that this family does not compute with, the first is bert\.encoder\.layer\.2"
    ):
        _ = load_subject(stored(tmp_path, tensors | surplus, MASKED_LM_HEADS)).params
    three, one = (BertConfig(**(vars(CONFIG) | {"num_hidden_layers": layers})) for layers in (3, 1))
    with pytest.raises(
        InputError, match=r"lacks 16 tensors that config.json promises, the first is bert\.encoder\.layer\.2\."
    ):
        _ = load_subject(stored(tmp_path, tensors, MASKED_LM_HEADS, three)).params
    with pytest.raises(
        InputError,
        match=r"has 16 tensors that this family does not compute with, the first is bert\.encoder\.layer\.1\.",
    ):
        _ = load_subject(stored(tmp_path, tensors, MASKED_LM_HEADS, one)).params


def test_a_model_without_room_for_a_head_is_read_as_it_is(tmp_path: Path) -> None:
    """Pairs need two token types."""
    config = BertConfig(**(vars(CONFIG) | {"type_vocab_size": 1}))
    tensors = tensors_of(*drawn(CONFIG, MASKED_LM_HEADS))
    tensors["bert.embeddings.token_type_embeddings.weight"] = np.ones((1, HIDDEN), np.float32)
    back = load_subject(stored(tmp_path, tensors, MASKED_LM_HEADS, config)).params
    assert back["bert"]["embeddings"]["token_type_embeddings"]["embedding"].shape == (1, HIDDEN)


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
        **(vars(CONFIG) | dict.fromkeys(DROPOUTS, 0.1) | {"vocab_size": VOCAB, "pad_token_id": SPECIAL.pad})
    )
