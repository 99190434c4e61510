"""The account that the data side gives of a run: its figures are the report's, and every setting of a step changes its sentence."""

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from data_pipeline.contract.run_folder import REPORT, RunFolder
from data_pipeline.contract.storage import read_json
from data_pipeline.pipeline import ROWS
from data_pipeline.prepare.account import account
from data_pipeline.prepare.run import prepare
from data_pipeline.recipe import (
    Clean,
    DataRecipe,
    Decontamination,
    Examples,
    LengthFilter,
    Pseudonyms,
    SentenceSplit,
    Source,
    Vocabulary,
)

COUNTS: dict[str, Any] = {
    "documents": {
        "categories": {"letters": {"": {"records": 1200, "text_bytes": 1}}},
        "dropped": {"documents": {"letters": {"empty after cleaning": 3}}},
    },
    "sentences": {
        "categories": {"letters": {"": {"documents": 1000, "sentences": 5000, "text_bytes": 2_000_000}}},
        "dropped": {
            "documents": {"letters": {"duplicate": 150, "near duplicate": 7, "too short": 40}},
            "sentences": {"letters": {"not Korean": 20, "Han or Kana": 1, "too short": 60}},
        },
        "replaced": {"letters": {"email": 1005}, "news": {"email": 1, "ip_address": 2}},
    },
    "vocabulary": {"rows": 8000, "morphemes": 123_456},
}
RECIPE = DataRecipe(sources=(Source("text", "a.txt", name="letters"),))


def steps(recipe: DataRecipe) -> dict[str, str]:
    told = account(recipe, COUNTS)["steps"]
    return dict(zip((row.field for row in ROWS), told, strict=True))


def test_every_step_tells_what_it_took() -> None:
    told = steps(RECIPE)
    assert told["clean"].endswith("empty brackets removed (3 documents)")
    assert told["drop_duplicates"] == "exact duplicates of documents dropped (150 documents)"
    assert told["near_duplicates"].endswith("from 0.65) dropped (7 documents)")
    assert told["sentences"] == "sentences split with kss_repaired, a linear model and rules"
    kss = replace(RECIPE, sentences=SentenceSplit(splitter="kss"))
    assert steps(kss)["sentences"] == "sentences split with KSS 1.3.1"
    assert told["korean"].endswith("more than 10 Han and Kana characters dropped (21 sentences)")
    assert (
        told["length"] == "documents shorter than 10 characters dropped (40 documents; 60 sentences, theirs among them)"
    )
    assert told["decontamination"] == "not decontaminated against any benchmark"
    assert told["pseudonyms"].endswith("plate, address. Replaced: email (1,006), ip address (2)")


def test_what_is_off_is_told_to_be() -> None:
    near = replace(RECIPE.near_duplicates, enabled=False)
    told = steps(replace(RECIPE, drop_duplicates=False, near_duplicates=near, pseudonyms=Pseudonyms(enabled=False)))
    assert told["drop_duplicates"] == "exact duplicates of documents kept"
    assert told["near_duplicates"] == "near duplicates of documents kept"
    assert told["pseudonyms"] == "personal data neither looked for nor replaced"
    every = {field.name: False for field in fields(Pseudonyms) if field.name != "enabled"}
    assert steps(replace(RECIPE, pseudonyms=Pseudonyms(**every)))["pseudonyms"] == told["pseudonyms"]
    some = Pseudonyms(plate=False, bank_account=False)
    assert "; not looked for: bank account, plate" in steps(replace(RECIPE, pseudonyms=some))["pseudonyms"]


@pytest.mark.parametrize(
    ("step", "changed"),
    [
        ("clean", lambda r: replace(r, clean=Clean(html_tags=False))),
        ("clean", lambda r: replace(r, clean=Clean(max_repeats=2))),
        ("near_duplicates", lambda r: replace(r, near_duplicates=replace(r.near_duplicates, threshold=0.8))),
        ("near_duplicates", lambda r: replace(r, near_duplicates=replace(r.near_duplicates, ngram=5))),
        ("korean", lambda r: replace(r, korean=replace(r.korean, min_hangul_share=0.5))),
        ("korean", lambda r: replace(r, korean=replace(r.korean, max_han_kana=3))),
        ("length", lambda r: replace(r, length=LengthFilter(min_chars=30))),
        ("length", lambda r: replace(r, length=LengthFilter(unit="sentence"))),
        ("length", lambda r: replace(r, sources=(replace(r.sources[0], length=LengthFilter(200)),))),
        ("decontamination", lambda r: replace(r, decontamination=Decontamination(("some/where/klue",)))),
    ],
)
def test_a_setting_changes_what_is_told(step: str, changed: Callable[[DataRecipe], DataRecipe]) -> None:
    before, after = steps(RECIPE), steps(changed(RECIPE))
    assert before[step] != after[step]
    assert {name: told for name, told in before.items() if name != step} == {
        name: told for name, told in after.items() if name != step
    }


@pytest.mark.parametrize(
    ("fraction", "told"),
    [
        (None, "0.01 of it held out for evaluation"),
        (0.0, "nothing of it held out"),
        (1.0, "for evaluation only: nothing of it was trained on"),
    ],
)
def test_a_source_tells_what_it_gave(fraction: float | None, told: str) -> None:
    recipe = replace(RECIPE, sources=(replace(RECIPE.sources[0], evaluation_fraction=fraction),))
    assert account(recipe, COUNTS)["sources"] == [
        f"letters: 1,200 records read, 1,000 documents and 5,000 sentences (2.0 MB) kept; {told}"
    ]


def test_categories_that_alone_were_used_are_told() -> None:
    told = account(replace(RECIPE, categories=("food", "news")), COUNTS)["steps"][0]
    assert told == "only documents of the categories food, news used"


@pytest.mark.parametrize(
    ("vocabulary", "told"),
    [
        (
            Vocabulary(),
            "500 of them [unusedN], learnt by BPE from 123,456 Mecab-ko morphemes (scheme continuation)",
        ),
        (Vocabulary(scheme="plain"), "500 of them [unusedN], learnt by BPE from 123,456 eojeols"),
        (
            Vocabulary(model="unigram", scheme="plain", unused=0),
            "learnt by SentencePiece from 123,456 eojeols",
        ),
        (Vocabulary(given="some/where/their-bert/"), "given (their-bert)"),
    ],
)
def test_the_vocabulary_tells_how_it_was_made(vocabulary: Vocabulary, told: str) -> None:
    assert account(replace(RECIPE, vocabulary=vocabulary), COUNTS)["vocabulary"] == told


def test_a_prepared_run_holds_its_account(corpus: Path, tiny_recipe: Callable[..., DataRecipe], tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    recipe = tiny_recipe(corpus / "part-*.jsonl")
    prepare(folder, "tiny", recipe, 1)
    assert folder.manifest()["prepare"]["account"] == account(recipe, read_json(folder.corpus / REPORT))


SHAPES_NOTHING = {
    "part_megabytes",
    "max_bad_records",
    "sources.glob",
    "sources.text_field",
    "sources.summary_field",
    "sources.name",
    "sources.format",
}
"""Or is told by the file names in the manifest."""
IN_TABLE = {"sources.licence", "sources.category", "sources.category_field", "sources.weight"}
"""The card's table of corpora."""
BY_FILES = {"examples.length", "examples.target_length", "word_unit", "vocabulary.size", "vocabulary.lowercase"}
"""The card has them from the headers of the records and the tokenizer's files."""


def other(value: Any, hint: Any) -> Any:
    """Another value of a field."""
    options = [option for option in getattr(hint, "__args__", ()) if isinstance(option, str) and option != value]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value / 2 if value else 7
    if isinstance(value, tuple):
        return (*value, "other")
    return options[0] if options else "other" if isinstance(value, str) else 3


def variants(recipe: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each field's name, and the recipe with another value of it alone."""
    hints = get_type_hints(type(recipe))
    for field in fields(recipe):
        value = getattr(recipe, field.name)
        if is_dataclass(value):
            for name, changed in variants(value, f"{prefix}{field.name}."):
                yield name, replace(recipe, **{field.name: changed})
        elif field.name == "sources":
            for name, changed in variants(value[0], "sources."):
                yield name, replace(recipe, sources=(changed,))
        elif field.name == "length":
            yield f"{prefix}length", replace(recipe, length=LengthFilter(77) if value is None else 80)
        elif field.name == "category_weights":
            yield field.name, replace(recipe, category_weights=(("food", 2.0),))
        elif len(getattr(hints[field.name], "__args__", ())) != 1 or value is not None:
            yield f"{prefix}{field.name}", replace(recipe, **{field.name: other(value, hints[field.name])})


@pytest.mark.parametrize("examples", get_args(Examples))
def test_every_field_that_shapes_text_or_vocabulary_changes_the_account(examples: type) -> None:
    recipe = replace(RECIPE, examples=examples())
    recipe = replace(recipe, decontamination=Decontamination(("some/where/klue",)))
    told = account(recipe, COUNTS)
    silent = {name for name, changed in variants(recipe) if account(changed, COUNTS) == told}
    assert silent - SHAPES_NOTHING - IN_TABLE - BY_FILES == set()
