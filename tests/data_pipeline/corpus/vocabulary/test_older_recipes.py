"""What was prepared before a field or a constant of the vocabulary changed is prepared again to the same bytes."""

import json
import logging
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from prepared_runs import run

from data_pipeline.corpus.stages.vocabulary import vocabulary_parameters, vocabulary_task
from data_pipeline.recipe import KLUE_VOCABULARY, KOBERT_VOCABULARY, DataRecipe, Vocabulary
from data_pipeline.recipe_vocabulary import ADDED_FIELDS, CHANGED_CONSTANTS, as_prepared
from data_pipeline.tasks.shard_task import Place

BEFORE_ADDED_FIELDS = {
    "size": 400,
    "unused": 3,
    "model": "wordpiece",
    "scheme": "klue",
    "character_coverage": 1.0,
    "min_count": 1,
    "lowercase": False,
    "given": "",
}
"""As older code wrote a recipe down, and asked for a vocabulary by."""


def test_fields_at_their_defaults_ask_for_a_vocabulary_as_older_code_did() -> None:
    recipe = Vocabulary(size=400, unused=3, scheme="klue", character_coverage=1.0, min_count=1)
    assert vocabulary_parameters(recipe) == BEFORE_ADDED_FIELDS
    assert {field.name for field in fields(Vocabulary)} == {*BEFORE_ADDED_FIELDS, *ADDED_FIELDS}


def test_a_vocabulary_is_asked_for_by_what_older_code_wrote_down() -> None:
    """Or a folder that gets more text would lose the vocabulary that a model was trained with."""
    task = vocabulary_task(Place("/x"), Vocabulary(), (), ())
    assert task.request() == "307b2db1bbc4bc98c968aeb976d6f47733b6f430da1ffa7c409ee23e77bff722"


def written(recipe: Vocabulary) -> dict[str, Any]:
    """As older code wrote it down."""
    return {name: getattr(recipe, name) for name in BEFORE_ADDED_FIELDS}


@pytest.mark.parametrize(("earlier", "now"), CHANGED_CONSTANTS)
def test_a_changed_constant_is_told_from_a_changed_recipe(earlier: Vocabulary, now: Vocabulary) -> None:
    for changes in ({}, {"size": 8_000}, {"size": 8_000, "min_count": 5}):
        before = replace(earlier, **changes)
        assert as_prepared(written(before), replace(now, **changes)) == before
        # Written down by today's code, as it kept it.
        kept = {field.name: getattr(before, field.name) for field in fields(Vocabulary)}
        assert as_prepared(json.loads(json.dumps(kept)), replace(now, **changes)) == before
    changed = replace(now, size=9_000)
    assert as_prepared(written(earlier), changed) == changed
    assert as_prepared(written(earlier), replace(earlier, min_count=7)) == replace(earlier, min_count=7)


def test_todays_recipe_stands_where_nothing_changed_with_the_code() -> None:
    for recipe in (KLUE_VOCABULARY, KOBERT_VOCABULARY, Vocabulary()):
        kept = {field.name: getattr(recipe, field.name) for field in fields(Vocabulary)}
        assert as_prepared(json.loads(json.dumps(kept)), recipe) == recipe
    wider = replace(KLUE_VOCABULARY, alphabet_limit=3_000)
    assert as_prepared(written(CHANGED_CONSTANTS[0][0]), wider) == wider


def tokenizer_files(folder: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes() for path in sorted((folder / "vocabulary").iterdir()) if path.suffix != ".lock"
    }


def test_a_prepared_folder_keeps_its_vocabulary_when_a_constant_changes(
    tiny_recipe: Callable[..., DataRecipe], corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("MeCab")
    few = {"size": 400, "unused": 3}
    recipe = tiny_recipe(corpus / "*.jsonl")
    older = replace(recipe, vocabulary=replace(CHANGED_CONSTANTS[0][0], **few))
    todays = replace(recipe, vocabulary=replace(KLUE_VOCABULARY, **few))
    folder = run(tmp_path / "run", older)
    before = tokenizer_files(folder.path)
    manifest = folder.manifest()
    for name in ADDED_FIELDS:
        del manifest["prepare"]["recipe"]["vocabulary"][name]
    folder.manifest_path.write_text(json.dumps(manifest))
    caplog.set_level(logging.INFO, logger="data_pipeline")
    for _ in range(2):
        caplog.clear()
        run(folder.path, todays)
        assert tokenizer_files(folder.path) == before
        assert "--retrain-vocabulary makes today's" in caplog.text
    run(folder.path, todays, retrain_vocabulary=True)
    rows = (folder.vocabulary / "vocab.txt").read_text(encoding="utf-8").splitlines()
    assert rows[-3:] == ["[unused0]", "[unused1]", "[unused2]"]
    caplog.clear()
    run(folder.path, todays)
    assert (folder.vocabulary / "vocab.txt").read_text(encoding="utf-8").splitlines() == rows
    assert "today's" not in caplog.text
