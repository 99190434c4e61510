"""A run begins with the parameters of a Hugging Face folder or of another run, row by row of the vocabulary."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tiny_run import PIECES, VOCABULARY, changed, untimed

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.records import read_header
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.tokenizer import SpecialIds, Tokenizer, hugging_face_files
from pretrain.checkpoints.restore import restore_params
from pretrain.checkpoints.verify import step_folder
from pretrain.hugging_face.weights import to_hugging_face
from pretrain.job import objective_of
from pretrain.models.bert.family import FAMILY
from pretrain.models.bert.model import Bert
from pretrain.models.core.layers import Parameters
from pretrain.objectives.protocols import Objective
from pretrain.recipe import TrainingRecipe
from pretrain.start.parameters import starting_parameters
from pretrain.train import train

ROWS = "bert.embeddings.word_embeddings.weight"


@pytest.fixture
def objective(tiny: TrainingRecipe, new_run: Callable[..., RunFolder]) -> tuple[Objective, Path]:
    run = new_run()
    return objective_of(tiny, read_header(run.examples)), run.vocabulary


@pytest.fixture
def other(tiny: TrainingRecipe, tmp_path: Path, objective: tuple[Objective, Path]) -> Path:
    """A Hugging Face folder of the same sizes, with other parameters and its pieces in another order."""
    folder = tmp_path / "other"
    folder.mkdir()
    pieces = [*PIECES[:5], "[unused0]", *reversed(PIECES[6:])]
    for name, content in hugging_face_files(pieces, lowercase=False).items():
        (folder / name).write_text(content, encoding="utf-8")
    random = np.random.default_rng(0)
    shapes = to_hugging_face(jax.jit(objective[0].init)(), objective[0].rules(), VOCABULARY)
    save_file(
        {name: random.normal(size=tensor.shape).astype(np.float32) for name, tensor in shapes.items()},
        folder / "model.safetensors",
    )
    config = FAMILY.config_to_json(tiny.model, VOCABULARY, SpecialIds(0, 1, 2, 3, 4), frozenset({"vocabulary"}))
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def started(place: Path, objective: tuple[Objective, Path]) -> dict[str, np.ndarray]:
    return to_hugging_face(start(place, objective), objective[0].rules(), VOCABULARY)


def start(place: Path, objective: tuple[Objective, Path]) -> Parameters:
    return starting_parameters((str(place),), objective[0], Tokenizer(objective[1])).params


def test_rows_follow_their_pieces_and_all_else_is_the_same(other: Path, objective: tuple[Objective, Path]) -> None:
    given, found = load_file(other / "model.safetensors"), started(other, objective)
    assert found.keys() == given.keys()
    for name in given.keys() - {ROWS, "cls.predictions.bias"}:
        np.testing.assert_array_equal(found[name], given[name], err_msg=name)
    np.testing.assert_array_equal(found[ROWS][6:], given[ROWS][:5:-1])
    np.testing.assert_array_equal(found["cls.predictions.bias"][6:], given["cls.predictions.bias"][:5:-1])
    np.testing.assert_array_equal(found[ROWS][:5], given[ROWS][:5])
    # The folder knows 가 as [UNK] only.
    fresh = to_hugging_face(jax.jit(objective[0].init)(), objective[0].rules(), VOCABULARY)
    np.testing.assert_array_equal(found[ROWS][5], fresh[ROWS][5])


def test_what_a_bare_encoder_lacks_is_as_without_a_start(
    other: Path, objective: tuple[Objective, Path], caplog: pytest.LogCaptureFixture
) -> None:
    tensors = load_file(other / "model.safetensors")
    bare = {name.removeprefix("bert."): tensor for name, tensor in tensors.items() if name.startswith("bert.")}
    short = {name: tensor[:150] if name == ROWS.removeprefix("bert.") else tensor for name, tensor in bare.items()}
    save_file(short, other / "model.safetensors")
    for name, content in hugging_face_files(PIECES[:150], lowercase=False).items():
        (other / name).write_text(content, encoding="utf-8")
    caplog.set_level("INFO")
    found = started(other, objective)
    fresh = to_hugging_face(jax.jit(objective[0].init)(), objective[0].rules(), VOCABULARY)
    np.testing.assert_array_equal(found[ROWS][:150], tensors[ROWS][:150])
    np.testing.assert_array_equal(found[ROWS][150:], fresh[ROWS][150:])
    np.testing.assert_array_equal(
        found["cls.predictions.transform.dense.weight"], fresh["cls.predictions.transform.dense.weight"]
    )
    assert (
        "rows of the vocabulary: 150 of 200 found there, 0 begin as the mean of their pieces there, 50 as drawn"
        in caplog.text
    )
    assert (
        "not there, so initialised randomly: cls.predictions, cls.predictions.transform.LayerNorm, cls" in caplog.text
    )


def test_a_folder_without_a_model_is_refused(tmp_path: Path, other: Path, objective: tuple[Objective, Path]) -> None:
    with pytest.raises(InputError, match=r"nothing: no such folder"):
        start(tmp_path / "nothing", objective)
    with pytest.raises(InputError, match=r"holds neither checkpoints/ nor config\.json"):
        start(objective[1], objective)
    (other / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"holds no model\.safetensors"):
        start(other, objective)


@pytest.mark.parametrize(
    ("changed_tensor", "told"),
    [
        (lambda table: table[:150], r"is \[150, 32\], its tokenizer has 200 pieces and the model's is \[200, 32\]"),
        (lambda table: table[:, :31], r"is \[200, 31\], its tokenizer has 200 pieces"),
        (lambda table: np.where(table > 2, np.nan, table), "has numbers that are not finite"),
    ],
    ids=["rows", "width", "finite"],
)
def test_a_table_that_does_not_fit_is_told(
    other: Path, objective: tuple[Objective, Path], changed_tensor: Callable[..., np.ndarray], told: str
) -> None:
    tensors = load_file(other / "model.safetensors")
    save_file({**tensors, ROWS: np.ascontiguousarray(changed_tensor(tensors[ROWS]))}, other / "model.safetensors")
    with pytest.raises(InputError, match=f"--training.start-from {other}: its {ROWS} {told}"):
        start(other, objective)


def test_a_home_folder_is_found(
    other: Path, objective: tuple[Objective, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(other.parent))
    np.testing.assert_array_equal(started(Path("~/other"), objective)[ROWS], started(other, objective)[ROWS])


@pytest.mark.slow
def test_a_run_goes_on_from_another_and_resumes_as_itself(
    tiny: TrainingRecipe, new_run: Callable[..., RunFolder]
) -> None:
    first, second, third = new_run("first"), new_run("second"), new_run("third")
    train(first, "tiny", tiny)
    goes_on = changed(tiny, start_from=(str(first.path),), optimizer={"learning_rate": 1e-3, "warmup_steps": 0})
    train(second, "tiny", goes_on)
    losses = [line["loss"] for line in untimed(second) if "loss" in line]
    assert losses[0] < next(line["loss"] for line in untimed(first) if "loss" in line) - 0.2
    train(third, "tiny", changed(goes_on, stop_at_step=2))
    train(third, "tiny", goes_on)
    assert [line["loss"] for line in untimed(third) if "loss" in line] == losses
    given = restore_params(step_folder(first.checkpoints, 6))
    types = given["bert"]["embeddings"]["token_type_embeddings"]["embedding"]
    types[1] = types[0]  # packed rows have not trained it: as an export has it
    found = start(first.path, (objective_of(tiny, read_header(second.examples)), second.vocabulary))
    for one, other in zip(jax.tree.leaves(given), jax.tree.leaves(found), strict=True):
        np.testing.assert_array_equal(
            one[:VOCABULARY] if len(one) == 256 else one, other[:VOCABULARY] if len(other) == 256 else other
        )


def test_parameters_are_drawn_once(
    other: Path, tiny: TrainingRecipe, new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Bert] = []
    init, eval_shape = Bert.init, jax.eval_shape

    def counted(model: Bert, key: jax.Array) -> Parameters:
        drawn.append(model)
        return init(model, key)

    def shapes_alone(*arguments: Any) -> Any:
        before = len(drawn)
        found = eval_shape(*arguments)
        del drawn[before:]
        return found

    monkeypatch.setattr(Bert, "init", counted)
    monkeypatch.setattr(jax, "eval_shape", shapes_alone)
    train(new_run("drawn-once"), "tiny", changed(tiny, start_from=(str(other),), max_steps=3, stop_at_step=1))
    assert len(drawn) == 1
