"""What was not read is said at the end of every command, and a damaged file is no bad record."""

import json
import logging
import unicodedata
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from prepared_runs import results, run

from data_pipeline.contract.errors import InputError
from data_pipeline.recipe import DataRecipe, Repair, Source


@pytest.fixture
def articles(tmp_path: Path, document: Callable[..., str]) -> Path:
    """A dump of 60 articles, and how it looks from the 50th on when it is damaged there."""
    pages = [{"namespace": "0", "title": str(number), "text": document(number)} for number in range(60)]
    content = json.dumps(pages, ensure_ascii=False, indent=0)
    place = content.index('"title": "50"')
    (tmp_path / "a.json").write_text(content[:place] + "\x01" + content[place:], encoding="utf-8")
    return tmp_path / "a.json"


def of(recipe: DataRecipe, source: Source, **fields: object) -> DataRecipe:
    return replace(recipe, sources=(source,), evaluation_fraction=0.0, **fields)  # type: ignore[arg-type]


def test_damage_stops_the_work_whatever_the_budget(
    articles: Path, tiny_recipe: Callable[..., DataRecipe], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    strict = of(tiny_recipe(""), Source("namuwiki", str(articles)), max_bad_records=1000)
    problem = rf"{articles}:record 51: not JSON, and the file cannot be read on from here \(.+\); mend the file, or keep what .*--data\.read-up-to"
    with pytest.raises(InputError, match=problem):
        run(tmp_path / "run", strict)
    run(tmp_path / "run", replace(strict, read_up_to_damage=True))
    content = articles.read_bytes()
    unread = len(content) - content.index(b"\x01")
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING][-1]
    assert said.startswith(f"{articles}:record 51: not JSON")
    assert any(f"; {number:,} bytes from there on are unread" in said for number in range(unread - 2, unread + 3)), said
    with pytest.raises(InputError, match=problem):  # also where the work is done already
        run(tmp_path / "run", strict)


def test_damage_is_said_where_nothing_was_read_before_it(
    tiny_recipe: Callable[..., DataRecipe], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(b"no gzip")
    recipe = of(tiny_recipe(""), Source("jsonl", str(tmp_path / "a.jsonl.gz")), read_up_to_damage=True)
    with pytest.raises(InputError, match="no document in"):
        run(tmp_path / "run", recipe)
    assert caplog.messages[-1].startswith(f"{tmp_path / 'a.jsonl.gz'}: cannot be decompressed (Not a gzipped file")


def test_what_the_format_left_out_is_said_where_no_document_is(
    tiny_recipe: Callable[..., DataRecipe], tmp_path: Path
) -> None:
    pages = [{"namespace": "0", "title": "a", "text": "#redirect 섬"}, {"namespace": "6", "title": "b", "text": "파일"}]
    (tmp_path / "a.json").write_text(json.dumps(pages), encoding="utf-8")
    with pytest.raises(
        InputError, match="0 records, left out by the format: pages of other name spaces 1, redirects 1; give"
    ):
        run(tmp_path / "run", of(tiny_recipe(""), Source("namuwiki", str(tmp_path / "a.json"))))


def test_bad_records_within_the_budget_are_said_last_in_every_run(
    tiny_recipe: Callable[..., DataRecipe],
    document: Callable[..., str],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "data_pipeline")
    for number in range(3):
        lines = [json.dumps({"text": document(100 * number + row)}, ensure_ascii=False) for row in range(30)]
        lines[7 : 7 + number] = ["not json"] * number
        (tmp_path / f"{number}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    recipe = of(tiny_recipe(""), Source("jsonl", str(tmp_path / "*.jsonl")), max_bad_records=5)
    sentence = (
        "3 bad records are left out (--data.max-bad-records 5 allows that); "
        f"the first is {tmp_path / '1.jsonl'}:8: not JSON (Expecting value: line 1 column 1 (char 0))"
    )
    for workers in (1, 2):
        for _ in range(2):  # the second time nothing is left to do
            caplog.clear()
            run(tmp_path / f"run-{workers}", recipe, workers)
            assert caplog.records[-1].getMessage() == sentence
    assert results(tmp_path / "run-1") == results(tmp_path / "run-2")


def test_damaged_characters_are_counted_and_the_worst_documents_go(
    tiny_recipe: Callable[..., DataRecipe],
    document: Callable[..., str],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    lines = [*map(document, range(60)), "\ufffd\ufffd글이다.", f"{document(60)} 나랏말\uebd4미\ufffd"]
    (tmp_path / "a.txt").write_text("\n".join(lines), encoding="utf-8")
    run(tmp_path / "run", of(tiny_recipe(""), Source("lines", str(tmp_path / "a.txt"))))
    assert caplog.messages[-2:] == [
        "3 characters were lost before the text came here (U+FFFD) and left out; documents with more than 5% of them are dropped "
        "(--data.repair.max-lost-share)",
        "1 character is private use (U+E0BC to U+F8F7), as Hanyang's fonts write old Hangul, and left as it came; --data.repair.hanyang "
        "maps it to jamo",
    ]
    report = json.loads((tmp_path / "run/corpus/report.json").read_bytes())
    assert report["documents"]["dropped"]["documents"]["lines"] == {"lost characters": 1}


def test_members_of_archives_give_the_same_bytes_on_any_number_of_workers(
    tiny_recipe: Callable[..., DataRecipe], document: Callable[..., str], tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for member in "나가다":
            lines = [json.dumps({"text": document(ord(member) + row)}) for row in range(20)]
            archive.writestr(f"{member}.jsonl", "\n".join(lines))
    recipe = of(tiny_recipe(""), Source("jsonl", str(tmp_path / "a.zip")), repair=Repair(join_lines=True))
    one, *others = (results(run(tmp_path / str(workers), recipe, workers).path) for workers in (1, 2, 4))
    assert others == [one, one]


def test_names_in_the_records_are_as_dirty_as_the_text(
    tiny_recipe: Callable[..., DataRecipe], document: Callable[..., str], tmp_path: Path
) -> None:
    nfd = unicodedata.normalize("NFD", "본문")
    names = [unicodedata.normalize("NFD", "경제"), " 경제\u200b", "\ufeff경제", "half \ud83d", "\udcbd"]
    with open(tmp_path / "a.jsonl", "w", encoding="utf-8") as file:
        for number in range(60):
            record = {nfd: document(number) + "\ud83d", "분야": names[number % len(names)], "\udcbd": 1}
            file.write(json.dumps(record) + "\n")
    source = Source("jsonl", str(tmp_path / "a.jsonl"), text_field="본문", category_field="분야")
    recipe = of(tiny_recipe(""), source, category_weights=(("경제", 2.0),), rows_by_category=True)
    folder = run(tmp_path / "run", recipe)
    report = json.loads((tmp_path / "run/corpus/report.json").read_bytes())
    categories = report["documents"]["categories"]["jsonl"]
    assert {name: counts["records"] for name, counts in categories.items()} == {
        "경제": 36,
        r"half \ud83d": 12,
        r"\udcbd": 12,
    }
    assert folder.manifest()["prepare"]["records"]["rows"]["train"] > 0


def test_a_category_is_asked_for_in_any_unicode_form(
    tiny_recipe: Callable[..., DataRecipe], document: Callable[..., str], tmp_path: Path
) -> None:
    records = [{"text": document(number), "kind": "경제" if number % 6 else "문화"} for number in range(90)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    source = Source("jsonl", str(tmp_path / "a.jsonl"), category_field="kind")
    run(tmp_path / "run", of(tiny_recipe(""), source, categories=(unicodedata.normalize("NFD", "경제"),)))
    report = json.loads((tmp_path / "run/corpus/report.json").read_bytes())
    assert report["documents"]["documents"] == 75


def test_columns_are_found_in_any_unicode_form(tmp_path: Path) -> None:
    from data_pipeline.corpus.document import Document
    from data_pipeline.source_formats import read_source_file

    name = unicodedata.normalize("NFD", "본문")
    for format_name, content in (
        ("csv", f"\ufeff{name},id\n글이다.,1\n"),
        ("csv", f"id, {name} \n1,글이다.\n"),
        ("tsv", f"id\t{name}\n1\t글이다.\n"),
    ):
        (tmp_path / "a").write_text(content, encoding="utf-8")
        [found] = read_source_file(str(tmp_path / "a"), Source(format_name, "", name="s", text_field="본문"))
        assert isinstance(found, Document), found
        assert found.text == "글이다."
