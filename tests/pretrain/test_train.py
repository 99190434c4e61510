import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from tiny_run import TINY, changed, write_records

from data_pipeline.contract import run_folder
from data_pipeline.contract.errors import InputError, WorkError
from data_pipeline.contract.run_folder import RunFolder
from pretrain import train as training
from pretrain.checkpoints import Checkpoints, fault, list_steps, step_folder
from pretrain.metrics import MetricsWriter, read_metrics
from pretrain.recipe import TrainingRecipe
from pretrain.train import train

RECIPE = changed(TINY, model={"hidden_dropout_prob": 0.1})
pytestmark = pytest.mark.usefixtures("fast_to_compile")
TIMES = ("tokens_per_second", "data_wait", "mfu")


def untimed(run: RunFolder) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl without what depends on the machine's speed."""
    lines = read_metrics(run.metrics / "metrics.jsonl")
    return [{name: value for name, value in line.items() if name not in TIMES} for line in lines]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, fast_to_compile: None) -> RunFolder:
    """A run of six steps that nobody interrupted."""
    run = RunFolder(tmp_path_factory.mktemp("finished"))
    write_records(run.examples)
    train(run, "tiny", RECIPE)
    return run


CHILD = """
    import os, signal, sys
    import jax

    os.environ["JAX_PLATFORMS"] = "cpu"
    jax.config.update("jax_num_cpu_devices", 8)
    sys.path.insert(0, sys.argv[1])
    from tiny_run import TINY, changed
    from data_pipeline.contract import storage
    from data_pipeline.contract.run_folder import RunFolder
    from pretrain import checkpoints, metrics
    from pretrain.train import train

    def die(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    point = sys.argv[3]
    if point == "in the middle of a line of metrics":
        write = metrics.MetricsWriter.write
        def write_half(self, step, values):
            if step == 5:
                self._lines.write(b'{"step": 5, "lo')
                self._lines.flush()
                die()
            write(self, step, values)
        metrics.MetricsWriter.write = write_half
    elif point == "before the first manifest":
        checkpoints.Checkpoints._write_manifest = die
    elif point == "between a manifest and its note":
        write_json = checkpoints.write_json
        checkpoints.write_json = lambda path, value: die() if path.name == "committed.json" else write_json(path, value)
    elif point == "while old checkpoints are removed":
        checkpoints.shutil.rmtree = die
    keep = 1 if point == "while old checkpoints are removed" else 3
    train(RunFolder(sys.argv[2]), "tiny", changed(TINY, model={"hidden_dropout_prob": 0.1}, checkpoints={"keep": keep}))
"""


def killed(run: RunFolder, point: str) -> None:
    """Trains in a process of its own that kills itself with SIGKILL at a point."""
    command = [sys.executable, "-c", textwrap.dedent(CHILD), str(Path(__file__).parent), str(run.path), point]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.parametrize(
    ("point", "resumed_from"),
    [
        # Step 4 is written in the background: the process may die before or after its manifest.
        ("in the middle of a line of metrics", {2, 4}),
        pytest.param("before the first manifest", {None}, marks=pytest.mark.slow),
        pytest.param("between a manifest and its note", {2}, marks=pytest.mark.slow),
        pytest.param("while old checkpoints are removed", {4}, marks=pytest.mark.slow),
    ],
)
def test_resume_after_kill_gives_the_same_losses_bit_for_bit(
    finished: RunFolder, new_run: Callable[..., RunFolder], point: str, resumed_from: set[int | None]
) -> None:
    run = new_run()
    killed(run, point)
    valid = [step for step in list_steps(run.checkpoints) if fault(step_folder(run.checkpoints, step)) is None]
    assert max(valid, default=None) in resumed_from
    train(run, "tiny", RECIPE)
    assert untimed(run) == untimed(finished)


def test_a_finished_run_is_explained_by_its_folder(finished: RunFolder) -> None:
    section = finished.manifest()["train"]
    assert section["recipe"] == "tiny"
    assert section["step"] == 6
    assert section["rows_seen"] == 96
    lines = untimed(finished)
    assert section["tokens_seen"] == sum(line.get("real_tokens", 0) for line in lines)
    assert section["metrics"]["loss"] == [line["loss"] for line in lines if "loss" in line][-1]
    assert section["metrics"]["evaluation_loss"] == lines[-1]["evaluation_loss"]
    assert [
        (part["device_kind"], part["devices"], part["start_step"], part["stop_step"]) for part in section["parts"]
    ] == [("cpu", 8, 0, 6)]
    assert json.loads((finished.path / "training_recipe.json").read_text())["model"]["vocab_size"] == 200
    assert [line["step"] for line in lines] == [1, 2, 2, 3, 4, 4, 5, 6, 6]


def test_training_learns(finished: RunFolder) -> None:
    losses = [line["evaluation_loss"] for line in untimed(finished) if "evaluation_loss" in line]
    assert losses[-1] < losses[0] - 0.1


def test_a_run_in_two_parts_is_the_run_in_one(finished: RunFolder, new_run: Callable[..., RunFolder]) -> None:
    run = new_run()
    train(run, "tiny", changed(RECIPE, stop_at_step=4))
    train(run, "tiny", RECIPE)
    assert untimed(run) == untimed(finished)
    section = run.manifest()["train"]
    assert [(part["start_step"], part["stop_step"]) for part in section["parts"]] == [(0, 4), (4, 6)]
    assert section["tokens_seen"] == finished.manifest()["train"]["tokens_seen"]


def test_a_complete_run_says_so_and_compiles_nothing(
    finished: RunFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(training, "make_steps", lambda *_: pytest.fail("a complete run was built again"))
    monkeypatch.setattr(run_folder, "code_version", lambda: "newer code, which trained nothing of this")
    before = finished.manifest()
    with caplog.at_level(logging.INFO):
        train(finished, "tiny", RECIPE)
    assert "complete: step 6 of 6" in caplog.text
    assert json.dumps(finished.manifest(), indent=1) == json.dumps(before, indent=1)


def test_a_run_killed_after_its_last_checkpoint_still_gets_its_section(finished: RunFolder) -> None:
    before = finished.manifest()
    finished.manifest_path.unlink()
    train(finished, "tiny", RECIPE)
    assert finished.manifest()["train"]["seconds"] == before["train"]["seconds"]
    assert finished.manifest()["train"]["tokens_seen"] == before["train"]["tokens_seen"]


def test_another_recipe_or_other_records_in_the_same_folder_are_refused(finished: RunFolder, new_run: Any) -> None:
    with pytest.raises(InputError, match="seed: 0 -> 1"):
        train(finished, "tiny", changed(RECIPE, seed=1))
    run = new_run()
    run.checkpoints.symlink_to(finished.checkpoints)
    write_records(run.examples, seed=5)
    with pytest.raises(InputError, match="other records"):
        train(run, "tiny", RECIPE)


def test_sigterm_saves_the_step_and_the_next_run_goes_on(
    finished: RunFolder, new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run()
    write = MetricsWriter.write

    def write_and_terminate(self: Any, step: int, values: dict[str, float | None]) -> None:
        write(self, step, values)
        if step == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        patch.setattr(MetricsWriter, "write", write_and_terminate)
        with pytest.raises(WorkError, match="stopped by SIGTERM at step 3, which is saved"):
            train(run, "tiny", RECIPE)
    assert signal.getsignal(signal.SIGTERM) == before
    assert list_steps(run.checkpoints) == [2, 3]
    train(run, "tiny", RECIPE)
    assert untimed(run) == untimed(finished)


def test_a_loss_that_is_not_a_number_stops_the_run_and_is_never_saved(
    finished: RunFolder, new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run()
    restore = Checkpoints.restore

    def restore_broken(self: Checkpoints, step: int, abstract: dict[str, Any]) -> dict[str, Any]:
        state = restore(self, step, abstract)
        bias = state["params"]["cls"]["predictions"]["bias"]
        state["params"]["cls"]["predictions"]["bias"] = jax.device_put(jnp.full(bias.shape, jnp.nan), bias.sharding)
        return state

    train(run, "tiny", changed(RECIPE, stop_at_step=2))
    monkeypatch.setattr(Checkpoints, "restore", restore_broken)
    with pytest.raises(WorkError, match=r"loss is nan .* at step 3 \(steps 3 to 4"):
        train(run, "tiny", changed(RECIPE, log_every_steps=100))
    assert list_steps(run.checkpoints) == [2]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"global_batch_size": 12}, "global_batch_size 12 .* accumulation 1 x 8 devices"),
        ({"accumulation": 4}, "global_batch_size 16 .* accumulation 4 x 8 devices .* multiple of 32"),
        ({"stop_at_step": 7}, "stop_at_step 7: must be 1 to max_steps 6"),
        ({"log_every_steps": 0}, "log_every_steps 0"),
        ({"mesh": {"fsdp": 3}}, "mesh.fsdp 3"),
        ({"checkpoints": {"keep": 0}}, "checkpoints.keep 0"),
    ],
)
def test_sizes_that_cannot_be_are_refused_before_anything_is_compiled(
    new_run: Callable[..., RunFolder], fields: dict[str, Any], words: str
) -> None:
    run = new_run()
    with pytest.raises(InputError, match=words):
        train(run, "tiny", changed(RECIPE, **fields))
    assert not run.checkpoints.exists()


def test_the_log_says_how_near_a_resumed_run_stays(tiny: TrainingRecipe) -> None:
    facts = {"mesh": {"data": 8}, "recipe": {"accumulation": 1}}
    dropout = changed(tiny, model={"hidden_dropout_prob": 0.1})
    say = training.what_another_topology_means
    assert "within rounding" in say(dropout, facts, {"data": 4})
    assert "statistically only" in say(changed(dropout, accumulation=2), facts, {"data": 4})
    assert "statistically only" in say(changed(dropout, dropout_rng="rbg"), facts, {"data": 4})
    assert "within rounding" in say(changed(tiny, dropout_rng="rbg"), facts, {"data": 4})
