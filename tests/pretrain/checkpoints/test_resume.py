import dataclasses
from typing import Any

import pytest
from tiny_run import TINY, changed

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_file import plain
from data_pipeline.contract.run_folder import software_versions
from pretrain.checkpoints.facts import other_software
from pretrain.checkpoints.resume import refuse_other_run
from pretrain.recipe import TrainingRecipe


def facts(recipe: TrainingRecipe) -> dict[str, Any]:
    return {"recipe": plain(recipe), "records_fingerprint": "a" * 64, "step": 4}


def test_another_recipe_is_refused_with_the_fields_old_and_new() -> None:
    other = changed(TINY, seed=7, optimizer={"learning_rate": 0.5}, model={"hidden_size": 64})
    with pytest.raises(InputError) as error:
        refuse_other_run(facts(TINY), other, "a" * 64)
    for words in ("seed: 0 -> 7", "optimizer.learning_rate: 0.01 -> 0.5", "model.hidden_size: 32 -> 64", "--run-dir"):
        assert words in str(error.value)


def test_what_may_change_on_resume_is_not_refused() -> None:
    free = changed(
        TINY,
        mesh={"fsdp": 2},
        accumulation=4,
        checkpoints={"keep": 1},
        evaluation={"rows": 3},
        remat="full",
        stop_at_step=5,
    )
    refuse_other_run(facts(TINY), free, "a" * 64)
    assert dataclasses.asdict(free) != dataclasses.asdict(TINY)


def test_other_records_are_refused() -> None:
    with pytest.raises(InputError, match="other records: fingerprint aaaaaaaaaaaa -> bbbbbbbbbbbb"):
        refuse_other_run(facts(TINY), TINY, "b" * 64)


def test_what_other_versions_mean_is_said_on_resume() -> None:
    now = software_versions()
    assert other_software({"software": now}) is None
    assert other_software({}) is None
    sentence = other_software({"software": {**now, "optax": "0.1", "grain": "0.1", "rich": "9"}})
    assert sentence is not None
    assert sentence.startswith(
        f"resumed with other versions than saved it: optax 0.1 -> {now['optax']}; masks and dropout"
    )
    assert "grain" not in sentence
    assert "order" not in sentence, "the order of rows is no package's"
    of_code = other_software({"software": {**now, "code": "abc"}})
    assert of_code == f"resumed with other versions than saved it: code abc -> {now['code']}"
