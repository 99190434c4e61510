"""A family and an objective that the project does not have train, resume and export, without an edit anywhere."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file
from tiny_run import LENGTH, TINY, VOCABULARY, changed, untimed, write_records
from toy_family.config import ToyConfig
from toy_family.family import FAMILY, Toy
from toy_objective.recipe import Tandem

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.records import read_header
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.checkpoints.restore import restore_params
from pretrain.checkpoints.verify import facts_of, step_folder
from pretrain.exporting.export import export
from pretrain.job import objective_of
from pretrain.models.protocols import Compute, Inputs
from pretrain.monitoring.inspect import print_batch
from pretrain.subject import load_subject
from pretrain.train import train

pytestmark = pytest.mark.usefixtures("shared_programs")
ROOT = Path(__file__).parents[2]
TOY = changed(TINY, model=ToyConfig())
TANDEM = changed(TOY, objective=Tandem())


def trained_twice(new_run: Callable[..., RunFolder], recipe: Any) -> RunFolder:
    """A run that was stopped after two steps and resumed, with the metrics of one that nobody stopped."""
    whole, parts = new_run("whole"), new_run("parts")
    train(whole, "toy", recipe)
    train(parts, "toy", changed(recipe, stop_at_step=2))
    train(parts, "toy", recipe)
    assert untimed(parts) == untimed(whole)
    losses = [line["loss"] for line in untimed(whole) if "loss" in line]
    assert losses[-1] < losses[0]
    return parts


def same_logits(folder: Path, model: Toy, params: Any) -> None:
    subject = load_subject(folder)
    assert subject.family is FAMILY
    ids = np.arange(2 * LENGTH).reshape(2, LENGTH) % VOCABULARY
    inputs = Inputs(*[jnp.asarray(ids)] * 4)
    np.testing.assert_allclose(
        subject.logits(ids, ids, ids), model.vocabulary_logits(params, model.encode(params, inputs)), atol=1e-5
    )


def test_a_family_of_the_test_suite_trains_resumes_and_exports(
    new_run: Callable[..., RunFolder], tmp_path: Path
) -> None:
    run = trained_twice(new_run, TOY)
    export(run, None, tmp_path / "export")
    params = restore_params(step_folder(run.checkpoints, 6))
    same_logits(tmp_path / "export", Toy(ToyConfig(), VOCABULARY, FAMILY.heads, Compute()), params)
    card = (tmp_path / "export" / "README.md").read_text()
    assert "A Korean Toy of 3 turns, 16 wide" in card
    told = json.loads((tmp_path / "export" / "tokenizer_config.json").read_text())
    assert told["model_input_names"] == ["input_ids", "attention_mask"], "it has no token types"


@pytest.mark.parametrize(
    "fields",
    [
        {"mesh": {"data": 1, "fsdp": 8}, "optimizer": {"name": "muon"}},
        pytest.param({"mesh": {"data": 4, "tensor": 2}, "accumulation": 2}, marks=pytest.mark.slow),
        pytest.param({"optimizer": {"name": "lamb"}, "accumulation": 2}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_its_losses_are_the_same_on_every_mesh_and_with_every_optimizer(
    fields: dict[str, Any], new_run: Callable[..., RunFolder]
) -> None:
    split, alone = new_run("split"), new_run("alone")
    train(split, "toy", changed(TOY, **fields))
    train(alone, "toy", changed(TOY, **{**fields, "mesh": {}, "accumulation": 1}))
    for one, other in zip(untimed(split), untimed(alone), strict=True):
        assert one == pytest.approx(other, rel=1e-4)


def test_an_objective_of_two_models_that_share_a_table_trains_resumes_and_exports_both(
    new_run: Callable[..., RunFolder], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained_twice(new_run, TANDEM)
    params = restore_params(step_folder(run.checkpoints, 6))
    assert "table" not in params["second"]["toy"], "the shared table is kept once"
    export(run, None, tmp_path / "export")
    folders = {"first": tmp_path / "export", "second": tmp_path / "export" / "helper"}
    tables = [load_file(folder / "model.safetensors")["table"] for folder in folders.values()]
    np.testing.assert_array_equal(tables[0], tables[1])
    objective = objective_of(TANDEM, read_header(run.examples))
    for part, folder in folders.items():
        same_logits(folder, objective.parts.models[part], objective.parts.of(params, part))  # type: ignore[arg-type]
        assert load_subject(run.path, part=part).config == load_subject(folder).config
    assert json.loads((folders["second"] / "config.json").read_text())["turns"] == 1
    with pytest.raises(InputError, match="has no model third; its models are first, second"):
        load_subject(run.path, part="third")
    card = folders["second"] / "README.md"
    card.write_text(card.read_text().replace("unknown", "known"))
    with pytest.raises(InputError, match=r"its helper/README\.md is not as this run exported it"):
        export(run, 2, tmp_path / "export")
    print_batch(run, None, 1)
    assert "tokens of row 0" in capsys.readouterr().out
    assert "evaluation_second_accuracy" in untimed(run)[-1]


def test_what_two_models_share_counts_once(new_run: Callable[..., RunFolder]) -> None:
    objective = objective_of(TANDEM, read_header(new_run().examples))
    in_heads = 2 * VOCABULARY
    leaves = sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(objective.init)))
    assert objective.parts.parameter_count() == leaves - in_heads


@pytest.mark.parametrize(
    ("recipe", "layout", "words"),
    [
        (TOY, "sentence_pairs", "model is a ToyConfig, which has no head pair"),
        (TANDEM, "sentence_pairs", "layout sentence_pairs, which tandem of this model does not take; .*: packed"),
    ],
)
def test_records_that_model_or_objective_cannot_read_are_refused(
    recipe: Any, layout: str, words: str, new_run: Callable[..., RunFolder]
) -> None:
    with pytest.raises(InputError, match=words):
        train(new_run(layout=layout), "toy", recipe)


def test_what_lies_in_a_checkpoint_suffices_to_export_it(new_run: Callable[..., RunFolder], tmp_path: Path) -> None:
    """Without records and recipe file."""
    run = new_run()
    train(run, "toy", changed(TOY, stop_at_step=2))
    facts = facts_of(step_folder(run.checkpoints, 2))
    assert facts["models"]["model"]["family"] == "toy"
    for path in (*run.examples.iterdir(), run.path / "training_recipe.json"):
        path.unlink()
    export(run, None, tmp_path / "export")
    assert load_subject(tmp_path / "export").tokenizer.pieces == Tokenizer(run.vocabulary).pieces


def test_a_map_that_is_applied_again_and_again_sums_its_gradients_in_float32() -> None:
    """The cast of the parameter is inside the loop, so that what the loop adds up is the gradient of the float32 parameter."""
    model = Toy(ToyConfig(), VOCABULARY, FAMILY.heads, Compute(compute_dtype="bfloat16"))
    params = jax.eval_shape(model.init, jax.random.key(0))
    tokens = jax.ShapeDtypeStruct((4, LENGTH), jnp.int32)

    def loss(params: Any, tokens: jax.Array) -> jax.Array:
        return model.encode(params, Inputs(*[tokens] * 4)).astype(jnp.float32).sum()

    program = jax.jit(jax.grad(loss)).lower(params, tokens).as_text()
    (backward,) = [
        line
        for line in program.splitlines()
        if "stablehlo.while" in line and "tensor<16x16xf32>" in line.split(":")[-1]
    ][-1:]
    carried = backward.rpartition(" : ")[2]
    assert "tensor<16x16xf32>" in carried
    additions = [line for line in program.splitlines() if "stablehlo.add" in line and "tensor<16x16x" in line]
    assert additions
    assert all("tensor<16x16xf32>" in line for line in additions)


def test_the_public_commands_take_the_family_of_a_recipe_file(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    write_records(run.examples)
    run.record("examples", {})
    recipe = tmp_path / "toy.py"
    recipe.write_text(
        "from tiny_run import TINY, changed\nfrom toy_family.config import ToyConfig\n"
        "training = changed(TINY, model=ToyConfig(width=24))\n"
    )

    def command(*words: object) -> subprocess.CompletedProcess[str]:
        paths = os.pathsep.join([str(ROOT / "tests" / "support"), str(ROOT)])
        return subprocess.run(
            [sys.executable, "-m", "pretrain", *map(str, words)], capture_output=True, text=True, timeout=300,
            env={**os.environ, "PYTHONPATH": paths, "JAX_PLATFORMS": "cpu"},
        )  # fmt: skip

    help_text = command("train", recipe, "--help").stdout
    assert "--training.model.turns" in help_text
    assert "--training.model.hidden-size" not in help_text
    other = command("train", recipe, "--run-dir", run.path, "--training.model.hidden-size", 8)
    assert other.returncode == 2
    assert (
        "--training.model.hidden-size: no such flag; BertConfig has it, and this recipe's model is a ToyConfig"
        in other.stderr
    )
    done = command("train", recipe, "--run-dir", run.path, "--training.model.turns", 2)
    assert done.returncode == 0, done.stderr
    assert "nothing to train" in command("train", recipe, "--run-dir", run.path, "--training.model.turns", 2).stderr
    for words, expected in (("inspect", "the batch of step 7"), ("export", "Toy of step 6")):
        ran = command(words, run.path)
        assert ran.returncode == 0, ran.stderr
        assert expected in ran.stdout + ran.stderr
    alone = subprocess.run(
        [sys.executable, "-m", "pretrain", "export", str(run.path), "--to", str(tmp_path / "x")], cwd=ROOT,
        capture_output=True, text=True, timeout=300, env={**os.environ, "PYTHONPATH": "", "JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    assert alone.returncode == 2
    assert "needs toy_family.config, which cannot be imported here" in alone.stderr
