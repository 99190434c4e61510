"""The losses of tasks: transformers', and as if a batch had no padding."""

import importlib.util
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from families import FAMILIES, SPECIAL, VOCAB
from read_exports import loaded
from tuned_models import HEADS, subject_of, written

from pretrain.hugging_face.weights import flatten
from pretrain.models.task_heads import TaskHead
from pretrain.objectives.fine_tuning.tuning import FineTuning
from pretrain.objectives.losses import sum_of_losses
from pretrain.objectives.protocols import Keys

EVERY_KIND = pytest.mark.parametrize("head", [pytest.param(head, id=name) for name, head in HEADS.items()])
BERT = FAMILIES["bert"].config
LENGTHS = np.array([12, 9, 12])
KEYS = Keys(0, "threefry")


def batch_of(head: TaskHead, *, rows: int = 3, length: int = 12) -> dict[str, np.ndarray]:
    """Three rows, with more rows and tokens of padding; one token has no tag."""
    random = np.random.default_rng(0)
    labels: dict[str, np.ndarray] = {
        "classifier": random.integers(0, 3, 3).astype(np.int32) if head.labels else np.float32([0.5, 3.0, 5.0]),
        "tags": np.where(np.arange(12) < 7, random.integers(0, 3, (3, 12)), -1).astype(np.int32),
        "span": np.array([[1, 3], [0, 0], [7, 8]], np.int32),
    }
    tokens = np.where(np.arange(12) < LENGTHS[:, None], random.integers(5, VOCAB, (3, 12)), SPECIAL.pad)

    def padded(array: np.ndarray, value: int) -> np.ndarray:
        shape = (rows, length) if array.shape[1:] == (12,) else (rows, *array.shape[1:])
        filled = np.full(shape, value, array.dtype)
        filled[tuple(slice(size) for size in array.shape)] = array
        return filled[None]

    return {
        "tokens": padded(tokens.astype(np.int32), SPECIAL.pad),
        "token_types": padded(np.zeros((3, 12), np.int32), 0),
        "lengths": padded(LENGTHS.astype(np.int32), 0),
        "labels": padded(labels[head.kind], -1 if head.kind == "tags" else 0),
    }


def loss_of(objective: FineTuning, params: Any, batch: Any) -> Any:
    """As a training step has it: sums over the totals of the batch."""
    prepared = objective.prepare(batch, None)
    sums = objective.loss_sums(params, jax.tree.map(lambda array: array[0], prepared), None)
    return sum_of_losses(sums, objective.totals(prepared), objective.weights)


@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("torch", "transformers"))), reason="torch or transformers is not installed"
)
@EVERY_KIND
def test_the_loss_is_that_of_transformers(head: TaskHead, tmp_path: Path) -> None:
    import torch

    subject = subject_of(BERT, head, tmp_path)
    theirs = loaded(written(subject, tmp_path / "export"))[0].eval()
    batch = {name: array[0] for name, array in batch_of(head).items()}
    if head.kind == "span":  # transformers counts padding as an answer
        batch = {name: array[[0, 2]] for name, array in batch.items()}
    labels = torch.tensor(batch["labels"])
    if head.kind == "span":
        told = {"start_positions": labels[:, 0].long(), "end_positions": labels[:, 1].long()}
    elif head.labels:
        told = {"labels": torch.where(labels < 0, -100, labels).long()}
    else:
        told = {"labels": labels}
    attends = torch.tensor(np.arange(12) < batch["lengths"][:, None]).long()
    expected = theirs(input_ids=torch.tensor(batch["tokens"]).long(), attention_mask=attends, **told).loss
    objective = FineTuning(subject.with_task(head, subject.model.compute), KEYS)
    with jax.default_matmul_precision("highest"):
        found = jax.jit(lambda params: loss_of(objective, params, {n: a[None] for n, a in batch.items()}))(
            subject.params
        )
    np.testing.assert_allclose(found, float(expected.detach()), rtol=1e-5)


@EVERY_KIND
def test_padding_changes_no_loss_and_no_gradient(head: TaskHead, tmp_path: Path) -> None:
    subject = subject_of(BERT, head, tmp_path)
    objective = FineTuning(subject.with_task(head, subject.model.compute), KEYS)
    step = jax.jit(jax.value_and_grad(lambda params, batch: loss_of(objective, params, batch)))
    loss, gradients = step(subject.params, batch_of(head))
    with_padding, same = step(subject.params, batch_of(head, rows=8, length=24))
    np.testing.assert_allclose(with_padding, loss, rtol=1e-5)
    for path, gradient in flatten(gradients):
        np.testing.assert_allclose(dict(flatten(same))[path], gradient, atol=1e-5, err_msg=path)


def test_only_the_head_of_a_frozen_encoder_has_gradients_and_weight_decay(tmp_path: Path) -> None:
    head = HEADS["classes"]
    subject = subject_of(BERT, head, tmp_path)
    objective = FineTuning(subject.with_task(head, subject.model.compute), KEYS, frozen=True)
    gradients = jax.jit(jax.grad(lambda params, batch: loss_of(objective, params, batch)))(
        subject.params, batch_of(head)
    )
    moved = {path for path, gradient in flatten(gradients) if np.asarray(gradient).any()}
    assert moved == {f"{name}/{kind}" for name in ("bert/pooler/dense", "classifier") for kind in ("kernel", "bias")}
    assert {rule.pattern for rule in objective.rules() if rule.is_decayed} == {
        "bert/pooler/dense/kernel",
        "classifier/kernel",
    }


def test_dropout_is_the_heads_own_where_the_encoder_is_frozen(tmp_path: Path) -> None:
    head = TaskHead("classifier", ("a", "b"), 0.5)
    subject = subject_of(BERT, head, tmp_path)
    assert BERT.has_dropout()
    objective = FineTuning(subject.with_task(head, subject.model.compute), KEYS, frozen=True)
    prepared = objective.prepare({name: jnp.asarray(array) for name, array in batch_of(head).items()}, None)
    row = jax.tree.map(lambda array: array[0], prepared)
    hidden = [jax.jit(lambda key: objective.logits(subject.params, row, key))(jax.random.key(seed)) for seed in (0, 1)]
    assert np.abs(hidden[0] - hidden[1]).max() > 1e-3


def test_half_of_the_steps_read_the_values_that_are_wanted(tmp_path: Path) -> None:
    subject = subject_of(BERT, HEADS["span"], tmp_path)
    model = subject.with_task(TaskHead("slots", ("식당-이름", "식당-지역")), subject.model.compute)
    objective = FineTuning(model, KEYS, names=((5, 6), (5, 7)))
    batch = {name: np.repeat(array, 4, 0) for name, array in batch_of(HEADS["span"]).items()}
    teachers = np.stack([objective.prepare(batch, jnp.int32(step))["teacher"] for step in range(100)])
    assert teachers.shape == (100, 4, 3)
    assert (teachers == teachers[:, :1, :1]).all(), "the whole batch alike, whatever is accumulated"
    assert 35 < teachers[:, 0, 0].sum() < 65
    assert not objective.prepare(batch, None)["teacher"].any()
