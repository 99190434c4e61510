"""Fine-tuning: the same as torch, on any mesh, and bit for bit again."""

import importlib.util
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from families import EVERY_TUNED_FAMILY, FAMILIES, SPECIAL, VOCAB, Tiny
from read_exports import loaded
from tuned_models import HEADS, subject_of, written

from data_pipeline.contract.errors import InputError, WorkError
from pretrain.evaluate.buckets import training_plan
from pretrain.evaluate.encoding import LabelledRows
from pretrain.evaluate.hardware import Hardware
from pretrain.evaluate.tasks.task import Settings
from pretrain.evaluate.tuner import Epoch, Tuner, recipe_of
from pretrain.hugging_face.weights import flatten, to_hugging_face
from pretrain.models.config import ModelConfig, with_padding, with_vocabulary
from pretrain.models.protocols import Compute
from pretrain.models.task_heads import TaskHead
from pretrain.optimization.learning_rate import learning_rate
from pretrain.recipe import Mesh
from pretrain.subject import Subject

BERT: Any = FAMILIES["bert"].config
SETTINGS = Settings(epochs=2, batch_size=12, learning_rate=1e-3, max_length=24, adam_eps=1e-6, weight_decay=0.1)


def tuner_of(
    subject: Subject, head: TaskHead, splits: dict[str, LabelledRows], settings: Settings = SETTINGS, **options: Any
) -> Tuner:
    """On one device, unless `mesh` asks for more."""
    mesh = options.pop("mesh", Mesh(1, 1, 1))
    devices = jax.devices()[: mesh.data * mesh.fsdp * mesh.tensor]
    return Tuner(subject, head, splits, settings, Hardware(mesh), devices=devices, **options)


def rows_for(head: TaskHead, count: int, seed: int = 0) -> LabelledRows:
    """Rows whose labels are told by their tokens."""
    random = np.random.default_rng(seed)
    tokens, labels = [], []
    for _ in range(count):
        row = random.integers(8, VOCAB, random.integers(4, 21)).astype(np.int32)
        row[0], row[-1] = SPECIAL.cls, SPECIAL.sep
        chosen = int(random.integers(1, len(row) - 1))
        places = slice(1, -1, 2) if head.kind == "classifier" else chosen
        row[places] = 5 + random.integers(len(head.labels) or 3)
        told: dict[str, Any] = {
            "classifier": int(row[1] - 5) if head.labels else float(row[1] - 5),
            "tags": np.where(row >= 5, row % 3, -1),
            "span": [chosen, chosen],
        }
        tokens.append(row)
        is_score = head.kind == "classifier" and not head.labels
        labels.append(np.array(told[head.kind], np.float32 if is_score else np.int32))
    names = tuple(map(str, range(count)))
    return LabelledRows(names, tuple(tokens), tuple(np.zeros_like(row) for row in tokens), tuple(labels))


def untrained(config: ModelConfig, folder: Path, *, dropout: float | None = None) -> Subject:
    """A model as pretraining would begin it, without heads."""
    if dropout is not None:
        config = replace(config, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout)  # type: ignore[call-arg]
    config = with_vocabulary(with_padding(config, SPECIAL.pad), VOCAB)
    family = subject_of(config, HEADS["span"], folder).family
    model = family.make(config, VOCAB, frozenset(), Compute())
    tensors = to_hugging_face(jax.jit(model.init)(jax.random.key(0)), family.rules(config, frozenset()), VOCAB)
    tokenizer = subject_of(config, HEADS["span"], folder).tokenizer
    return Subject(family, config, frozenset(), tensors, tokenizer, "test")


def trained(tuner: Tuner, seed: int) -> tuple[Epoch, dict[str, np.ndarray]]:
    """The last epoch of a seed, and the parameters after it."""
    *_, last = tuner.epochs(seed)
    return last, {path: np.asarray(leaf) for path, leaf in flatten(tuner.params)}


@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("torch", "transformers"))), reason="torch or transformers is not installed"
)
def test_three_steps_are_those_of_torch(tmp_path: Path) -> None:
    """AdamW without decay of biases and norms, clipping, warmup and a linear way down, on the same batches."""
    import torch
    import transformers

    head, settings = HEADS["classes"], replace(SETTINGS, epochs=1.0, warmup_share=0.34, clip=0.05)
    subject = subject_of(replace(BERT, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0), head, tmp_path)
    rows, head = rows_for(head, 32), replace(head, dropout=0.0)
    subject = replace(subject, task=head)
    tuner = tuner_of(subject, head, {"train": rows, "test": rows}, settings)
    start = replace(tuner.tuned(tuner.start(1)), of_run=False)
    theirs = loaded(written(start, tmp_path / "start"))[0].train()
    for module in theirs.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    named = list(theirs.named_parameters())
    undecayed = [parameter for name, parameter in named if name.endswith("bias") or "LayerNorm" in name]
    decayed = [parameter for name, parameter in named if not (name.endswith("bias") or "LayerNorm" in name)]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.1}, {"params": undecayed, "weight_decay": 0.0}], lr=1e-3, eps=1e-6
    )
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, 1, 3)
    plan = training_plan(rows.lengths, 12, 24, seed=1, epoch=0)
    assert len(plan) == 3
    losses = []
    for batch in plan:
        tokens, attends = np.full((len(batch.rows), 24), SPECIAL.pad), np.zeros((len(batch.rows), 24), int)
        for place, row in enumerate(batch.rows):
            tokens[place, : len(rows.tokens[row])] = rows.tokens[row]
            attends[place, : len(rows.tokens[row])] = 1
        labels = torch.tensor([int(rows.labels[row]) for row in batch.rows])
        output = theirs(input_ids=torch.tensor(tokens), attention_mask=torch.tensor(attends), labels=labels)
        output.loss.backward()
        assert torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.05) > 0.05, "the test clips"
        losses.append((float(output.loss.detach()), len(batch.rows)))
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    with jax.default_matmul_precision("highest"):
        epoch, _ = trained(tuner, 1)
    np.testing.assert_allclose(
        epoch.loss, np.average([loss for loss, _ in losses], weights=[n for _, n in losses]), rtol=1e-5
    )
    ours = tuner.tuned().tensors
    for name, parameter in named:
        np.testing.assert_allclose(ours[name], parameter.detach().numpy(), atol=1e-5, err_msg=name)


@cache
def on_mesh(mesh: Mesh, kind: str, folder: Path) -> tuple[Epoch, dict[str, np.ndarray]]:
    head = replace(HEADS[kind], dropout=None)
    splits = {"train": rows_for(head, 30), "test": rows_for(head, 5, seed=1)}
    return trained(tuner_of(untrained(BERT, folder), head, splits, mesh=mesh), 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("model")


@pytest.mark.parametrize(
    "mesh",
    [
        pytest.param(Mesh(1, 8, 1), id="fsdp 8"),
        pytest.param(Mesh(8, 1, 1), id="data 8", marks=pytest.mark.slow),
        pytest.param(Mesh(2, 2, 2), id="data 2 x fsdp 2 x tensor 2", marks=pytest.mark.slow),
    ],
)
def test_other_devices_give_the_same_with_dropout(mesh: Mesh, folder: Path) -> None:
    alone = on_mesh(Mesh(1, 1, 1), "classes", folder)
    shared = on_mesh(mesh, "classes", folder)
    devices = mesh.data * mesh.fsdp * mesh.tensor
    assert devices == 8
    np.testing.assert_allclose(shared[0].loss, alone[0].loss, rtol=1e-4)
    for one, other in zip(shared[0].predictions["test"], alone[0].predictions["test"], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)


def test_a_seed_gives_the_same_bits_again_and_others_share_its_programs(folder: Path) -> None:
    head = HEADS["classes"]
    splits = {"train": rows_for(head, 30), "test": rows_for(head, 5, seed=1)}
    tuner = tuner_of(untrained(BERT, folder), head, splits)
    (one, params), (other, other_params) = trained(tuner, 1), trained(tuner, 2)
    compiled = tuner.compile_seconds
    again, again_params = trained(tuner, 1)
    assert tuner.compile_seconds == compiled
    assert one.loss == again.loss
    for path, array in params.items():
        np.testing.assert_array_equal(array, again_params[path], path)
    np.testing.assert_array_equal(one.predictions["test"], again.predictions["test"])
    assert other.loss != one.loss
    assert (other_params["classifier/kernel"] != params["classifier/kernel"]).all()


def right(predictions: Sequence[np.ndarray], rows: LabelledRows, head: TaskHead) -> float:
    """The share of rows, or of tags, that are told right; of scores those that round to the right one."""
    if head.kind == "tags":
        real = [label >= 0 for label in rows.labels]
        pairs = [(found[known], gold[known]) for found, gold, known in zip(predictions, rows.labels, real, strict=True)]
        return float(np.mean(np.concatenate([found == gold for found, gold in pairs])))
    if head.kind == "span":
        return float(
            np.mean([(found.argmax(0) == gold).all() for found, gold in zip(predictions, rows.labels, strict=True)])
        )
    guesses = [found.argmax() if head.labels else np.rint(found[0]) for found in predictions]
    return float(np.mean(np.array(guesses) == np.array(rows.labels)))


@pytest.mark.parametrize("kind", HEADS)
def test_every_kind_of_head_learns_what_its_rows_say(kind: str, folder: Path) -> None:
    # Three classes are more than so small a model separates in seconds.
    head = replace(HEADS[kind], dropout=None, labels=HEADS[kind].labels[: 2 if kind == "classes" else None])
    splits = {"train": rows_for(head, 240), "test": rows_for(head, 40, seed=1)}
    settings = replace(SETTINGS, epochs=12, learning_rate=5e-3, weight_decay=0.0, warmup_share=0.1)
    epochs = list(tuner_of(untrained(BERT, folder, dropout=0.0), head, splits, settings).epochs(0))
    assert [epoch.number for epoch in epochs] == list(range(1, 13))
    assert epochs[-1].loss < 0.3 * epochs[0].loss
    found = epochs[-1].predictions["test"]
    lengths = splits["test"].lengths
    shapes = {"classes": (2,), "score": (1,)}
    assert [row.shape for row in found] == [
        shapes.get(kind, (length, 2) if kind == "span" else (length,)) for length in lengths
    ]
    assert right(found, splits["test"], head) > 0.8


OTHER_DEVIATIONS = {"modernbert": {"head.dense.weight": 0.02 / 4**0.5, "classifier.weight": 16**-0.5}}
"""Of what a family draws wider or narrower than 0.02."""


@EVERY_TUNED_FAMILY
def test_every_family_starts_from_its_trained_encoder(tiny: Tiny, tmp_path: Path) -> None:
    head = HEADS["classes"]
    subject = untrained(tiny.config, tmp_path)
    rows = rows_for(head, 12)
    tuner = tuner_of(subject, head, {"train": rows, "test": rows}, replace(SETTINGS, learning_rate=1e-9))
    start = tuner.tuned(tuner.start(0)).tensors
    for name in subject.tensors.keys() & start.keys():
        np.testing.assert_array_equal(start[name], subject.tensors[name], name)
    # A Funnel's classifier of rows has no decoder.
    assert all(name.startswith("funnel.decoder.") for name in subject.tensors.keys() - start.keys())
    drawn = {name: tensor for name, tensor in start.items() if name not in subject.tensors}
    assert {name.rpartition(".")[2] for name in drawn} <= {"weight", "bias"}
    expected = OTHER_DEVIATIONS.get(subject.family.name, {})
    for name, tensor in drawn.items():  # as transformers draws what it adds
        if name.endswith(("bias", "norm.weight")):
            assert (tensor == float(name.endswith("weight"))).all(), name
        else:
            assert 0.5 < tensor.std() / expected.get(name, 0.02) < 1.5, name
    other = tuner.tuned(tuner.start(1)).tensors
    assert all((other[name] != drawn[name]).all() for name in drawn if name.endswith("weight") and drawn[name].std())
    *_, last = tuner.epochs(0)
    assert np.isfinite(last.loss)


def test_a_pooler_that_pretraining_left_is_taken_and_an_older_head_is_not(tmp_path: Path) -> None:
    subject = subject_of(BERT, HEADS["classes"], tmp_path)
    rows = rows_for(HEADS["classes"], 12)
    tuner = tuner_of(subject, HEADS["classes"], {"train": rows})
    start = tuner.tuned(tuner.start(0)).tensors
    np.testing.assert_array_equal(start["bert.pooler.dense.weight"], subject.tensors["bert.pooler.dense.weight"])
    assert (start["classifier.weight"] != subject.tensors["classifier.weight"]).all()


def test_a_frozen_encoder_stays_as_it_is(folder: Path) -> None:
    head, subject = HEADS["classes"], untrained(BERT, folder)
    rows = rows_for(head, 24)
    tuner = tuner_of(subject, head, {"train": rows}, frozen=True)
    start = tuner.tuned(tuner.start(0)).tensors
    list(tuner.epochs(0))
    moved = {name for name, tensor in tuner.tuned().tensors.items() if (tensor != start[name]).any()}
    assert moved == {f"{name}.{kind}" for name in ("bert.pooler.dense", "classifier") for kind in ("weight", "bias")}


def test_half_an_epoch_is_half_its_batches(folder: Path) -> None:
    rows = rows_for(HEADS["classes"], 60)
    settings = replace(SETTINGS, epochs=1.5)
    tuner = tuner_of(untrained(BERT, folder), HEADS["classes"], {"train": rows}, settings)
    assert [(epoch.number, epoch.steps) for epoch in tuner.epochs(0)] == [(1, 5), (2, 3)]


def test_a_loss_that_is_not_finite_stops_with_what_to_do(folder: Path) -> None:
    rows = rows_for(HEADS["classes"], 24)
    subject = untrained(BERT, folder)
    broken = {name: tensor * np.float32(np.nan) for name, tensor in subject.tensors.items()}
    tuner = tuner_of(replace(subject, tensors=broken), HEADS["classes"], {"train": rows})
    with pytest.raises(WorkError, match="seed 0, epoch 1: loss or gradient of 2 of 2 steps is not finite"):
        list(tuner.epochs(0))


def test_a_family_without_heads_of_tasks_is_refused(folder: Path) -> None:
    subject = untrained(BERT, folder)
    subject = replace(subject, family=replace(subject.family, for_task=None))
    with pytest.raises(InputError, match="test: is a BERT, which is not fine-tuned here"):
        tuner_of(subject, HEADS["classes"], {"train": rows_for(HEADS["classes"], 8)})


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_learning_rates_are_those_of_transformers(schedule: Any) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    ours = learning_rate(recipe_of(replace(SETTINGS, schedule=schedule, warmup_share=0.2), 20))
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
    name = {"constant": "constant_with_warmup"}.get(schedule, schedule)
    theirs = transformers.get_scheduler(name, optimizer, num_warmup_steps=4, num_training_steps=20)
    for step in range(20):
        np.testing.assert_allclose(float(ours(step)), theirs.get_last_lr()[0], atol=1e-9)
        optimizer.step()
        theirs.step()
