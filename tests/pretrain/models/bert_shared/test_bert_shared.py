"""A tied encoder-decoder: what it begins with, what of its files is one parameter, what is refused, and what it writes."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest
from families import ENCODER, FAMILIES, SPECIAL, VOCAB, drawn, stored, tensors_of
from safetensors.numpy import load_file, save_file

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.exporting.continuation import targets
from pretrain.models.bert.config import BertConfig
from pretrain.models.bert_shared.config import BertSharedConfig
from pretrain.models.bert_shared.family import config_from_json, config_to_json, generation_config
from pretrain.models.bert_shared.model import BertShared
from pretrain.models.protocols import Compute
from pretrain.models.task_heads import TaskHead
from pretrain.objectives.parts import Parts
from pretrain.start.parameters import starting_parameters
from pretrain.start.places import starts_of
from pretrain.subject import load_subject

CONFIG = FAMILIES["bert_shared"].config
HEADS = frozenset({"target"})
TRANSFORMERS_4 = Path(sys.prefix) / "transformers-4"
TEXT = "가나 다라 마바"
WRITE = """
import json, sys
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
folder, text = sys.argv[1:]
tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
row = tokenizer(text, return_tensors="pt")
given = {"attention_mask": row.attention_mask, "max_new_tokens": 12, "do_sample": False}
written = [model.generate(row.input_ids, num_beams=beams, **given)[0].tolist() for beams in (1, 4)]
first, second = model.encoder.embeddings.word_embeddings, model.decoder.bert.embeddings.word_embeddings
print(json.dumps([written, tokenizer.decode(written[0], skip_special_tokens=True), first.weight is second.weight]))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return stored(tmp_path / "model", *drawn(CONFIG, HEADS))


def objective_over(model: BertShared) -> Any:
    """As much of an objective as a start asks for."""
    return SimpleNamespace(
        parts=Parts({"model": model}), exports={"": "model"}, init=lambda: model.init(jax.random.key(0))
    )


def test_both_sides_begin_with_a_bert_and_cross_attention_as_drawn(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bert, params = drawn(BertConfig(**ENCODER), frozenset({"vocabulary", "pair"}))
    place = stored(tmp_path / "bert", bert, params)
    model, given = BertShared(BertSharedConfig(**ENCODER), VOCAB, HEADS, Compute()), tensors_of(bert, params)
    caplog.set_level("INFO")
    found = tensors_of(model, starting_parameters((str(place),), objective_over(model), Tokenizer(place)).params)
    fresh = tensors_of(model, jax.jit(model.init)(jax.random.key(0)))
    across = {name for name in found if ".crossattention." in name}
    assert len(across) == 2 * 10
    for name in across:
        np.testing.assert_array_equal(found[name], fresh[name], name)
    for name, tensor in given.items():
        body, _, below = name.partition(".")
        names = [f"encoder.{below}", f"decoder.bert.{below}"] if body == "bert" else [f"decoder.{name}"]
        for each in found.keys() & set(names):
            np.testing.assert_array_equal(found[each], tensor, each)
    assert "is a BERT, with which a tied encoder-decoder begins" in caplog.text
    assert "initialised randomly: decoder.bert.encoder.layer.0.crossattention.output.LayerNorm," in caplog.text
    assert "left behind, because this run does not train them: cls.seq_relationship" in caplog.text


def test_no_other_family_is_begun_with(tmp_path: Path) -> None:
    place = stored(tmp_path / "gpt2", *drawn(FAMILIES["gpt2"].config, frozenset({"next_token"})))
    model = BertShared(BertSharedConfig(**ENCODER), VOCAB, HEADS, Compute())
    with pytest.raises(InputError, match="is a GPT2Config, and the recipe's model a BertSharedConfig"):
        starts_of((str(place),), objective_over(model))


def test_copies_that_differ_are_refused_and_one_of_them_is_enough(folder: Path) -> None:
    weights = folder / "model.safetensors"
    tensors, whole = load_file(weights), load_subject(folder).tensors
    twice = {name for name in tensors if name.startswith("encoder.") and "pooler" not in name}
    save_file(
        {name: tensor for name, tensor in tensors.items() if name not in twice}, weights
    )  # as transformers 4 ties
    found = load_subject(folder).tensors
    assert found.keys() == whole.keys()
    for name, tensor in whole.items():
        np.testing.assert_array_equal(found[name], tensor, name)
    name = "decoder.bert.encoder.layer.1.output.dense.bias"
    save_file({**tensors, name: tensors[name] + 1}, weights)
    with pytest.raises(
        InputError, match=r"its encoder\.encoder\.layer\.1\.output\.dense\.bias and decoder\.bert\..* differ"
    ):
        load_subject(folder)


@pytest.mark.parametrize(
    ("side", "field", "value", "message"),
    [
        ("encoder", "model_type", "electra", r"encoder\.model_type electra; .* of two BERTs only"),
        (
            "decoder",
            "num_hidden_layers",
            3,
            r"encoder\.num_hidden_layers 2 and decoder\.num_hidden_layers 3; .* tied only",
        ),
        ("decoder", "add_cross_attention", False, r"no decoder\.add_cross_attention true"),
        ("decoder", "is_decoder", False, r"no decoder\.is_decoder true"),
        ("encoder", "hidden_act", "relu", "hidden_act relu"),
    ],
)
def test_what_is_not_computed_here_is_refused(side: str, field: str, value: object, message: str) -> None:
    told = config_to_json(BertSharedConfig(**ENCODER), VOCAB, SPECIAL, HEADS)
    told[side] = {**told[side], field: value}
    with pytest.raises(InputError, match=message):
        config_from_json(told)


def test_a_card_counts_what_both_sides_share_once(folder: Path) -> None:
    subject = load_subject(folder)
    head = 16 * 16 + 3 * 16 + VOCAB
    assert subject.parameter_count == subject.config.parameter_count(VOCAB, HEADS) + head


def test_it_has_no_heads_of_tasks(folder: Path) -> None:
    with pytest.raises(InputError, match="is a tied encoder-decoder, which is not fine-tuned here"):
        load_subject(folder).with_task(TaskHead("classifier"), Compute())


@pytest.mark.parametrize(
    ("config", "vocabulary"), [(CONFIG, VOCAB), (BertSharedConfig(), 42_000)], ids=["tiny", "bertshared-kor-base"]
)
def test_what_both_sides_share_counts_once(config: BertSharedConfig, vocabulary: int) -> None:
    model = BertShared(config, vocabulary, frozenset(), Compute())
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    padding = -vocabulary % 128 * config.hidden_size
    assert config.parameter_count(vocabulary, HEADS) == sum(leaf.size for leaf in jax.tree.leaves(shapes)) - padding


@pytest.mark.parametrize("generation", [pytest.param("4", marks=pytest.mark.slow), "5"])
def test_transformers_writes_what_is_written_here_and_takes_beams(generation: str, folder: Path) -> None:
    pytest.importorskip("transformers")
    (folder / "generation_config.json").write_text(json.dumps(generation_config(SPECIAL)))
    environment = {"PYTHONPATH": str(TRANSFORMERS_4)} if generation == "4" else {}
    if generation == "4" and not TRANSFORMERS_4.exists():
        pytest.skip("transformers 4 is not installed beside the current one; run_tests.sh does that")
    done = subprocess.run(
        [sys.executable, "-c", WRITE, str(folder), TEXT], capture_output=True, text=True, timeout=300, env=environment
    )
    assert done.returncode == 0, done.stderr
    (greedy, beams), text, tied = json.loads(done.stdout.splitlines()[-1])
    assert greedy[0] == beams[0] == SPECIAL.cls
    assert len(greedy) > 2
    assert tied == (generation == "4")
    assert targets(load_subject(folder), TEXT, 12) == text
