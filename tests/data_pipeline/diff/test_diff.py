"""diff names every field, count and sentence in which two runs differ, and the step that made it so."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data_pipeline.__main__ import COMMANDS
from data_pipeline.contract.errors import InputError
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import read_json
from data_pipeline.corpus.corpus_files import read_sentences
from data_pipeline.diff import sentences
from data_pipeline.diff.prepared import Prepared
from data_pipeline.diff.run import diff
from data_pipeline.prepare.run import prepare
from data_pipeline.recipe import DataRecipe, Decontamination, LengthFilter, NearDuplicates, Pseudonyms

MOBILE = "010-4823-7761"


@pytest.fixture(scope="module")
def runs(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_recipe: Callable[..., DataRecipe],
    json_lines: Callable[[Path, list[str]], Path],
    document: Callable[..., str],
) -> tuple[Prepared, Prepared]:
    """The same files under two recipes; of every difference between these there is one document."""
    folder = tmp_path_factory.mktemp("diff")
    texts = [document(row, 4) for row in range(60)]
    texts[3] += f" 담당자 번호는 {MOBILE} 입니다."
    texts[5] += " 짧아요."
    texts[7] += " 이 문장은 <b>굵은</b> 글자가 들어 있는 문장입니다."
    texts[9] += " This sentence is 영어 mostly and long enough."
    texts[20] = texts[21] + "!!"
    copied = [
        "이 문장은 시험 문제에 그대로 나오는 문장이라고 합니다.",
        f"자세한 문의는 {MOBILE} 번호로 전화를 주시기 바랍니다.",
    ]
    benchmark = json_lines(folder / "bench.jsonl", copied)
    texts[13] += f" {copied[1]}"
    texts[11] += " 이 문장은 시험 문제에 그대로 나오는 문장이라고 합니다."
    first = tiny_recipe(json_lines(folder / "a.jsonl", texts))
    second = replace(
        first,
        clean=replace(first.clean, html_tags=False),
        near_duplicates=NearDuplicates(enabled=False),
        korean=replace(first.korean, min_hangul_share=0.0),
        length=LengthFilter(min_chars=6, unit="sentence"),
        decontamination=Decontamination(benchmarks=(str(benchmark),)),
        pseudonyms=Pseudonyms(enabled=False),
    )
    found = []
    for name, recipe in (("first", first), ("second", second)):
        prepare(RunFolder(folder / name), name, recipe, workers=1)
        found.append(Prepared(RunFolder(folder / name)))
    return found[0], found[1]


@pytest.fixture(scope="module")
def found(runs: tuple[Prepared, Prepared]) -> dict[str, Any]:
    return diff(*runs, examined=1000)


def reasons(side: dict[str, Any]) -> dict[str, list[str]]:
    return {reason: [each["text"] for each in of["examples"]] for reason, of in side["reasons"].items()}


def test_every_lost_sentence_is_traced_to_its_step(found: dict[str, Any]) -> None:
    only_first, only_second = found["sentences"]
    lost = reasons(only_first)
    assert set(lost) == {"too short", "cleaned to another text", "benchmark", "pseudonyms"}
    assert lost["too short"] == ["짧아요."]
    assert lost["cleaned to another text"] == ["이 문장은 굵은 글자가 들어 있는 문장입니다."]
    assert lost["benchmark"] == [
        "이 문장은 시험 문제에 그대로 나오는 문장이라고 합니다.",
        "자세한 문의는 010-••••-•••• 번호로 전화를 주시기 바랍니다.",
    ]
    examples = only_first["reasons"]["benchmark"]["examples"]
    assert [example["document"] for example in examples] == ["a.jsonl:12", "a.jsonl:14"]
    assert all("bench" in example["detail"] for example in examples)
    new = reasons(only_second)
    assert set(new) == {"not Korean", "cleaned to another text", "near duplicate", "pseudonyms"}
    assert new["not Korean"] == ["This sentence is 영어 mostly and long enough."]
    assert new["cleaned to another text"] == ["이 문장은 <b>굵은</b> 글자가 들어 있는 문장입니다."]
    assert only_second["reasons"]["near duplicate"]["number"] == 4


def test_personal_data_is_not_shown(found: dict[str, Any]) -> None:
    told = json.dumps(found, ensure_ascii=False)
    assert MOBILE not in told
    assert "담당자 번호는 010-••••-•••• 입니다." in told


def test_fields_and_counts_that_differ_are_named(found: dict[str, Any], runs: tuple[Prepared, Prepared]) -> None:
    assert "clean.html_tags: True -> False" in found["recipe"]
    assert "length.unit: document -> sentence" in found["recipe"]
    assert not [line for line in found["recipe"] if line.startswith("vocabulary")]
    assert found["inputs"] == [f"{runs[1].recipe.decontamination.benchmarks[0]}: only in the second"]
    counts = {row["count"]: row["numbers"] for row in found["counts"]}
    for place, run in enumerate(runs):
        kept = read_json(run.path / "corpus" / "report.json")["sentences"]
        assert counts["sentences kept"][place] == kept["sentences"]
    assert counts["dropped sentences: benchmark (source-0)"] == [0, 2]
    assert counts["dropped documents: near duplicate (source-0)"] == [1, 0]
    assert counts["personal data: mobile (source-0)"] == [2, 0]


@pytest.mark.parametrize(("in_range", "waiting"), [(4_000_000, 100_000), (30, 7)])
def test_numbers_are_those_of_a_comparison_in_memory(
    runs: tuple[Prepared, Prepared], monkeypatch: pytest.MonkeyPatch, in_range: int, waiting: int
) -> None:
    monkeypatch.setattr(sentences, "SENTENCES_PER_RANGE", in_range)
    monkeypatch.setattr(sentences, "WAITING", waiting)
    texts = [
        Counter(s.text for path in run.sentence_parts.values() for d in read_sentences(str(path)) for s in d.sentences)
        for run in runs
    ]
    for side, (one, other) in zip(
        sentences.only_in_one(runs, 1000), ((texts[0], texts[1]), (texts[1], texts[0])), strict=True
    ):
        assert side.number == (one - other).total()
        assert Counter(each.text for each in side.sample) == one - other
    few = sentences.only_in_one(runs, 2)[0]
    assert len(few.sample) == 2
    assert few.number == (texts[0] - texts[1]).total()
    assert few == sentences.only_in_one(runs, 2)[0]


def test_the_command_prints_text_or_json(
    runs: tuple[Prepared, Prepared], found: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    command = COMMANDS["diff"][0]
    places = [str(run.path) for run in runs]
    command([*places, "--json", "--examined", "1000"])
    assert json.loads(capsys.readouterr().out) == found
    command(places)
    printed = capsys.readouterr().out
    assert "clean.html_tags: True -> False" in printed
    assert f"1: too short, in {places[1]}\n    - a.jsonl:6: 짧아요." in printed


def test_mistakes_are_named(runs: tuple[Prepared, Prepared]) -> None:
    with pytest.raises(InputError, match="both are the same run folder; give two"):
        diff(runs[0], runs[0], examined=10)
    with pytest.raises(InputError, match="--examined 0: must be at least 1"):
        diff(*runs, examined=0)
