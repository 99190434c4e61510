"""Every family and head against transformers: logits, gradients, files in both directions."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Container, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
from families import EVERY_EXPORT, EVERY_FAMILY, SPECIAL, VOCAB, Tiny, drawn, stored, tensors_of, with_tokenizer
from read_exports import loaded, read_exports

from data_pipeline.contract.storage import read_json
from pretrain.hugging_face.weights import flatten, with_zero_padding
from pretrain.models.config import ModelConfig
from pretrain.models.core.layers import Parameters
from pretrain.models.parameter_rules import rule_of
from pretrain.models.protocols import Compute, Inputs, Model
from pretrain.models.registry import family_of
from pretrain.subject import load_subject

# Imported inside the tests: every worker reads this file, and torch takes seconds.
pytestmark = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("torch", "transformers"))), reason="torch or transformers is not installed"
)
TRANSFORMERS_4 = Path(sys.prefix) / "transformers-4"
TOLERANCE = 1e-4
"""Relative, of an array's norm: a wrong gelu or epsilon is ten times as far off (facts/hugging_face.md)."""
OUTPUTS = {
    "vocabulary": ("prediction_logits", "logits"),
    "pair": ("seq_relationship_logits", "sop_logits"),
    "replaced": ("logits",),
    "next_token": ("logits",),
    "target": ("logits",),
}
"""What transformers calls the scores of our heads, the first that a class has."""
OF_TRANSFORMERS_4 = (
    "torch_dtype",
    "position_embedding_type",
    "tie_encoder_decoder",
    "global_rope_theta",
    "local_rope_theta",
)
"""What config.json says to it alone."""
LENGTHS = np.array([20, 13, 7])
REAL = np.arange(20) < LENGTHS[:, None]
TARGET_LENGTHS = np.array([11, 17, 5])
TARGET_REAL = np.arange(17) < TARGET_LENGTHS[:, None]
PAIRS = [("가나다 라", "마 바"), ("사", "아자 차카타 파")]
"""Two texts each."""


class Rows(NamedTuple):
    """The same texts, and bool [B, L] where their tokens are; row by row in the same order. Scores are those of the targets where a
    model writes such."""

    inputs: Inputs
    real: np.ndarray
    target: Inputs | None = None


def padded(config: ModelConfig) -> Rows:
    """A text a row. One ends with [PAD] that its tokens attend to: what padding_idx does to gradients shows there only."""
    tokens = np.where(REAL, np.random.default_rng(2).integers(5, VOCAB, REAL.shape), SPECIAL.pad)
    tokens[1, 11:13] = SPECIAL.pad
    positions = np.broadcast_to(np.arange(20), tokens.shape)
    second = (config.token_types() or ("", 1))[1] > 1
    inputs = Inputs(tokens, REAL.astype(int), positions, (REAL & (positions >= 5)).astype(int) * second)
    return Rows(inputs, REAL, targets() if "target" in family_of(config).heads else None)


def targets() -> Inputs:
    """A target a row, of other lengths than the sources; one ends with [PAD] that its tokens attend to."""
    tokens = np.where(TARGET_REAL, np.random.default_rng(4).integers(5, VOCAB, TARGET_REAL.shape), SPECIAL.pad)
    tokens[1, 15:17] = SPECIAL.pad
    positions = np.broadcast_to(np.arange(17), tokens.shape)
    return Inputs(tokens, TARGET_REAL.astype(int), positions, np.zeros_like(tokens))


def packed(config: ModelConfig) -> Rows:
    """All texts in one row, segment by segment, and padding."""
    alone = padded(config).inputs
    segments = np.broadcast_to(np.arange(1, 4)[:, None], REAL.shape)
    padding = Inputs(*(np.full(8, value) for value in (SPECIAL.pad, 4, 0, 0)))
    columns = alone._replace(segments=segments)
    row = [np.append(column[REAL], filling)[None] for column, filling in zip(columns, padding, strict=True)]
    row[2][0, -8:] = np.arange(8)
    return Rows(Inputs(*row), np.arange(row[0].size)[None] < LENGTHS.sum())


@cache
def factors(head: str) -> np.ndarray:
    """Of each score in the loss, by text and token."""
    shape = {"vocabulary": (int(LENGTHS.sum()), VOCAB), "pair": (len(LENGTHS), 2), "replaced": (int(LENGTHS.sum()),)}
    shape["next_token"] = shape["vocabulary"]
    shape["target"] = (int(TARGET_LENGTHS.sum()), VOCAB)
    return np.random.default_rng(3).normal(0, 1, shape[head]).astype(np.float32)


def ours(model: Model, params: Parameters, rows: Rows) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Scores by head, and the gradients of their weighted sum by tensor."""
    read: Any = model
    real = rows.real if rows.target is None else TARGET_REAL

    def loss(params: Parameters) -> tuple[jax.Array, dict[str, jax.Array]]:
        inputs = Inputs(*map(jax.numpy.asarray, rows.inputs))
        hidden = read.encode(params, inputs)
        if rows.target:
            hidden = read.decode(params, Inputs(*map(jax.numpy.asarray, rows.target)), hidden, inputs.segments)
        scores = {head: getattr(model, f"{head}_logits")(params, hidden) for head in model.heads}
        scores = {head: found if head == "pair" else found[real] for head, found in scores.items()}
        scores = {head: found if head in ("pair", "replaced") else found[..., :VOCAB] for head, found in scores.items()}
        return sum((found * factors(head)).sum() for head, found in scores.items()), scores

    with jax.default_matmul_precision("highest"):
        gradients, scores = jax.jit(jax.grad(loss, has_aux=True))(params)
    return {head: np.asarray(found) for head, found in scores.items()}, tensors_of(model, gradients)


def theirs(model: Any, heads: frozenset[str], rows: Rows) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """`ours` of a model of transformers."""
    import torch

    inputs = {"input_ids": rows.inputs.tokens, "attention_mask": rows.inputs.segments}
    if rows.inputs.token_types.any():
        inputs["token_type_ids"] = rows.inputs.token_types
    real = rows.real
    if rows.target:
        real = TARGET_REAL
        inputs |= {"decoder_input_ids": rows.target.tokens, "decoder_attention_mask": rows.target.segments}
    output = model.eval()(**{name: torch.tensor(array) for name, array in inputs.items()})
    scores = {head: next(output[name] for name in OUTPUTS[head] if name in output) for head in heads}
    scores = {head: found if head == "pair" else found[torch.tensor(real)] for head, found in scores.items()}
    sum((found * torch.tensor(factors(head))).sum() for head, found in scores.items()).backward()
    gradients = {
        name: (torch.zeros_like(parameter) if parameter.grad is None else parameter.grad).numpy()
        for name, parameter in model.named_parameters()
    }
    return {head: found.detach().numpy() for head, found in scores.items()}, gradients


def without_copies(config: ModelConfig, known: Container[str], tensors: Mapping[str, Any]) -> dict[str, Any]:
    """The tensors but those that are `Family.not_parameters`, unless the model has them all the same."""
    copies = family_of(config).not_parameters
    return {name: tensor for name, tensor in tensors.items() if name in known or not name.startswith(copies)}


def summed_over_copies(config: ModelConfig, heads: frozenset[str], gradients: Mapping[str, Any]) -> dict[str, Any]:
    """The gradients of tensors that are one parameter here and several there, which transformers 5 does not tie: their sum for each."""
    family, summed = family_of(config), dict(gradients)
    model = family.make(config, VOCAB, heads, Compute())
    for path, leaf in flatten(jax.eval_shape(model.init, jax.random.key(0))):
        rule = rule_of(path, family.rules(config, heads))
        for layer, place in enumerate(np.ndindex(*leaf.shape[: rule.stacked])) if rule.copies else ():
            names = [rule.name_of(each, path, layer, place) for each in (rule.hugging_face, *rule.copies)]
            summed |= dict.fromkeys(names, sum(gradients[name] for name in names))
    return summed


def differences(found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Of each array, relative to its norm, or to a hundredth of the largest: a key's bias has no gradient but rounding, for softmax
    does not see what all keys share."""
    assert found.keys() == expected.keys()
    least = 1e-2 * max(np.linalg.norm(array) for array in expected.values())
    return {
        name: float(np.linalg.norm(found[name] - array) / max(np.linalg.norm(array), least))
        for name, array in expected.items()
    }


@EVERY_EXPORT
def test_logits_and_gradients_are_those_of_transformers(
    config: ModelConfig, heads: frozenset[str], tmp_path: Path
) -> None:
    model, params = drawn(config, heads)
    logits, gradients = theirs(loaded(stored(tmp_path, model, params))[0], heads, padded(config))
    gradients = summed_over_copies(config, heads, without_copies(config, tensors_of(model, params), gradients))
    if family_of(config).zero_padding:  # a gradient of the head, which would move the row from zero
        rules = family_of(config).rules(config, heads)
        gradients = with_zero_padding(gradients, rules, SPECIAL.pad)
    assert all(array.std() > 0.2 for array in logits.values()), "large enough for the tolerance to mean something"
    kinds = [padded]
    if "packed" in family_of(config).layouts and "pair" not in heads:
        kinds.append(packed)
    for rows in kinds:
        our_logits, our_gradients = ours(model, params, rows(config))
        assert max(differences(our_logits, logits).values()) < TOLERANCE
        found = differences(our_gradients, gradients)
        assert max(found.values()) < TOLERANCE, {name: value for name, value in found.items() if value >= TOLERANCE}


def check_config(theirs: Any, ours: Mapping[str, Any]) -> None:
    for name, value in ours.items():
        if isinstance(value, dict) and not isinstance(getattr(theirs, name), dict):
            check_config(getattr(theirs, name), value)
        elif name == "tie_word_embeddings":  # of a T5, transformers 5 calls it otherwise
            assert getattr(theirs, "scale_decoder_outputs", theirs.tie_word_embeddings) == value
        elif name not in OF_TRANSFORMERS_4:
            assert getattr(theirs, name) == value, name


@EVERY_EXPORT
def test_tensors_are_the_same_in_both_directions(config: ModelConfig, heads: frozenset[str], tmp_path: Path) -> None:
    model, params = drawn(config, heads)
    their_model, keys = loaded(stored(tmp_path / "ours", model, params))
    assert not any(keys.values())
    ours = tensors_of(model, params)
    found = without_copies(config, ours, their_model.state_dict())
    assert ours.keys() == found.keys()
    for name, tensor in ours.items():
        np.testing.assert_array_equal(found[name].numpy(), tensor, name)
    check_config(their_model.config, read_json(tmp_path / "ours" / "config.json") or {})
    their_model.save_pretrained(tmp_path / "theirs")
    subject = load_subject(with_tokenizer(tmp_path / "theirs", config))
    assert subject.heads == heads
    assert subject.config == load_subject(tmp_path / "ours").config
    back = tensors_of(subject.model, subject.params)
    assert back.keys() == ours.keys()
    for name, tensor in ours.items():
        np.testing.assert_array_equal(back[name], tensor, name)


@EVERY_FAMILY
def test_what_a_config_json_leaves_out_is_what_transformers_takes(tiny: Tiny) -> None:
    import transformers

    family = family_of(tiny.config)
    theirs = transformers.AutoConfig.for_model(family.model_types[0], **tiny.config_json)
    read = family.config_from_json({"model_type": family.model_types[0], **tiny.config_json})
    theirs = getattr(theirs, "encoder", theirs)
    chosen = {name for name, value in vars(read).items() if value is not None and "drop" not in name}
    assert {name: vars(read)[name] for name in chosen & vars(theirs).keys()} == {
        name: getattr(theirs, name) for name in chosen & vars(theirs).keys()
    }


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder of every family and head."""
    cases = {case.id: case.values for case in EVERY_EXPORT.args[1]}
    return {
        name: stored(tmp_path_factory.mktemp(name.replace(" ", "_")), *drawn(*values)) for name, values in cases.items()
    }


def check_pairs_of_texts(folders: Mapping[str, Path], found: Mapping[str, Mapping[str, Any]], generation: str) -> None:
    """What transformers read of each folder: all of it, our tokens, our logits."""
    for name, folder in folders.items():
        of_folder, subject = found[str(folder)], load_subject(folder)
        assert of_folder["version"].startswith(f"{generation}."), name
        assert not any(of_folder["keys"].values()), name
        subject.tokenizer.backend.enable_padding(pad_id=SPECIAL.pad, pad_token="[PAD]")
        rows = subject.tokenizer.backend.encode_batch(PAIRS)
        tokens, attends = (np.array([getattr(row, field) for row in rows]) for field in ("ids", "attention_mask"))
        types = np.array([row.type_ids for row in rows])
        if (subject.config.token_types() or ("", 1))[1] < 2:
            types = np.zeros_like(types)
        assert of_folder["tokens"] == tokens.tolist(), name
        logits = subject.logits(tokens, types, attends)
        np.testing.assert_allclose(np.array(of_folder["logits"])[attends == 1], logits[attends == 1], atol=1e-4)


def test_transformers_5_reads_every_export(folders: dict[str, Path]) -> None:
    found = read_exports([str(folder) for folder in folders.values()], PAIRS)
    check_pairs_of_texts(folders, found, "5")


@pytest.mark.slow
@pytest.mark.skipif(
    not TRANSFORMERS_4.exists(),
    reason="transformers 4 is not installed beside the current one; run_tests.sh does that",
)
def test_transformers_4_reads_every_export(folders: dict[str, Path], tmp_path: Path) -> None:
    asked = json.dumps([[str(folder) for folder in folders.values()], PAIRS])
    done = subprocess.run(
        [sys.executable, Path(read_exports.__code__.co_filename), asked],
        capture_output=True, text=True, timeout=300,
        env={"HF_HUB_OFFLINE": "1", "PATH": "", "HOME": str(tmp_path), "PYTHONPATH": str(TRANSFORMERS_4)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    check_pairs_of_texts(folders, json.loads(done.stdout.splitlines()[-1]), "4")
