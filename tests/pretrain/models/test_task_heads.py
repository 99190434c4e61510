"""The heads of fine-tuned models: transformers computes the same, and folders are read in both directions."""

import importlib.util
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from families import FAMILIES, SPECIAL, TUNED, VOCAB, with_tokenizer
from read_exports import loaded
from tuned_models import HEADS, subject_of, written

from pretrain.hugging_face.weights import flatten, to_hugging_face
from pretrain.models.config import ModelConfig
from pretrain.models.protocols import Compute, Inputs
from pretrain.models.registry import family_of
from pretrain.models.task_heads import TaskHead, task_from_json, task_to_json
from pretrain.subject import Subject, load_subject

EVERY_HEAD = pytest.mark.parametrize(
    ("config", "head"),
    [
        pytest.param(tiny.config, head, id=f"{family} {name}")
        for family, tiny in ((name, FAMILIES[name]) for name in TUNED)
        for name, head in HEADS.items()
    ],
)
with_transformers = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("torch", "transformers"))), reason="torch or transformers is not installed"
)
LENGTHS = np.array([20, 13, 7])
REAL = np.arange(20) < LENGTHS[:, None]


def inputs(config: ModelConfig) -> Any:
    """A text a row, then padding."""
    tokens = np.where(REAL, np.random.default_rng(2).integers(5, VOCAB, REAL.shape), SPECIAL.pad)
    positions = np.broadcast_to(np.arange(20), tokens.shape)
    second = (config.token_types() or ("", 1))[1] > 1
    return Inputs(tokens, REAL.astype(int), positions, (REAL & (positions >= 5)).astype(int) * second)


@pytest.mark.parametrize("config", [pytest.param(FAMILIES[name].config, id=name) for name in TUNED])
@pytest.mark.parametrize(
    "head", [*HEADS.values(), TaskHead("dependencies", ("NP", "VP")), TaskHead("slots", ("식당-이름",))]
)
def test_every_parameter_has_one_rule_and_every_rule_a_parameter(config: ModelConfig, head: TaskHead) -> None:
    family = family_of(config)
    assert family.for_task
    model = family.for_task(config, VOCAB, head, Compute())
    rules = family.rules(config, model.heads)
    paths = [path for path, _ in flatten(jax.eval_shape(model.init, jax.random.key(0)))]
    for rule in rules:
        assert any(re.fullmatch(rule.pattern, path) for path in paths), rule.pattern
    for path in paths:
        assert sum(bool(re.fullmatch(rule.pattern, path)) for rule in rules) == 1, path


@EVERY_HEAD
def test_a_head_is_told_by_its_config_json(config: ModelConfig, head: TaskHead) -> None:
    assert task_from_json(task_to_json(head, "Bert")) == head


@EVERY_HEAD
def test_a_folder_is_read_back_as_it_was(config: ModelConfig, head: TaskHead, tmp_path: Path) -> None:
    subject = subject_of(config, head, tmp_path)
    folder = written(subject, tmp_path / "export")
    again = load_subject(folder)
    assert (again.task, again.heads, again.unknown_heads) == (head, frozenset({head.kind}), ())
    for name in ("model.safetensors", "config.json"):
        assert (written(again, tmp_path / "again") / name).read_bytes() == (folder / name).read_bytes(), name


def test_a_folder_whose_head_is_not_whole_is_a_bare_encoder(tmp_path: Path) -> None:
    subject = subject_of(FAMILIES["bert"].config, HEADS["classes"], tmp_path)
    tensors = {name: tensor for name, tensor in subject.tensors.items() if name != "classifier.bias"}
    again = load_subject(written(replace(subject, tensors=tensors), tmp_path / "export"))
    assert (again.task, again.heads) == (None, frozenset())
    assert again.unknown_heads == ("classifier.weight",)
    assert "bert.pooler.dense.weight" in again.tensors, "the next classifier begins with it"


@with_transformers
@EVERY_HEAD
def test_logits_and_gradients_are_those_of_transformers(config: ModelConfig, head: TaskHead, tmp_path: Path) -> None:
    import torch
    import transformers

    subject = subject_of(config, head, tmp_path)
    folder, rows = written(subject, tmp_path / "export"), inputs(config)
    their_model, keys = loaded(folder)
    assert not any(keys.values())
    auto = getattr(transformers, subject.auto_class).from_pretrained(folder)
    assert type(auto) is type(their_model)
    labels = head.labels or ("LABEL_0", "LABEL_1")[: head.outputs]
    assert their_model.config.id2label == dict(enumerate(labels))
    given = {"input_ids": rows.tokens, "attention_mask": rows.segments}
    if rows.token_types.any():
        given["token_type_ids"] = rows.token_types
    output = their_model.eval()(**{name: torch.tensor(array) for name, array in given.items()})
    if head.kind == "span":
        logits = torch.stack([output["start_logits"], output["end_logits"]], -1)
    else:
        logits = output["logits"]
    found = subject.logits(rows.tokens, rows.token_types, rows.segments)
    real = slice(None) if head.kind == "classifier" else REAL
    assert logits.detach().numpy().std() > 0.1, "large enough for the tolerance to mean something"
    np.testing.assert_allclose(found[real], logits.detach().numpy()[real], atol=1e-4)
    factors = np.random.default_rng(3).normal(0, 1, found[real].shape).astype(np.float32)
    real_of_torch = real if head.kind == "classifier" else torch.tensor(REAL)
    (logits[real_of_torch] * torch.tensor(factors)).sum().backward()
    copies = subject.family.not_parameters
    expected: dict[str, Any] = {
        name: parameter.grad
        for name, parameter in their_model.named_parameters()
        if not copies or not name.startswith(copies)
    }
    gradients = gradients_of(subject, rows, real, factors)
    assert gradients.keys() == expected.keys()
    largest = max(float(gradient.norm()) for gradient in expected.values())
    for name, gradient in expected.items():
        difference = np.linalg.norm(gradients[name] - gradient.numpy())
        assert difference < 1e-4 * max(float(gradient.norm()), 1e-2 * largest), name


def gradients_of(subject: Subject, rows: Inputs, real: Any, factors: np.ndarray) -> dict[str, np.ndarray]:
    model: Any = subject.model

    def loss(params: Any) -> jax.Array:
        arrays = Inputs(*map(jnp.asarray, rows))
        logits: jax.Array = model.task_logits(params, model.encode(params, arrays), arrays)
        return (logits[real] * factors).sum()

    with jax.default_matmul_precision("highest"):
        return to_hugging_face(jax.jit(jax.grad(loss))(subject.params), subject.rules, VOCAB)


@with_transformers
@EVERY_HEAD
def test_a_folder_that_transformers_wrote_is_read_tensor_for_tensor(
    config: ModelConfig, head: TaskHead, tmp_path: Path
) -> None:
    subject = subject_of(config, head, tmp_path)
    their_model, _ = loaded(written(subject, tmp_path / "ours"))
    their_model.save_pretrained(tmp_path / "theirs")
    again = load_subject(with_tokenizer(tmp_path / "theirs", config))
    assert again.heads == subject.heads
    assert again.task is not None
    assert (again.task.kind, again.task.labels) == (head.kind, head.labels)
    for name, tensor in subject.tensors.items():
        np.testing.assert_array_equal(again.tensors[name], tensor, name)


@EVERY_HEAD
def test_dropout_of_the_head_is_of_each_row_and_off_without_a_key(
    config: ModelConfig, head: TaskHead, tmp_path: Path
) -> None:
    subject = subject_of(config, replace(head, dropout=0.5), tmp_path)
    model: Any = subject.model
    rows = Inputs(*map(jnp.asarray, inputs(config)))
    hidden = jax.jit(model.encode)(subject.params, rows)

    @jax.jit
    def scores(key: Any) -> jax.Array:
        found: jax.Array = model.task_logits(subject.params, hidden, rows, dropout_key=key)
        return found

    keys = jax.random.split(jax.random.key(0), 3)
    one, other = scores(keys), scores(keys[np.array([0, 2, 1])])
    without = model.task_logits(subject.params, hidden, rows)
    if head.kind == "span":  # transformers has none there
        np.testing.assert_allclose(one, without, atol=1e-5)
        return
    np.testing.assert_array_equal(one[0], other[0])
    assert (np.asarray(one)[1] != np.asarray(other)[1]).any()
    assert np.abs(one - without).max() > 1e-3


def test_a_config_json_without_labels_has_transformers_two() -> None:
    head = task_from_json({"architectures": ["BertForSequenceClassification"]})
    assert head == TaskHead("classifier", ("LABEL_0", "LABEL_1"))
    assert task_from_json({"architectures": ["BertForMaskedLM"]}) is None
    assert task_from_json({}) is None


def test_labels_are_in_the_order_of_their_ids() -> None:
    head = TaskHead("classifier", tuple("abcdefghijkl"))
    told = task_to_json(head, "Bert")
    assert task_from_json({**told, "id2label": dict(sorted(told["id2label"].items()))}) == head


@pytest.mark.parametrize(("exported", "expected"), [(None, 0.1), (0.25, 0.25)])
def test_a_run_is_fine_tuned_with_the_dropouts_that_its_export_names(
    exported: float | None, expected: float, tmp_path: Path
) -> None:
    config: Any = replace(FAMILIES["bert"].config, hidden_dropout_prob=0.0, exported_dropout=exported)  # type: ignore[call-arg]
    folder = subject_of(config, HEADS["classes"], tmp_path)
    run = replace(folder, of_run=True)
    found: Any = run.fine_tuning_config
    assert (found.hidden_dropout_prob, found.attention_probs_dropout_prob) == (expected, expected)
    assert found == load_subject(written(folder, tmp_path / "export")).fine_tuning_config
    assert folder.fine_tuning_config == folder.config
