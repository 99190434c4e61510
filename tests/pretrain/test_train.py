import json
import logging
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_run import LENGTH, TINY, changed, read_events, record_read_at, untimed, write_records

from data_pipeline.contract import run_folder
from data_pipeline.contract.errors import InputError, UnfinishedError, WorkError
from data_pipeline.contract.recipe_file import plain
from data_pipeline.contract.records import Records, read_header
from data_pipeline.contract.run_folder import RunFolder
from pretrain import loop
from pretrain.checkpoints.facts import another_topology
from pretrain.checkpoints.store import CheckpointStore
from pretrain.checkpoints.verify import facts_of, fault, list_steps, step_folder
from pretrain.devices.sharding import batch_sharding, make_mesh
from pretrain.input.batches import EvaluationBatches
from pretrain.input.phases import Phases
from pretrain.job import objective_of
from pretrain.monitoring.metrics import MetricsWriter, read_metrics
from pretrain.objectives.masked_lm.objective import MaskedLanguageModelling
from pretrain.objectives.protocols import Batch, Prepared
from pretrain.objectives.rows import expand_rows
from pretrain.optimization.step import make_steps
from pretrain.recipe import Mesh, TrainingRecipe
from pretrain.train import train

RECIPE = changed(TINY, model={"hidden_dropout_prob": 0.1})
pytestmark = pytest.mark.usefixtures("shared_programs")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, shared_programs: None) -> RunFolder:
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
    from pretrain.checkpoints import store as checkpoints
    from pretrain.monitoring import metrics
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
        checkpoints.CheckpointStore._write_manifest = die
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
    command = [
        sys.executable,
        "-c",
        textwrap.dedent(CHILD),
        str(Path(__file__).parents[1] / "support"),
        str(run.path),
        point,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.parametrize(
    ("point", "resumed_from"),
    [
        # Step 4 is written in the background: the process may die before or after its manifest.
        pytest.param("in the middle of a line of metrics", {2, 4}, marks=pytest.mark.slow),
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


def texts_of(run: RunFolder) -> dict[str, list[tuple[int, str]]]:
    """Steps and texts that TensorBoard shows, by tag."""
    texts: dict[str, list[tuple[int, str]]] = {}
    for event in read_events(run.metrics):
        for value in event.summary.value:
            if value.tag.endswith("/text_summary"):
                text = value.tensor.string_val[0].decode()
                texts.setdefault(value.tag.partition("/")[0], []).append((event.step, text))
    return texts


def test_tensorboard_shows_the_recipe_and_what_the_model_says_of_held_out_rows(finished: RunFolder) -> None:
    texts = texts_of(finished)
    assert json.loads(texts["recipe"][0][1])["optimizer"]["learning_rate"] == 1e-2
    assert [step for step, _ in texts["predictions"]] == [2, 4, 6]
    rows = [text.split("\n\n") for _, text in texts["predictions"]]
    assert len({tuple(re.sub(r" -> [^}]*}", "}", text) for text in row[1::2]) for row in rows}) == 1, (
        "the masks have changed"
    )
    for counts, text in zip(rows[-1][::2], rows[-1][1::2], strict=True):
        right, predicted = map(int, re.search(r"right: (\d+) of (\d+)$", counts).groups())  # type: ignore[union-attr]
        answers = re.findall(r"\{(\S+) -> (\S+)\}", text)
        assert len(answers) == predicted
        assert sum(label == said for label, said in answers) == right


SOURCES = {"train": (("petitions", 30), ("reviews", 20)), "evaluation": (("petitions", 7), ("reviews", 4))}


def test_held_out_losses_are_told_of_the_whole_and_of_each_source(
    finished: RunFolder, new_run: Callable[..., RunFolder], caplog: pytest.LogCaptureFixture
) -> None:
    """The whole is that of the same records without names of sources, and the mean of the sources' by what is predicted in each."""
    run = new_run(sources=SOURCES)
    with caplog.at_level(logging.INFO):
        train(run, "tiny", RECIPE)
    without, found = ([line for line in untimed(each) if "evaluation_loss" in line] for each in (finished, run))
    names = {f"evaluation_loss/{name}" for name in ("petitions", "reviews")}
    header = read_header(run.examples)
    batches = EvaluationBatches(
        Records(run.examples, "evaluation"),
        rows=11,
        microbatch=8,
        sharding=batch_sharding(make_mesh(Mesh(data=1), jax.devices()[:1])),
        sources=header.sources["evaluation"],
    )
    objective = objective_of(RECIPE, header)
    predicted: dict[str, float] = {}
    totals_of = jax.jit(lambda batch: objective.totals(objective.prepare(batch, None)))
    for index, name in enumerate(batches.names):
        totals = totals_of(batches(index))
        predicted[name] = predicted.get(name, 0.0) + float(totals["masked_lm"])
    for before, now in zip(without, found, strict=True):
        assert now.keys() - before.keys() == names
        assert {name: now[name] for name in before} == pytest.approx(before, rel=1e-5)
        of_sources = sum(now[f"evaluation_loss/{name}"] * weight for name, weight in predicted.items())
        assert now["evaluation_loss"] == pytest.approx(of_sources / sum(predicted.values()), rel=1e-5)
    assert re.search(
        r"step 6: evaluation_loss .*, evaluation_loss/petitions \d\S+, evaluation_loss/reviews \d", caplog.text
    )
    assert names < run.manifest()["train"]["metrics"].keys()
    assert names <= {value.tag for event in read_events(run.metrics) for value in event.summary.value}
    shown = [text for step, text in texts_of(run)["predictions"]]
    assert [line.split(":")[0] for line in shown[-1].split("\n\n")[::2]] == ["petitions", "reviews"] * 2


def test_training_learns(finished: RunFolder) -> None:
    losses = [line["evaluation_loss"] for line in untimed(finished) if "evaluation_loss" in line]
    assert losses[-1] < losses[0] - 0.1


def test_a_run_in_two_parts_is_the_run_in_one_and_counts_what_was_lost_between(
    finished: RunFolder, new_run: Callable[..., RunFolder], caplog: pytest.LogCaptureFixture
) -> None:
    run = new_run()
    train(run, "tiny", changed(RECIPE, stop_at_step=4))
    with open(run.metrics / "metrics.jsonl", "a") as lines:  # as if it had been killed in step 6
        lines.write('{"step": 5, "loss": 1.0, "seconds": 8.0, "data_wait": 0.25}\n')
    with caplog.at_level(logging.INFO):
        train(run, "tiny", RECIPE)
    assert untimed(run) == untimed(finished)
    section = run.manifest()["train"]
    assert [(part["start_step"], part["stop_step"]) for part in section["parts"]] == [(0, 4), (4, 6)]
    assert section["tokens_seen"] == finished.manifest()["train"]["tokens_seen"]
    first, second = json.loads((run.metrics / "goodput.json").read_text())
    assert [(start["from_step"], start["lost"]) for start in (first, second)] == [(0, 0), (4, 6)]
    for start in (first, second):
        parts = [start[part] for part in ("training", "compile", "checkpoint", "evaluation", "data_wait")]
        assert all(part > 0 for part in parts)
        assert sum(parts) < start["seconds"]
    assert re.search(r"goodput .* in 2 starts: compile .*, lost to restarts", caplog.text)


@pytest.fixture(scope="module")
def in_windows(finished: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The same run with a line after every third step, and checkpoints between them."""
    run = RunFolder(tmp_path_factory.mktemp("windows"))
    write_records(run.examples)
    train(run, "tiny", changed(RECIPE, log_every_steps=3))
    return run


def test_a_line_tells_of_all_steps_since_the_one_before(finished: RunFolder, in_windows: RunFolder) -> None:
    steps = {line["step"]: line for line in untimed(finished) if "loss" in line}
    lines = [line for line in untimed(in_windows) if "loss" in line]
    assert [line["step"] for line in lines] == [3, 6]
    for line in lines:
        of_window = [steps[line["step"] - 2 + number] for number in range(3)]
        for name in ("predictions", "real_tokens", "rejected"):
            assert line[name] == sum(each[name] for each in of_window)
        for name in ("loss", "masked_lm_loss", "masked_accuracy"):
            weighted = sum(each[name] * each["predictions"] for each in of_window) / line["predictions"]
            assert line[name] == pytest.approx(weighted, rel=1e-6)
        for name in ("grad_norm", "clipped", "update_norm/body", "update_norm/table", "update_norm/head"):
            assert line[name] == pytest.approx(np.mean([each[name] for each in of_window]), rel=1e-6)
        assert line["grad_norm_max"] == max(each["grad_norm"] for each in of_window)
        for group in ("body", "table", "head"):
            assert line[f"parameter_norm/{group}"] == of_window[-1][f"parameter_norm/{group}"]


def test_a_run_resumed_between_two_lines_writes_the_lines_of_one_that_nobody_stopped(
    in_windows: RunFolder, new_run: Callable[..., RunFolder]
) -> None:
    run = new_run()
    shutil.copytree(step_folder(in_windows.checkpoints, 4), step_folder(run.checkpoints, 4))
    lines = (in_windows.metrics / "metrics.jsonl").read_text().splitlines(keepends=True)
    run.metrics.mkdir()
    (run.metrics / "metrics.jsonl").write_text("".join(line for line in lines if json.loads(line)["step"] <= 4))
    train(run, "tiny", changed(RECIPE, log_every_steps=3))
    assert untimed(run) == untimed(in_windows)


def test_a_complete_run_says_so_and_compiles_nothing(
    finished: RunFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loop, "make_steps", lambda *_: pytest.fail("a complete run was built again"))
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
        with pytest.raises(UnfinishedError, match="stopped by SIGTERM at step 3, which is saved"):
            train(run, "tiny", RECIPE)
    assert signal.getsignal(signal.SIGTERM) == before
    assert list_steps(run.checkpoints) == [2, 3]
    train(run, "tiny", RECIPE)
    assert untimed(run) == untimed(finished)


def test_a_loss_that_is_not_a_number_stops_the_run_and_is_never_saved(
    finished: RunFolder, new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run()
    restore = CheckpointStore.restore

    def restore_broken(self: CheckpointStore, step: int, abstract: dict[str, Any]) -> dict[str, Any]:
        state = restore(self, step, abstract)
        bias = state["params"]["cls"]["predictions"]["bias"]
        state["params"]["cls"]["predictions"]["bias"] = jax.device_put(jnp.full(bias.shape, jnp.nan), bias.sharding)
        return state

    train(run, "tiny", changed(RECIPE, stop_at_step=2))
    monkeypatch.setattr(CheckpointStore, "restore", restore_broken)
    with pytest.raises(
        WorkError,
        match=r"2 updates were rejected, the last at step 4 \(loss nan.*--training.max-rejected-updates allows 1",
    ):
        train(run, "tiny", changed(RECIPE, max_rejected_updates=1, log_every_steps=100))
    assert list_steps(run.checkpoints) == [2]
    assert sorted(path.name for path in (run.metrics / "rejected").iterdir()) == [
        "step-00000003.npz",
        "step-00000004.npz",
    ]


def poison(monkeypatch: pytest.MonkeyPatch, records: list[int], factor: float = math.nan) -> None:
    """Multiplies the weights of the predictions of some records in their first epoch."""
    prepare = MaskedLanguageModelling.prepare

    def prepare_poisoned(self: MaskedLanguageModelling, batch: Batch, step: jax.Array | None) -> Prepared:
        masked = prepare(self, batch, step)
        if step is None:
            return masked
        bad = jnp.isin(batch["record_ids"], jnp.array(records)) & (batch["epochs"] == 0)
        return {**masked, "weights": jnp.where(bad[..., None], factor * masked["weights"], masked["weights"])}

    monkeypatch.setattr(MaskedLanguageModelling, "prepare", prepare_poisoned)
    monkeypatch.setattr(loop, "make_steps", make_steps)  # a program of its own, not that of the other runs


def test_an_update_that_is_not_finite_is_left_out_and_the_run_goes_on(
    new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The weights of one record are made NaN, so that the loss of the one step of its epoch is."""
    run = new_run()
    poisoned = record_read_at(run, 3)
    poison(monkeypatch, [poisoned])
    train(run, "tiny", RECIPE)
    assert "step 3: update rejected: loss nan, gradient norm nan" in caplog.text
    with np.load(run.metrics / "rejected" / "step-00000003.npz") as dumped:
        assert dumped["record_ids"][7] == poisoned
        np.testing.assert_array_equal(dumped["tokens"][7], Records(run.examples, "train").read([poisoned])["tokens"][0])
    lines = {line["step"]: line for line in untimed(run) if "loss" in line}
    assert [lines[step]["rejected"] for step in range(1, 7)] == [0, 0, 1, 0, 0, 0]
    assert lines[3]["loss"] is None
    assert lines[3]["update_norm/body"] is None
    assert lines[3]["parameter_norm/body"] == lines[2]["parameter_norm/body"]
    assert all(math.isfinite(lines[step]["loss"]) for step in (4, 5, 6))
    assert math.isfinite(run.manifest()["train"]["metrics"]["loss"])


def test_rejected_updates_count_over_all_starts_and_steps_that_are_taken_again_once(
    new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps 2 and 3 of the run are rejected; the second start takes step 3 again."""
    run = new_run()
    poison(monkeypatch, [record_read_at(run, step) for step in (2, 3)])
    two = changed(RECIPE, max_rejected_updates=2)
    train(run, "tiny", changed(two, stop_at_step=3))
    shutil.rmtree(step_folder(run.checkpoints, 3))
    assert facts_of(step_folder(run.checkpoints, 2))["rejected_updates"] == 1
    train(run, "tiny", changed(two, stop_at_step=4))
    assert facts_of(step_folder(run.checkpoints, 4))["rejected_updates"] == 2
    shutil.rmtree(step_folder(run.checkpoints, 4))
    with pytest.raises(WorkError, match="2 updates were rejected, the last at step 3"):
        train(run, "tiny", changed(two, max_rejected_updates=1))


def test_a_run_out_of_time_saves_and_goes_on_and_its_milestones_stay(
    finished: RunFolder, new_run: Callable[..., RunFolder]
) -> None:
    run = new_run()
    with pytest.raises(
        UnfinishedError, match=r"stopped after --training.stop-after-minutes 1e-06 at step 1, which is saved"
    ):
        train(run, "tiny", changed(RECIPE, stop_after_minutes=1e-6))
    assert list_steps(run.checkpoints) == [1]
    milestones = {"every_steps": 2, "keep": 1, "milestone_every_steps": 3}
    train(run, "tiny", changed(RECIPE, checkpoints=milestones))
    assert untimed(run) == untimed(finished)
    assert list_steps(run.checkpoints) == [3, 6], "3 is a milestone, and written although no even step"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"global_batch_size": 12}, "--training.global-batch-size 12: .*accumulation 1 x 8 devices"),
        ({"accumulation": 4}, "--training.global-batch-size 16: .*accumulation 4 x 8 devices .* multiple of 32"),
        ({"stop_at_step": 7}, "--training.stop-at-step 7: must be 1 to --training.max-steps 6"),
        ({"log_every_steps": 0}, "--training.log-every-steps 0"),
        (
            {"optimizer": {"warmup_steps": 6}},
            "--training.optimizer.warmup-steps 6: must be below --training.max-steps 6",
        ),
        ({"mesh": {"fsdp": 3}}, "--training.mesh.fsdp 3"),
        ({"checkpoints": {"keep": 0}}, "--training.checkpoints.keep 0"),
    ],
)
def test_sizes_that_cannot_be_are_refused_before_anything_is_compiled(
    new_run: Callable[..., RunFolder], fields: dict[str, Any], words: str
) -> None:
    run = new_run()
    with pytest.raises(InputError, match=words):
        train(run, "tiny", changed(RECIPE, **fields))
    assert not run.checkpoints.exists()
    assert not run.metrics.exists()


def test_the_log_says_how_near_a_resumed_run_stays(tiny: TrainingRecipe) -> None:
    facts = {"mesh": {"data": 8}, "recipe": plain(tiny)}
    dropout = changed(tiny, model={"hidden_dropout_prob": 0.1})

    def say(*arguments: Any) -> str:
        return another_topology(*arguments) or ""

    assert not say(dropout, facts, {"data": 8})
    assert "within rounding" in say(dropout, facts, {"data": 4})
    assert "within rounding" in say(changed(dropout, accumulation=2), facts, {"data": 4})
    assert "statistically only" in say(changed(dropout, dropout_rng="rbg"), facts, {"data": 4})
    assert "within rounding" in say(changed(tiny, dropout_rng="rbg"), facts, {"data": 4})


def test_mfu_counts_attention_within_segments_as_the_rows_have_them(
    finished: RunFolder, new_run: Callable[..., RunFolder]
) -> None:
    run = new_run()
    recipe = changed(RECIPE, stop_at_step=2, peak_tflops_per_device=1.0)
    train(run, "tiny", recipe)
    header = read_header(run.examples)
    objective = objective_of(recipe, header)
    phases = Phases(run.examples, recipe, batch_sharding(make_mesh(Mesh())))
    for line in read_metrics(run.metrics / "metrics.jsonl"):
        if "mfu" not in line:
            continue
        rows = expand_rows(phases(line["step"] - 1), "packed", header.pad_id)
        segments, real = np.asarray(rows.segments), np.asarray(rows.tokens) != header.pad_id
        same = (segments[..., :, None] == segments[..., None, :]) & real[..., :, None] & real[..., None, :]
        assert line["attended_pairs"] == same.sum()
        per_token = objective.flops_per_row(same.sum() / real.sum() * LENGTH) / LENGTH
        assert line["mfu"] == pytest.approx(per_token * line["tokens_per_second"] / 8e12)
        assert per_token < objective.flops_per_row() / LENGTH
