"""Sizes that a recipe leaves come from the model that it starts from; others are refused at once; each part has its place."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tiny_run import LENGTH, TINY, VOCABULARY, changed, untimed
from toy_family.config import ToyConfig
from toy_objective.recipe import Tandem

from data_pipeline.contract.command_line import parse_command_line
from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_file import load_recipe
from data_pipeline.contract.records import read_header
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.checkpoints.facts import recipe_of
from pretrain.checkpoints.restore import restore_params
from pretrain.checkpoints.verify import step_folder
from pretrain.exporting.export import export
from pretrain.job import objective_of
from pretrain.models.bert.config import BertConfig
from pretrain.objectives.protocols import Objective
from pretrain.recipe import TrainingRecipe
from pretrain.start.parameters import starting_parameters
from pretrain.start.places import with_sizes_of_start
from pretrain.train import train

pytestmark = pytest.mark.usefixtures("shared_programs")
SHORT = changed(TINY, max_steps=3, stop_at_step=1, evaluation={"rows": 0})
LEFT = changed(SHORT, model=BertConfig(hidden_dropout_prob=0.0))
TANDEM = changed(SHORT, model=ToyConfig(), objective=Tandem())


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory, records_folder: Path) -> Path:
    """A run of TINY's sizes with its export, `theirs/` and `theirs/export/`."""
    return trained_and_exported(tmp_path_factory.mktemp("start") / "theirs", records_folder, SHORT)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, records_folder: Path) -> Path:
    """The same of an objective with two models."""
    return trained_and_exported(tmp_path_factory.mktemp("start") / "pair", records_folder, TANDEM)


def trained_and_exported(place: Path, records_folder: Path, recipe: TrainingRecipe) -> Path:
    shutil.copytree(records_folder.parent, place)
    train(RunFolder(place), "theirs", recipe)
    export(RunFolder(place), None, place / "export")
    return place


@pytest.fixture
def folder(theirs: Path, tmp_path: Path) -> Path:
    """A copy of the export, to change."""
    return Path(shutil.copytree(theirs / "export", tmp_path / "folder"))


def with_config(folder: Path, **fields: object) -> str:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **fields}))
    return str(folder)


@pytest.mark.parametrize("place", ["export", ""], ids=["folder", "run"])
def test_sizes_that_the_recipe_leaves_come_from_the_model_and_a_resumed_run_needs_it_no_more(
    place: str, theirs: Path, new_run: Callable[..., RunFolder], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gone = Path(shutil.copytree(theirs, tmp_path / "gone"))
    recipe = changed(LEFT, start_from=(str(gone / place),))
    run, whole = new_run("parts"), new_run("whole")
    caplog.set_level("INFO")
    train(whole, "left", changed(recipe, stop_at_step=2))
    assert "the recipe leaves these to it: num_hidden_layers 2, hidden_size 32, num_attention_heads 2" in caplog.text
    train(run, "left", recipe)
    shutil.rmtree(gone)
    train(run, "left", changed(recipe, stop_at_step=2))
    assert untimed(run)[-1]["loss"] == untimed(whole)[-1]["loss"]
    assert recipe_of(run).model == changed(TINY.model, vocab_size=VOCABULARY)
    # With the sizes in the recipe it is the same run.
    train(run, "left", changed(recipe, model=TINY.model, stop_at_step=3))
    with pytest.raises(InputError, match=r"model\.num_hidden_layers: 2 -> 3"):
        train(run, "left", changed(recipe, model={"num_hidden_layers": 3}, stop_at_step=3))


def test_all_sizes_that_differ_are_told_at_once_with_their_flags(folder: Path) -> None:
    model = BertConfig(num_hidden_layers=3, hidden_size=48, num_attention_heads=4, max_position_embeddings=64)
    with pytest.raises(
        InputError,
        match=r"folder: its num_hidden_layers is 2, not 3, hidden_size is 32, not 48, num_attention_heads is 2, not 4, "
        r"max_position_embeddings is 32, not 64; set the recipe's model to its sizes: --training\.model\.num-hidden-layers 2 "
        r"--training\.model\.hidden-size 32 --training\.model\.num-attention-heads 2 "
        r"--training\.model\.max-position-embeddings 32$",
    ):
        with_sizes_of_start(changed(LEFT, model=model, start_from=(str(folder),)))


def test_positions_are_cut_to_those_of_the_recipe(folder: Path, new_run: Callable[..., RunFolder]) -> None:
    table = "bert.embeddings.position_embeddings.weight"
    tensors = load_file(folder / "model.safetensors")
    longer = np.concatenate([tensors[table], tensors[table] + 1])
    save_file({**tensors, table: longer}, folder / "model.safetensors")
    place = with_config(folder, max_position_embeddings=2 * LENGTH)
    assert with_sizes_of_start(changed(LEFT, start_from=(place,))).model.max_position_embeddings == 2 * LENGTH  # type: ignore[attr-defined]
    run = new_run()
    recipe = with_sizes_of_start(changed(LEFT, start_from=(place,), model={"max_position_embeddings": LENGTH}))
    params = starting_parameters(
        recipe.start_from, objective_of(recipe, read_header(run.examples)), Tokenizer(run.vocabulary)
    ).params
    np.testing.assert_array_equal(params["bert"]["embeddings"]["position_embeddings"]["embedding"], tensors[table])


def test_rows_that_are_longer_than_its_position_table_are_refused(
    folder: Path, new_run: Callable[..., RunFolder]
) -> None:
    tensors = load_file(folder / "model.safetensors")
    table = "bert.embeddings.position_embeddings.weight"
    save_file({**tensors, table: tensors[table][:20]}, folder / "model.safetensors")
    place = with_config(folder, max_position_embeddings=20)
    with pytest.raises(
        InputError, match=r"embeddings 20: .* set it to 32 or more, if the model of --training.start-from has as many"
    ):
        train(new_run(), "left", changed(LEFT, start_from=(place,)))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("model_type", "mamba", "config.json says model_type mamba; this code reads bert"),
        ("hidden_act", "relu", "config.json says hidden_act relu"),
        (
            "model_type",
            "toy",
            "is a ToyConfig, and the recipe's model a BertConfig; set the recipe's model to a ToyConfig",
        ),
    ],
)
def test_another_model_is_refused(field: str, value: str, message: str, folder: Path) -> None:
    place = with_config(folder, **{field: value}, width=16, turns=3)
    with pytest.raises(InputError, match=message):
        with_sizes_of_start(changed(LEFT, start_from=(place,)))


def tandem(recipe: TrainingRecipe, run: RunFolder) -> Objective:
    return objective_of(recipe, read_header(run.examples))


@pytest.mark.parametrize("places", [("",), ("export",), ("export", "export/helper"), ("", "export/helper"), ("", "")])
def test_each_part_begins_with_its_model(
    places: tuple[str, ...], pair: Path, new_run: Callable[..., RunFolder]
) -> None:
    run = new_run()
    start = starting_parameters(
        tuple(str(pair / place) for place in places), tandem(TANDEM, run), Tokenizer(run.vocabulary)
    )
    given = restore_params(step_folder(pair / "checkpoints", 1))
    padded = [(leaf[:VOCABULARY], other[:VOCABULARY]) if leaf.shape[:1] == (256,) else (leaf, other)
              for leaf, other in zip(jax.tree.leaves(given), jax.tree.leaves(start.params), strict=True)]  # fmt: skip
    for leaf, other in padded:
        np.testing.assert_array_equal(leaf, other)
    assert "table" not in start.params["second"]["toy"], "what is shared is there once"
    others = start.facts["others"]["second"]["place"]
    assert others == str(pair / (places[1] if len(places) > 1 else "export/helper" if places[0] else ""))


def test_a_shared_array_is_that_of_the_part_that_owns_it(
    pair: Path, new_run: Callable[..., RunFolder], tmp_path: Path
) -> None:
    other, run = Path(shutil.copytree(pair / "export" / "helper", tmp_path / "other")), new_run()
    tensors = load_file(other / "model.safetensors")
    save_file({name: tensor + 1 for name, tensor in tensors.items()}, other / "model.safetensors")
    start = starting_parameters((str(pair), str(other)), tandem(TANDEM, run), Tokenizer(run.vocabulary))
    given = restore_params(step_folder(pair / "checkpoints", 1))
    for part, added in (("first", 0), ("second", 1)):
        np.testing.assert_array_equal(
            start.params[part]["toy"]["turn"]["bias"], given[part]["toy"]["turn"]["bias"] + added
        )


@pytest.mark.parametrize(
    ("places", "objective", "message"),
    [
        (("export",) * 3, {}, r"names 3 models, and the objective trains 2 \(first, second\); name as many at most"),
        (("export/helper",), {}, r"helper: its turns is 1, not 3|its turns is 1"),
        (("export", "nothing"), {}, "nothing: no such folder"),
        (("moved",), {}, r"moved/helper: no such folder.*; where the second is elsewhere, name it too: --training\.start-from \S+moved PLACE"),
        (("export",), {"second_turns": 2}, r"helper: its turns is 1, not 2; set what the recipe's objective says of its second"),
    ],
)  # fmt: skip
def test_places_that_do_not_fit_the_parts_are_refused(
    places: tuple[str, ...],
    objective: dict[str, Any],
    message: str,
    pair: Path,
    new_run: Callable[..., RunFolder],
) -> None:
    if not (pair / "moved").exists():
        shutil.copytree(pair / "export", pair / "moved", ignore=shutil.ignore_patterns("helper"))
    recipe = changed(
        TANDEM, start_from=tuple(str(pair / place) for place in places), model={"turns": 4}, objective=objective
    )
    if places != ("export/helper",):
        recipe = changed(recipe, model={"turns": 3})
    with pytest.raises(InputError, match=message):
        train(new_run(), "tandem", recipe)


def test_cards_and_licences_name_the_model_of_each_part(
    pair: Path, new_run: Callable[..., RunFolder], tmp_path: Path
) -> None:
    base = Path(shutil.copytree(pair / "export", tmp_path / "base"))
    (base / "README.md").write_text("---\nlicense: mit\n---\n")
    (base / "helper" / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    run = new_run()
    train(run, "tandem", changed(TANDEM, start_from=(str(base),)))
    export(run, None, run.export)
    cards = [(folder / "README.md").read_text() for folder in (run.export, run.export / "helper")]
    assert "Continued from `base` with" in cards[0]
    assert "`base`; its licence: mit," in cards[0]
    assert "Continued from `base/helper` with" in cards[1]
    assert "`base/helper`; its licence: apache-2.0," in cards[1]


def test_a_place_as_plain_text_in_a_recipe_file_is_refused_with_the_line(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.py"
    recipe.write_text(
        "from pretrain.recipe import TrainingRecipe\n\ntraining = TrainingRecipe(\n    start_from='their-bert',\n)\n"
    )
    with pytest.raises(
        InputError, match=r"mine\.py:4: training\.start_from must be a tuple such as \('\.\.\.',\), found 'their-bert'"
    ):
        load_recipe(str(recipe), "training", TrainingRecipe)


def test_the_flag_takes_several_places() -> None:
    words = ["--start-from", "one", "other", "--seed", "3"]
    assert parse_command_line(TrainingRecipe(), words, "train").start_from == ("one", "other")
