"""Pairs go through every stage as pairs: the summary stays the target of its own text, or nothing is learnt from it."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from prepared_runs import results, run

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.records import Records
from data_pipeline.contract.storage import read_json
from data_pipeline.contract.tokenizer import Tokenizer
from data_pipeline.dry_run.run import dry_run
from data_pipeline.recipe import DataRecipe, Source, SourceTarget


@pytest.fixture
def pairs(tmp_path: Path, tiny_recipe: object, document: object) -> DataRecipe:
    """Twenty pairs in two files, whose summary is the first sentence of the text twice; of one the summary is not Korean."""
    assert callable(tiny_recipe)
    assert callable(document)
    for file in range(2):
        texts = [document(10 * file + row, 4) for row in range(10)]
        rows = [{"text": text, "summary": f"{text.split('.')[0]}. 둘째다."} for text in texts]
        rows[3]["summary"] = "This is not Korean."
        path = tmp_path / f"in/{file}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return replace(
        tiny_recipe(),
        sources=(Source("pairs", str(tmp_path / "in/*.jsonl"), name="pairs"),),
        near_duplicates=replace(tiny_recipe().near_duplicates, enabled=False),
        evaluation_fraction=0.0,
        vocabulary=replace(tiny_recipe().vocabulary, size=340),
        examples=SourceTarget(64, 16, target="first_paragraph"),
    )


def test_a_summary_is_the_target_of_its_text_whatever_the_workers(pairs: DataRecipe, tmp_path: Path) -> None:
    folder = run(tmp_path / "one", pairs)
    records, tokenizer = Records(folder.examples, "train"), Tokenizer(folder.vocabulary)
    rows = records.read(range(len(records)))
    assert len(records) == 18
    assert rows["target_tokens"].shape == (18, 16)
    for source, target in zip(rows["tokens"], rows["target_tokens"], strict=True):
        text, summary = (tokenizer.backend.decode(side.tolist()) for side in (source, target))
        assert text.startswith(summary.split(".")[0][:12])
        assert "둘째다" not in text
        assert "This" not in summary
    made = read_json(folder.corpus / "report.json")["records"]["by_length"]["64"]
    assert made["target_tokens_cut"] > 0
    assert made["tokens_left_out"] > 0
    run(tmp_path / "two", pairs, workers=2)
    assert results(tmp_path / "one") == results(tmp_path / "two")


def test_an_article_whose_title_is_lost_in_cleaning_is_counted_and_left_out(
    pairs: DataRecipe, tmp_path: Path, document: Callable[..., str]
) -> None:
    titles = [f"{number}번 기사의 제목은 이렇다." for number in range(14)] + ["[사진]", ""]
    articles = [
        {"title": title, "text": f"첫 단락이다. {document(number, 1)}\n{document(50 + number, 3)}"}
        for number, title in enumerate(titles)
    ]
    path = tmp_path / "news.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in articles), encoding="utf-8")
    recipe = replace(
        pairs, sources=(Source("news", str(path), name="news"),), clean=replace(pairs.clean, bracketed_tags=True)
    )
    folder = run(tmp_path / "run", recipe)
    records, tokenizer = Records(folder.examples, "train"), Tokenizer(folder.vocabulary)
    targets = [tokenizer.backend.decode(row.tolist()) for row in records.read(range(len(records)))["target_tokens"]]
    assert len(targets) == 14
    assert not any("단락" in target for target in targets)
    assert read_json(folder.corpus / "report.json")["documents"]["dropped"]["documents"]["news"] == {"no summary": 2}


def test_a_dry_run_keeps_the_summaries(pairs: DataRecipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dry_run(pairs, 1_000, 1)
    sentences = read_json(run(tmp_path / "run", pairs).corpus / "report.json")["sentences"]["sentences"]
    assert re.search(rf"^│ sentences kept +│ +{sentences} │", capsys.readouterr().out, re.MULTILINE)


def test_a_record_without_its_summary_is_named(pairs: DataRecipe, tmp_path: Path) -> None:
    with (tmp_path / "in/1.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"text": "본문이다."}\n')
    with pytest.raises(InputError, match=r'in/1\.jsonl:11: field "summary" is missing \(found: text\); mend the file'):
        run(tmp_path / "run", pairs)
