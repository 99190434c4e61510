"""Token types that no training has used are exported as copies of type 0; those that some training used stay."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tiny_run import changed

from data_pipeline.contract.run_folder import RunFolder
from pretrain.checkpoints.restore import restore_params
from pretrain.checkpoints.verify import facts_of, step_folder
from pretrain.exporting.export import export
from pretrain.recipe import TrainingRecipe
from pretrain.subject import load_subject
from pretrain.train import train

pytestmark = pytest.mark.usefixtures("shared_programs")
TYPES = "bert.embeddings.token_type_embeddings.weight"


def short(tiny: TrainingRecipe, **fields: object) -> TrainingRecipe:
    found: TrainingRecipe = changed(tiny, max_steps=3, stop_at_step=2, evaluation={"rows": 0}, **fields)
    return found


def exported(run: RunFolder) -> tuple[np.ndarray, np.ndarray, str]:
    """The table of token types in the checkpoint and in the export, and the card."""
    export(run, None, run.export)
    params = restore_params(step_folder(run.checkpoints, 2))
    card = (run.export / "README.md").read_text(encoding="utf-8")
    return (
        params["bert"]["embeddings"]["token_type_embeddings"]["embedding"],
        load_file(run.export / "model.safetensors")[TYPES],
        card,
    )


def test_packed_rows_export_type_0_twice_and_the_card_says_so(
    tiny: TrainingRecipe, new_run: Callable[..., RunFolder]
) -> None:
    run = new_run()
    train(run, "tiny", short(tiny))
    trained, table, card = exported(run)
    assert not np.array_equal(trained[1], trained[0])
    np.testing.assert_array_equal(table, trained[[0, 0]])
    assert "Token type 1, which tasks on several texts use, was never trained: it is taken as type 0." in card
    assert load_subject(run.export).token_types == 1
    # The run's own model is the one that its export holds.
    for subject in (load_subject(run.path), load_subject(run.export)):
        np.testing.assert_array_equal(subject.tensors[TYPES], table)


def test_pairs_export_both_types_as_trained(tiny: TrainingRecipe, new_run: Callable[..., RunFolder]) -> None:
    run = new_run(layout="sentence_pairs")
    train(run, "tiny", short(tiny))
    trained, table, card = exported(run)
    np.testing.assert_array_equal(table, trained)
    assert "oken type" not in card.partition("## Intended use")[2]
    assert load_subject(run.export).token_types == 2


def test_further_types_than_pairs_have_are_copies_too(tiny: TrainingRecipe, new_run: Callable[..., RunFolder]) -> None:
    run = new_run(layout="sentence_pairs")
    train(run, "tiny", short(tiny, model={"type_vocab_size": 4}))
    trained, table, card = exported(run)
    np.testing.assert_array_equal(table, trained[[0, 1, 0, 0]])
    assert "Token types 2 to 3, which tasks on several texts use, were never trained" in card


@pytest.mark.parametrize("place", ["run", "export"])
def test_a_start_that_never_trained_type_1_does_not_make_it_a_trained_one(
    place: str, tiny: TrainingRecipe, new_run: Callable[..., RunFolder]
) -> None:
    first, second = new_run("first"), new_run("second")
    train(first, "tiny", short(tiny))
    export(first, None, first.export)
    start = first.path if place == "run" else first.export
    train(second, "tiny", short(tiny, start_from=(str(start),)))
    trained, table, card = exported(second)
    assert not np.array_equal(trained[1], trained[0]), "row 0 was trained on, row 1 was not"
    np.testing.assert_array_equal(table, trained[[0, 0]])
    assert "was never trained" in card


def test_a_type_that_the_start_had_trained_on_pairs_stays(
    tiny: TrainingRecipe, new_run: Callable[..., RunFolder]
) -> None:
    first, second, third = new_run("first", layout="sentence_pairs"), new_run("second"), new_run("third")
    train(first, "tiny", short(tiny))
    export(first, None, first.export)
    # As BertForMaskedLM saves it: without the head of the pairs, which packed rows do not have.
    tensors = load_file(first.export / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if "pooler" not in name and "relationship" not in name}
    save_file(kept, first.export / "model.safetensors")
    recipe = short(tiny, start_from=(str(first.export),))
    train(second, "tiny", changed(recipe, stop_at_step=1))
    train(second, "tiny", recipe)  # resumed: what was brought is known to every checkpoint
    trained, table, card = exported(second)
    np.testing.assert_array_equal(table, trained)
    assert "was not trained here: its row is that of `first/export`" in card
    train(third, "tiny", short(tiny, start_from=(str(second.path),)))
    trained, table, _ = exported(third)
    np.testing.assert_array_equal(table, trained, err_msg="a start from that start")


def test_a_checkpoint_that_does_not_say_what_its_start_had_trained_is_exported_as_it_is(
    tiny: TrainingRecipe, new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = new_run("first"), new_run("second")
    train(first, "tiny", short(tiny))
    train(second, "tiny", short(tiny, start_from=(str(first.path),)))
    of_older_code = {**facts_of(step_folder(second.checkpoints, 2))}
    del of_older_code["started_from"]
    of_older_code["recipe"] = {**of_older_code["recipe"], "format": 2, "start_from": str(first.path)}
    for module in ("export", "subject"):
        name = "pretrain.exporting.export" if module == "export" else "pretrain.subject"
        monkeypatch.setattr(f"{name}.facts_of", lambda _: of_older_code)
    trained, table, card = exported(second)
    np.testing.assert_array_equal(table, trained)
    assert "Whether token type 1, which tasks on two texts use, was ever trained: unknown." in card
    assert "its licence: unknown" in card


def test_what_differs_from_type_0_in_a_folder_counts_as_trained(
    tiny: TrainingRecipe, new_run: Callable[..., RunFolder]
) -> None:
    run = new_run()
    train(run, "tiny", short(tiny))
    export(run, None, run.export)
    tensors = load_file(run.export / "model.safetensors")
    assert json.loads((run.export / "config.json").read_text())["type_vocab_size"] == 2
    tensors[TYPES] = np.stack([tensors[TYPES][0], tensors[TYPES][0] + 1])
    save_file(tensors, Path(run.export) / "model.safetensors")
    assert load_subject(run.export).token_types == 2
