"""Probes of runs in training."""

import dataclasses
import json
import logging
import math
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from families import EVERY_FAMILY, Tiny
from probe_data import reviews
from tiny_run import TINY, changed, read_events, untimed

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.records import Records, RecordsHeader
from data_pipeline.contract.run_folder import RunFolder
from pretrain.checkpoints.verify import step_folder
from pretrain.devices.sharding import batch_sharding, make_mesh
from pretrain.evaluate.probes.prober import Prober, pooled_states
from pretrain.evaluate.probes.texts import encode, pack
from pretrain.input.phases import Phases
from pretrain.job import make_job
from pretrain.models.protocols import Inputs, Model
from pretrain.monitoring.goodput import Goodput
from pretrain.objectives.rows import expand_rows
from pretrain.optimization.step import make_steps
from pretrain.recipe import TrainingRecipe
from pretrain.subject import text_tokenizer
from pretrain.train import train

RECIPE = changed(TINY, model={"hidden_dropout_prob": 0.1})
pytestmark = pytest.mark.usefixtures("shared_programs")


@pytest.fixture
def probed(tmp_path: Path) -> TrainingRecipe:
    """The recipe with probes every three steps, whatever they take."""
    data = reviews(tmp_path / "nsmc", 120)
    settings = {"every_steps": 3, "data": str(data), "train_rows": 60, "test_rows": 30, "time_share": 1.0}
    recipe: TrainingRecipe = changed(RECIPE, probes=settings)
    return recipe


def split(run: RunFolder) -> tuple[list[dict[str, Any]], dict[int, dict[str, float]]]:
    """The lines of a run without probes, and what probes gave by step."""
    lines = untimed(run)
    found = {line.pop("step"): line for line in lines if "pseudo_perplexity" in line}
    return [line for line in lines if "pseudo_perplexity" not in line], found


@pytest.mark.parametrize("mesh", [{}, {"data": 1, "fsdp": 8}])
def test_probes_change_nothing_and_are_the_same_after_a_kill(
    mesh: dict[str, int], new_run: Callable[..., RunFolder], probed: TrainingRecipe
) -> None:
    without, run = new_run("without"), new_run("run")
    train(without, "tiny", changed(RECIPE, mesh=mesh))
    probed = changed(probed, mesh=mesh)
    train(run, "tiny", probed)
    lines, found = split(run)
    assert lines == untimed(without), "bit for bit"
    assert list(found) == [3, 6]
    for scores in found.values():
        assert set(scores) == {"probe/nsmc", "pseudo_perplexity"}
        assert 0 <= scores["probe/nsmc"] <= 1
    assert found[6]["pseudo_perplexity"] < found[3]["pseudo_perplexity"] < 200
    resumed = new_run("resumed")
    train(resumed, "tiny", changed(probed, stop_at_step=5))
    shutil.rmtree(step_folder(resumed.checkpoints, 5))  # killed before it was saved
    shutil.rmtree(step_folder(resumed.checkpoints, 4))
    train(resumed, "tiny", probed)
    assert split(resumed) == (lines, found)


def test_probes_are_in_tensorboard_the_log_and_goodput(
    new_run: Callable[..., RunFolder], probed: TrainingRecipe, caplog: pytest.LogCaptureFixture
) -> None:
    run = new_run()
    with caplog.at_level(logging.INFO):
        train(run, "tiny", probed)
    _, found = split(run)
    curves = {
        (event.step, value.tag): value.simple_value
        for event in read_events(run.metrics)
        for value in event.summary.value
    }
    for step, scores in found.items():
        for name, value in scores.items():
            assert curves[step, name] == pytest.approx(value)
    assert re.search(
        r"probe/nsmc: nsmc_acc, \d+ rows fitted and \d+ scored, drawn from 120 rows \(the official train file has 150,000\); "
        r"without features 0\.\d+",
        caplog.text,
    )
    (start,) = json.loads((run.metrics / "goodput.json").read_text())
    assert start["probes"] > 0
    assert re.search(r"goodput .* probes [\d.]+%", caplog.text)


def test_probes_wait_while_they_would_take_more_than_their_share(
    new_run: Callable[..., RunFolder], probed: TrainingRecipe, caplog: pytest.LogCaptureFixture
) -> None:
    run = new_run()
    with caplog.at_level(logging.INFO):
        train(run, "tiny", changed(probed, probes={"every_steps": 1, "time_share": 1e-6}))
    assert split(run)[1] == {}
    assert len(re.findall(r"no probes yet: .* more than --training.probes.time-share 1e-06", caplog.text)) == 1, (
        "said once"
    )
    (start,) = json.loads((run.metrics / "goodput.json").read_text())
    assert start["probes"] < 0.5 * start["seconds"], "nothing was compiled"


def prober(run: RunFolder, recipe: TrainingRecipe) -> tuple[Prober, Any, Phases, Any]:
    """A prober with parameters as drawn, and what it was made of."""
    mesh = make_mesh(recipe.mesh)
    phases = Phases(run.examples, recipe, batch_sharding(mesh))
    job = make_job(recipe, [phase.header for phase in phases.all])
    with jax.set_mesh(mesh):
        made = Prober(job, phases, run, mesh, Goodput(run.metrics, 0, 0.0))
        params = make_steps(job.phases[0], recipe, mesh).init()["params"]
    return made, job, phases, params


def hidden_states(model: Model, params: Any, texts: Sequence[np.ndarray], header: RecordsHeader) -> np.ndarray:
    """The last hidden states [texts, L, H] of texts that have a row each."""
    rows = np.full((len(texts), header.length), header.pad_id, np.int32)
    for row, text in zip(rows, texts, strict=True):
        row[: len(text)] = text
    positions = np.tile(np.arange(header.length), (len(texts), 1))
    real = np.arange(header.length) < np.array([len(text) for text in texts])[:, None]
    inputs = Inputs(*map(jnp.asarray, (rows, real.astype(np.int32), positions, np.zeros_like(rows))))
    return np.asarray(jax.jit(model.encode)(params, inputs))


def test_the_features_of_packed_texts_are_those_of_each_text_alone(
    new_run: Callable[..., RunFolder], probed: TrainingRecipe
) -> None:
    run = new_run()
    _, job, phases, params = prober(run, probed)
    objective, header = job.phases[0], phases.all[0].header
    tokenizer = text_tokenizer(objective.parts.models["model"].config, run.vocabulary)
    texts = encode(["가 각 갂", "", "갃 간 갅 갆 갇", "갈"] * 3, tokenizer, header.length)
    fields, places = pack(texts, header.length, header.pad_id)
    batch = {name: jnp.asarray(values)[None] for name, values in fields.items()}
    hidden = hidden_states(objective.model, params, texts, header)
    for first in (False, True):
        most = int(places[:, 1].max())
        pool = jax.jit(partial(pooled_states, objective=objective, part="model", most=most, first=first))
        pooled = pool(params, batch)
        for text, alone, (row, segment) in zip(texts, hidden, places, strict=True):
            expected = alone[0] if first else alone[: len(text)].mean(axis=0)
            np.testing.assert_allclose(pooled[row, segment - 1], expected, atol=1e-5)


def test_pseudo_perplexity_of_all_positions_is_that_of_each_token_masked_alone(
    new_run: Callable[..., RunFolder], probed: TrainingRecipe
) -> None:
    """Salazar et al. by definition: a pass a token, on each segment by itself."""
    run = new_run()
    every = changed(probed, probes={"tasks": (), "masked_positions": 32, "held_out_rows": 11})
    made, job, phases, params = prober(run, every)
    model, header = job.phases[0].model, phases.all[0].header
    stored = Records(run.examples, "evaluation").read(np.arange(11))
    rows = expand_rows({name: jnp.asarray(values) for name, values in stored.items()}, header.layout, header.pad_id)
    texts, places = [], []
    for tokens, segments in zip(np.asarray(rows.tokens), np.asarray(rows.segments), strict=True):
        for segment in np.unique(segments[tokens != header.pad_id]):
            text = tokens[segments == segment]
            for place in np.flatnonzero(text > header.mask_id):
                texts.append(text)
                places.append(place)
    masked = [
        np.where(np.arange(len(text)) == place, header.mask_id, text) for text, place in zip(texts, places, strict=True)
    ]
    hidden = hidden_states(model, params, masked, header)[np.arange(len(texts)), places]
    scores = jax.nn.log_softmax(model.vocabulary_logits(params, hidden))
    losses = [-scores[row, text[place]] for row, (text, place) in enumerate(zip(texts, places, strict=True))]
    with jax.set_mesh(make_mesh(every.mesh)):
        found = made.after(1, params)
    assert found == {"pseudo_perplexity": pytest.approx(math.exp(np.mean(losses)), rel=1e-5)}


def test_without_scikit_learn_or_files_a_run_does_not_begin(
    new_run: Callable[..., RunFolder], probed: TrainingRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run()
    with pytest.raises(InputError, match=r"--training\.probes\.data .*nowhere: no such folder"):
        train(run, "tiny", changed(probed, probes={"data": "nowhere"}))
    with pytest.raises(InputError, match=r"--training\.probes\.every-steps 3: there is nothing to probe"):
        train(run, "tiny", changed(probed, probes={"tasks": (), "held_out_rows": 0}))
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(InputError, match=r"a probe needs the package scikit-learn.*--install-only evaluate"):
        train(run, "tiny", probed)
    assert not run.metrics.exists()
    assert not run.checkpoints.exists()


@EVERY_FAMILY
def test_every_family_is_probed(tiny: Tiny, new_run: Callable[..., RunFolder], probed: TrainingRecipe) -> None:
    """The model that is exported; pseudo-perplexity is the generator's of a discriminator, and a causal model has none."""
    run = new_run(layout=tiny.layout)
    recipe = changed(tiny.recipe, probes=dataclasses.asdict(probed.probes))
    made, job, _, params = prober(run, recipe)
    with jax.set_mesh(make_mesh(recipe.mesh)):
        found = made.after(1, params)
    masked = any("vocabulary" in model.heads for model in job.phases[0].parts.models.values())
    assert set(found) == {"probe/nsmc", *(["pseudo_perplexity"] if masked else [])}
    assert 0 <= found["probe/nsmc"] <= 1
    assert not masked or 150 < found["pseudo_perplexity"] < 250, "as drawn, about the size of the vocabulary"
