"""Folders as transformers writes them, of each family and head: started from and exported again, they are equal tensor for tensor."""

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest
from tiny_run import LENGTH, PIECES, VOCABULARY

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.tokenizer import SpecialIds, Tokenizer, hugging_face_files
from pretrain.hugging_face.folder import write_folder
from pretrain.hugging_face.weights import to_hugging_face
from pretrain.models.config import config_classes
from pretrain.models.protocols import Compute, Model
from pretrain.models.registry import family_of
from pretrain.objectives.parts import Parts
from pretrain.start.parameters import starting_parameters
from pretrain.subject import load_subject

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": LENGTH,
}
GPT2 = {"vocab_size": VOCABULARY, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": LENGTH}
SIDE = {"model_type": "bert", **SIZES}
SIDES = {"encoder": SIDE, "decoder": {**SIDE, "is_decoder": True, "add_cross_attention": True}}
FAMILIES: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "albert": (
        "AlbertConfig",
        {**SIZES, "embedding_size": 8},
        ("ForPreTraining", "ForMaskedLM", "Model", "ForSequenceClassification"),
    ),
    "bert": ("BertConfig", SIZES, ("ForPreTraining", "ForMaskedLM", "Model", "ForSequenceClassification")),
    "bert_shared": ("EncoderDecoderConfig", SIDES, ("Model",)),
    "electra": (
        "ElectraConfig",
        {**SIZES, "embedding_size": 8},
        ("ForPreTraining", "ForMaskedLM", "Model", "ForSequenceClassification"),
    ),
    "funnel": (
        "FunnelConfig",
        {
            "vocab_size": VOCABULARY,
            "block_sizes": [1, 2],
            "num_decoder_layers": 1,
            "d_model": 16,
            "n_head": 2,
            "d_head": 4,
            "d_inner": 24,
            "pad_token_id": 0,
        },
        ("ForPreTraining", "ForMaskedLM", "Model"),
    ),
    "gpt2": ("GPT2Config", GPT2, ("LMHeadModel", "Model", "ForSequenceClassification")),
    "modernbert": (
        "ModernBertConfig",
        {**SIZES, "local_attention": 8, "pad_token_id": 0},
        ("ForMaskedLM", "Model", "ForSequenceClassification"),
    ),
    "t5": (
        "T5Config",
        {"vocab_size": VOCABULARY, "num_layers": 2, "d_model": 16, "d_kv": 8, "num_heads": 2, "d_ff": 24},
        ("ForConditionalGeneration",),
    ),
    "roberta": ("RobertaConfig", {**SIZES, "pad_token_id": 0}, ("ForMaskedLM", "Model", "ForSequenceClassification")),
}
"""By the name of the family: transformers' class of the config, its sizes, and what follows the name of its classes of models."""
OURS = {family_of(kind()).name for kind in config_classes() if kind.__module__.startswith("pretrain.")}
CASES = [(family, head) for family in sorted(OURS & FAMILIES.keys()) for head in FAMILIES[family][2]]


def test_every_family_is_tried() -> None:
    assert FAMILIES.keys() >= OURS


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., tuple[Path, Any]]:
    """Makes a folder with a model of transformers whose parameters are all random, and a tokenizer."""

    def make(family: str = "bert", head: str = "ForPreTraining", **options: Any) -> tuple[Path, Any]:
        config, sizes, _ = FAMILIES[family]
        torch.manual_seed(0)
        model = getattr(transformers, config.removesuffix("Config") + head)(getattr(transformers, config)(**sizes))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_()
        if family == "funnel":  # transformers 5 sets it to zero when it reads the folder
            model.get_input_embeddings().weight.data[0] = 0
        if family == "bert_shared":  # transformers 5 does not tie it
            model.decoder.bert.load_state_dict(model.encoder.state_dict(), strict=False)
        folder = tmp_path / "their-model"
        model.save_pretrained(folder, **options)
        write_tokenizer(folder)
        return folder, model

    return make


def write_tokenizer(folder: Path) -> None:
    for name, content in hugging_face_files(PIECES, lowercase=False).items():
        (folder / name).write_text(content, encoding="utf-8")


def objective_over(model: Model) -> Any:
    """As much of an objective that trains one model as a start asks for."""
    return SimpleNamespace(
        parts=Parts({"model": model}), exports={"": "model"}, init=lambda: model.init(jax.random.key(0))
    )


def started_and_exported(folder: Path, to: Path) -> None:
    """What an objective over a model with every head of the family starts with, as an export holds it."""
    subject = load_subject(folder)
    model = subject.family.make(subject.config, VOCABULARY, subject.family.heads, Compute())
    params = starting_parameters((str(folder),), objective_over(model), Tokenizer(folder)).params
    rules = subject.family.rules(subject.config, model.heads)
    to.mkdir()
    configuration = subject.family.config_to_json(subject.config, VOCABULARY, SpecialIds(0, 1, 2, 3, 4), model.heads)
    write_folder(to, to_hugging_face(params, rules, VOCABULARY), configuration)


@pytest.mark.parametrize(("family", "head"), CASES)
def test_a_model_that_was_started_from_and_exported_again_is_the_same(
    family: str, head: str, saved: Callable[..., tuple[Path, Any]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, theirs = saved(family, head)
    caplog.set_level("INFO")
    started_and_exported(folder, tmp_path / "again")
    found, told = type(theirs).from_pretrained(tmp_path / "again", output_loading_info=True)
    subject = load_subject(folder)
    left = [name for name in (*subject.tensors, *subject.unknown_heads) if name.startswith(("classifier.", "score."))]
    before, after = theirs.state_dict(), found.state_dict()
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        if name in told["missing_keys"]:
            assert name in left or any(each.endswith(name) for each in subject.unknown_heads), name
        else:
            np.testing.assert_array_equal(after[name].numpy(), tensor.numpy(), err_msg=name)
    assert "rows of the vocabulary: 200 of 200 found there" in caplog.text
    if head == "ForSequenceClassification":
        (line,) = [line for line in caplog.messages if "left behind, because this run does not train them" in line]
        assert left
        assert all(name.rpartition(".")[0] in line for name in left)


@pytest.mark.parametrize("how", ["sharded", "bfloat16", "old names"])
def test_weights_are_read_however_they_are_stored(
    how: str, saved: Callable[..., tuple[Path, Any]], tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    folder, _ = saved()
    whole = load_subject(folder).tensors
    weights = folder / "model.safetensors"
    tensors = load_file(weights)
    if how == "sharded":
        weights.unlink()
        saved(max_shard_size="5KB")
        assert len(list(folder.glob("model-*.safetensors"))) > 2
        assert not weights.exists()
    elif how == "bfloat16":
        save_file({name: tensor.bfloat16() for name, tensor in tensors.items()}, weights)
    else:
        names = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
        save_file(
            {name.replace(end, names[end]): tensor for name, tensor in tensors.items() for end in names if end in name}
            | {name: tensor for name, tensor in tensors.items() if "LayerNorm" not in name},
            weights,
        )
    found = load_subject(folder).tensors
    assert found.keys() == whole.keys()
    for name, tensor in whole.items():
        np.testing.assert_allclose(
            np.asarray(found[name], np.float32), tensor, rtol=2**-8 if how == "bfloat16" else 0, err_msg=name
        )


def test_a_shard_that_is_missing_is_named(saved: Callable[..., tuple[Path, Any]]) -> None:
    folder, _ = saved(max_shard_size="5KB")
    lost = sorted(folder.glob("model-*.safetensors"))[1]
    lost.unlink()
    with pytest.raises(InputError, match=rf"holds no {lost.name}, which model\.safetensors\.index\.json names"):
        load_subject(folder)


def test_a_folder_with_torchs_own_file_is_refused_with_the_line_that_converts_it(
    saved: Callable[..., tuple[Path, Any]], capfd: pytest.CaptureFixture[str]
) -> None:
    folder, model = saved()
    before = load_subject(folder).tensors
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"holds no model\.safetensors but pytorch_model\.bin; convert it") as refused:
        load_subject(folder)
    _, _, line = str(refused.value).partition("python ")
    subprocess.run([sys.executable, *shlex.split(line)], check=True, timeout=120)
    after = load_subject(folder)
    assert after.tensors.keys() == before.keys()
    for name, tensor in before.items():
        np.testing.assert_array_equal(after.tensors[name], tensor)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "bert.encoder.layer.1.adapter.weight",
            r"encoder has 1 tensors .*, the first is bert\.encoder\.layer\.1\.adapter",
        ),
        (
            "bert.encoder.layer.1.output.dense.bias",
            r"encoder lacks 1 tensors .* is bert\.encoder\.layer\.1\.output\.dense",
        ),
    ],
)
def test_an_encoder_with_a_tensor_too_many_or_too_few_is_refused(
    name: str, message: str, saved: Callable[..., tuple[Path, Any]]
) -> None:
    from safetensors.numpy import load_file, save_file

    folder, _ = saved()
    tensors = load_file(folder / "model.safetensors")
    if name in tensors:
        del tensors[name]
    else:
        tensors[name] = np.zeros(3, np.float32)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(InputError, match=message):
        load_subject(folder, called="--training.start-from their-model")


def test_an_output_table_of_its_own_is_refused(saved: Callable[..., tuple[Path, Any]]) -> None:
    folder, _ = saved()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": False}))
    with pytest.raises(InputError, match=r"config\.json says tie_word_embeddings false"):
        load_subject(folder)


@pytest.mark.skipif("roberta" not in OURS, reason="no family keeps rows of the position table for the padding yet")
def test_positions_are_moved_to_where_the_runs_padding_has_them(
    saved: Callable[..., tuple[Path, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """KLUE's RoBERTas have [PAD] at 1 and position 0 in row 2; a run whose [PAD] is 0 has it in row 1."""
    config, sizes, heads = FAMILIES["roberta"]
    monkeypatch.setitem(FAMILIES, "roberta", (config, {**sizes, "pad_token_id": 1}, heads))
    folder, theirs = saved("roberta", "ForMaskedLM")
    subject = load_subject(folder)
    given = theirs.state_dict()["roberta.embeddings.position_embeddings.weight"].numpy()

    def positions(rows: int) -> np.ndarray:
        model = subject.family.make(
            replace(subject.config, pad_token_id=0, max_position_embeddings=rows), VOCABULARY, frozenset(), Compute()
        )
        params = starting_parameters((str(folder),), objective_over(model), Tokenizer(folder)).params
        table: np.ndarray = params["roberta"]["embeddings"]["position_embeddings"]["embedding"]
        return table

    np.testing.assert_array_equal(positions(LENGTH - 1)[1:], given[2:])
    np.testing.assert_array_equal(positions(LENGTH - 9)[1:], given[2 : LENGTH - 8])
    with pytest.raises(
        InputError, match=r"has 30 positions, and the model 31; set --training\.model\.max-position-embeddings 31"
    ):
        positions(LENGTH)
