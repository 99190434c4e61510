"""Two lengths in one run: every phase has its rows, its batches and its held-out loss, and a run goes on in either, bit for bit."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_run import LENGTH, TINY, changed, untimed, write_records

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.run_folder import RunFolder
from pretrain.checkpoints.verify import facts_of, step_folder
from pretrain.devices.sharding import batch_sharding, make_mesh
from pretrain.input.phases import Phases
from pretrain.monitoring.inspect import print_batch
from pretrain.recipe import Mesh, Phase
from pretrain.train import train

pytestmark = pytest.mark.usefixtures("shared_programs")
SHORT = 24
RECIPE = changed(
    TINY,
    model={"hidden_dropout_prob": 0.1},
    phases=(Phase(SHORT, 0.5, global_batch_size=32), Phase(LENGTH, 0.5, accumulation=2)),
)
"""Steps 1 to 3 with 32 rows of 24 tokens, steps 4 to 6 with 16 rows of 32; a checkpoint every second step."""


def both_lengths(folder: Path) -> RunFolder:
    run = RunFolder(folder)
    run.path.mkdir(exist_ok=True)
    write_records(run.examples)
    write_records(run.examples / str(SHORT), length=SHORT, seed=1, train=70, vocabulary=run.vocabulary)
    return run


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Records of both lengths, and nothing else; read only."""
    return both_lengths(tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, shared_programs: None) -> RunFolder:
    """A run through both phases that nobody interrupted."""
    run = both_lengths(tmp_path_factory.mktemp("finished"))
    train(run, "tiny", RECIPE)
    return run


@pytest.fixture
def new_run(tmp_path: Path) -> Callable[[], RunFolder]:
    return lambda: both_lengths(tmp_path / "run")


def test_a_batch_is_that_of_its_phase(prepared: RunFolder) -> None:
    """A length's first phase reads its records from the start of an epoch, each once until all were read."""
    phases = Phases(prepared.examples, RECIPE, batch_sharding(make_mesh(Mesh())))
    batches = [phases(step) for step in range(6)]
    assert [batch["tokens"].shape for batch in batches] == [(1, 32, SHORT)] * 3 + [(2, 8, LENGTH)] * 3
    for steps, records in (((0, 1), 70), ((3, 4, 5), 50)):
        ids = np.concatenate([np.asarray(batches[step]["record_ids"]).ravel() for step in steps])
        assert len(set(ids.tolist())) == len(ids) <= records
        assert all(not np.asarray(batches[step]["epochs"]).any() for step in steps)
    assert np.asarray(batches[2]["epochs"]).sum() == 3 * 32 - 70
    assert [phases.rows_before(step) for step in (0, 3, 4, 6)] == [0, 96, 112, 144]


def test_phases_of_one_length_read_what_a_run_without_phases_reads(prepared: RunFolder) -> None:
    rows = batch_sharding(make_mesh(Mesh()))
    halves = changed(TINY, phases=(Phase(LENGTH, 0.5), Phase(LENGTH, 0.5)))
    for step in range(6):
        whole, parts = (Phases(prepared.examples, recipe, rows)(step) for recipe in (TINY, halves))
        assert whole.keys() == parts.keys()
        assert all(np.array_equal(whole[name], parts[name]) for name in whole)


def test_both_phases_are_measured_at_their_length(finished: RunFolder) -> None:
    lines = untimed(finished)
    losses = {line["step"]: line for line in lines if "loss" in line}
    phases = Phases(finished.examples, RECIPE, batch_sharding(make_mesh(Mesh())))
    tokens = [np.count_nonzero(np.asarray(phases(step)["tokens"])) for step in range(6)]
    assert [losses[step]["real_tokens"] for step in range(1, 7)] == tokens
    # At step 3, where the first phase ends, its last held-out loss; all on the phase's own held-out rows.
    scores = {line["step"]: line["evaluation_loss"] for line in lines if "evaluation_loss" in line}
    assert list(scores) == [2, 3, 4, 6]
    assert len(set(scores.values())) == 4
    section = finished.manifest()["train"]
    assert section["rows_seen"] == 144
    assert section["tokens_seen"] == sum(line["real_tokens"] for line in losses.values())


@pytest.mark.parametrize("stop", [2, 4])
def test_a_run_goes_on_in_either_phase_bit_for_bit(
    stop: int, finished: RunFolder, new_run: Callable[[], RunFolder]
) -> None:
    """Before the border of the phases and after it."""
    run = new_run()
    train(run, "tiny", changed(RECIPE, stop_at_step=stop))
    assert [line["step"] for line in untimed(run)][-1] == stop
    train(run, "tiny", RECIPE)
    assert untimed(run) == untimed(finished)


def test_a_host_without_the_rows_of_a_phase_that_is_over_goes_on_and_one_that_needs_them_stops_at_once(
    finished: RunFolder, new_run: Callable[[], RunFolder]
) -> None:
    run = new_run()
    short = run.examples / str(SHORT)
    [shard] = short.glob("*-train.array_record-*")
    train(run, "tiny", changed(RECIPE, stop_at_step=2))
    aside = shard.rename(run.path / "aside")
    with pytest.raises(InputError, match=rf"{short}: none of the train shards is on this machine; copy them here"):
        train(run, "tiny", RECIPE)
    aside.rename(shard)
    train(run, "tiny", changed(RECIPE, stop_at_step=4))
    shard.unlink()
    train(run, "tiny", RECIPE)
    assert untimed(run) == untimed(finished)


CHILD = """
    import os, signal, sys
    import jax

    jax.config.update("jax_num_cpu_devices", 8)
    sys.path[:0] = sys.argv[2:]
    from test_phases import RECIPE
    from data_pipeline.contract.run_folder import RunFolder
    from pretrain.monitoring import metrics
    from pretrain.train import train

    write = metrics.MetricsWriter.write
    def die_at_step_five(self, step, values):
        if step == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        write(self, step, values)
    metrics.MetricsWriter.write = die_at_step_five
    train(RunFolder(sys.argv[1]), "tiny", RECIPE)
"""


@pytest.mark.slow
def test_killed_in_the_second_phase_a_run_gives_the_same_losses(
    finished: RunFolder, new_run: Callable[[], RunFolder]
) -> None:
    run = new_run()
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "support")]
    command = [sys.executable, "-c", textwrap.dedent(CHILD), str(run.path), *folders]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=600, env={**os.environ, "JAX_PLATFORMS": "cpu"}
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert untimed(run)[-1]["step"] == 4
    train(run, "tiny", RECIPE)
    assert untimed(run) == untimed(finished)


def test_a_length_that_was_not_prepared_is_named(prepared: RunFolder) -> None:
    recipe = changed(RECIPE, phases=(Phase(16, 0.5), Phase(LENGTH, 0.5)))
    with pytest.raises(InputError, match=r"no records of length 16 \(there are: 24, 32\); .*--data\.other-lengths 16"):
        train(prepared, "tiny", recipe)


def test_what_does_not_fit_a_later_phase_is_said_before_the_first_step(prepared: RunFolder) -> None:
    phases = RECIPE.phases[::-1]
    with pytest.raises(InputError, match=r"--training\.objective\.masking\.max-predictions 30: must be 1 to 24"):
        train(prepared, "tiny", changed(RECIPE, phases=phases, objective={"masking": {"max_predictions": 30}}))


def test_other_records_of_one_length_are_another_run(finished: RunFolder, new_run: Callable[[], RunFolder]) -> None:
    run = new_run()
    train(run, "tiny", changed(RECIPE, stop_at_step=1))
    write_records(run.examples / str(SHORT), length=SHORT, seed=2, vocabulary=run.vocabulary)
    with pytest.raises(InputError, match="belongs to other records"):
        train(run, "tiny", RECIPE)


@pytest.mark.parametrize(("step", "tokens"), [(1, SHORT), (4, LENGTH)])
def test_inspect_shows_the_batch_of_the_phase(
    finished: RunFolder, step: int, tokens: int, capsys: pytest.CaptureFixture[str]
) -> None:
    print_batch(finished, step, 32)
    shown = capsys.readouterr().out
    longest = max(int(line.split()[2]) for line in shown.splitlines() if line.startswith("row "))
    assert SHORT - 8 < longest <= tokens
    assert shown.count("\nrow ") == (32 if step == 1 else 16)
    assert json.loads((finished.path / "training_recipe.json").read_text())["phases"][0]["length"] == SHORT


LATER = changed(
    RECIPE,
    phases=(
        RECIPE.phases[0],
        changed(
            RECIPE.phases[1],
            settings=(
                "objective.masking.rate=0.6",
                "objective.masking.final_rate=0.2",
                "objective.masking.ngrams=1 0.5",
                "model.hidden_dropout_prob=0",
            ),
        ),
    ),
)


def test_a_phase_may_have_other_settings_of_model_and_objective(
    new_run: Callable[[], RunFolder], caplog: pytest.LogCaptureFixture
) -> None:
    """Resumed in the second phase, in which the rate falls; its checkpoint says the sizes of that phase."""
    run = new_run()
    with caplog.at_level("INFO", "pretrain"):
        train(run, "tiny", changed(LATER, stop_at_step=4))
    assert "masked-LM: 15% of tokens predicted (20% of held-out rows throughout), of these 80% masked" in caplog.text
    train(run, "tiny", LATER)
    lines = {line["step"]: line for line in untimed(run) if "loss" in line}
    # Of each of the 32 or 16 rows four tokens may not be hidden.
    shares = [
        line["predictions"] / (line["real_tokens"] - 4 * (32 if step < 4 else 16)) for step, line in lines.items()
    ]
    np.testing.assert_allclose(shares, [0.15, 0.15, 0.15, 0.6, 0.4, 0.2], atol=0.02)
    first, last = (facts_of(step_folder(run.checkpoints, step)) for step in (2, 6))
    assert first["models"]["model"]["config"]["hidden_dropout_prob"] == 0.1
    assert last["models"]["model"]["config"]["hidden_dropout_prob"] == 0
    with pytest.raises(InputError, match=r"phases: .*another recipe|another recipe.*phases"):
        train(run, "tiny", changed(RECIPE, max_steps=6))


@pytest.mark.slow
def test_resumed_where_the_rate_falls_a_run_gives_the_same_losses(tmp_path: Path) -> None:
    whole, stopped = (both_lengths(tmp_path / name) for name in ("whole", "stopped"))
    train(whole, "tiny", LATER)
    for stop in (4, None):
        train(stopped, "tiny", changed(LATER, stop_at_step=stop))
    assert untimed(stopped) == untimed(whole)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("seed=3", r"phases\.1\.settings seed=3: must be FIELD=VALUE with a field of model or objective"),
        ("objective.masking.rate", r"phases\.1\.settings objective\.masking\.rate: must be FIELD=VALUE"),
        ("objective.masking.rat=0.3", r"phases\.1\.settings: --objective\.masking\.rat: no such flag; did you mean"),
        (
            "model.num_attention_heads=1",
            r"--training\.model\.num-attention-heads 1: cannot be divided over --training\.mesh\.tensor 2 in phases\.1",
        ),
        (
            "objective.masking.final_rate=1.5",
            r"phases\.1\.settings: objective\.masking\.final_rate 1\.5: must be above 0 and at most 1",
        ),
        (
            "objective.masking.rate=2",
            r"phases\.1\.settings: objective\.masking\.rate 2\.0: must be above 0 and at most 1",
        ),
        ("model.hidden_size=64", r"phases\.1\.settings model\.hidden_size=64: change the shape of a parameter"),
    ],
)
def test_a_setting_that_a_phase_cannot_have_is_named(prepared: RunFolder, setting: str, words: str) -> None:
    phases = (RECIPE.phases[0], changed(RECIPE.phases[1], settings=(setting,)))
    with pytest.raises(InputError, match=words):
        train(prepared, "tiny", changed(RECIPE, phases=phases, mesh={"data": 4, "tensor": 2}))
