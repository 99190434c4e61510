"""The cleaned text as a product: one schema, whole or not there, the same on any number of workers, and the same records when read back."""

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import zstandard
from prepared_runs import run

from data_pipeline.api import read_rows
from data_pipeline.contract.errors import InputError, WorkError
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.corpus.exported import FIELDS, METADATA, SIGNALS, iso_date
from data_pipeline.prepare.export_text import Export, export_text
from data_pipeline.recipe import Causal, DataRecipe, Decontamination, FullSentences, Source

parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow, of the extra [data], is not installed")
MakeRecipe = Callable[..., DataRecipe]
PARQUET, JSON_LINES = Export("parquet"), Export("jsonl.zst")


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def rows(folder: Path, split: str = "*") -> list[dict[str, Any]]:
    """The rows of an export, in the order of its shards."""
    found: list[dict[str, Any]] = []
    for path in sorted(folder.glob(f"data/{split}-*")):
        if path.suffix == ".parquet":
            found += parquet.read_table(path).to_pylist()
        else:
            with open(path, "rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
                found += map(json.loads, io.TextIOWrapper(stream, encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def recipe(
    tiny_recipe: MakeRecipe, document: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> DataRecipe:
    """Two sources, with metadata, authors, personal data, duplicates, and sentences that go."""
    folder = tmp_path_factory.mktemp("texts")
    for number in range(2):
        lines = []
        for row in range(60):
            text = document(1000 * number + row, 5)
            if row % 3 == 0:
                text = (
                    text.replace(". ", ". This line is not in Korean at all. ", 1)
                    + f" 연락처는 010-1234-{5000 + row}입니다."
                )
            told = {
                "title": f"제목 {row} &amp; 010-1234-{5000 + row}",
                "url": f"https://a.kr/{row}",
                "date": "2019.8.1",
                "author": "홍길동",
            }
            lines.append({"text": text, "category": "가" if row % 2 else "나", **told})
        lines += lines[:4]
        content = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (folder / f"{number}.jsonl").write_text(content, encoding="utf-8")
    made = tiny_recipe(folder / "0.jsonl", folder / "1.jsonl")
    sources = tuple(
        replace(source, category_field="category", licence="CC0", weight=weight)
        for source, weight in zip(made.sources, (1.5, 1.0), strict=True)
    )
    return replace(made, sources=sources, category_weights=(("가", 2.0),))


@pytest.fixture(scope="module")
def prepared(recipe: DataRecipe, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return run(tmp_path_factory.mktemp("prepared") / "run", recipe)


@pytest.fixture(scope="module")
def exported(prepared: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("exported") / "text"
    export_text(prepared, to, PARQUET, 1)
    return to


def test_rows_have_the_schema_and_every_key(exported: Path) -> None:
    schema = parquet.read_schema(next(exported.glob("data/train-*")))
    kinds = dict.fromkeys(FIELDS, "string")
    kinds |= {
        "sentence_starts": "list<element: int32>",
        "gaps": "list<element: int32>",
        "duplicates": "int32",
        "weight": "float",
    }
    kinds["signals"] = f"struct<{', '.join(f'{name}: float' for name in SIGNALS)}>"
    kinds["metadata"] = f"struct<{', '.join(f'{name}: string' for name in METADATA)}>"
    assert {name: str(schema.field(name).type) for name in schema.names} == kinds
    assert tuple(schema.names) == FIELDS
    found = rows(exported)
    assert {row["split"] for row in found} == {"train", "validation"}
    assert len({row["id"] for row in found}) == len(found)
    for row in found:
        assert tuple(row) == FIELDS
        assert not any(row[name] is None for name in FIELDS)
        assert row["created"] == "2019-08-01"
        assert row["metadata"]["date"] == "2019.8.1"
        assert row["licence"] == "CC0"
        assert row["weight"] == (1.5 if row["source"] == "source-0" else 1) * (2 if row["category"] == "가" else 1)
        assert row["metadata"]["url"].startswith("https://a.kr/")
        assert row["metadata"]["location"].count(":") == 1
    assert sum(row["duplicates"] for row in found) == 8


def test_sentences_and_gaps_are_where_they_are_said_to_be(exported: Path) -> None:
    with_gaps = [row for row in rows(exported) if row["gaps"]]
    assert len(with_gaps) > 20
    for row in with_gaps:
        assert row["gaps"] == [1]
        assert "Korean" not in row["text"]
        starts = [*row["sentence_starts"], len(row["text"])]
        pieces = [row["text"][start:end] for start, end in pairwise(starts)]
        assert "".join(pieces) == row["text"] == row["text"].strip()
        assert all(piece.rstrip().endswith(".") for piece in pieces)


def test_no_author_is_kept_and_titles_have_the_pseudonyms_of_their_text(exported: Path) -> None:
    content = json.dumps(rows(exported), ensure_ascii=False)
    assert "홍길동" not in content
    assert "010-1234-5" not in content
    with_number = [row for row in rows(exported) if "연락처는" in row["text"]]
    assert with_number
    for row in with_number:
        title = row["metadata"]["title"]
        assert title.startswith("제목 ")
        assert " & 010-" in title
        assert title.rpartition(" ")[2] in row["text"]


def test_a_title_that_is_benchmark_text_goes(recipe: DataRecipe, tmp_path: Path) -> None:
    title = "서울 지하철 노조 내일부터 무기한 파업"
    texts = [f"{title}\n조합원들이 어제 회의에서 {n}표 차이로 결정했다. 시민의 불편이 예상된다." for n in range(30)]
    lines = [{"title": title if n else "다른 제목", "text": text.partition("\n")[2]} for n, text in enumerate(texts)]
    (tmp_path / "news.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    (tmp_path / "test.txt").write_text(title + "\n", encoding="utf-8")
    benchmarks = Decontamination(benchmarks=(str(tmp_path / "test.txt"),), formula_share=0)
    source = Source("news", str(tmp_path / "news.jsonl"))
    near = replace(recipe.near_duplicates, enabled=False)
    small = replace(recipe.vocabulary, size=110)
    recipe = replace(recipe, sources=(source,), decontamination=benchmarks, near_duplicates=near, vocabulary=small)
    made = run(tmp_path / "run", recipe)
    export_text(made, tmp_path / "text", PARQUET, 1)
    assert {row["metadata"]["title"] for row in rows(tmp_path / "text")} == {"다른 제목", None}


def test_any_number_of_workers_and_both_formats_give_the_same_rows(
    prepared: RunFolder, exported: Path, tmp_path: Path
) -> None:
    export_text(prepared, tmp_path / "text", PARQUET, 2)
    assert digests(tmp_path / "text") == digests(exported)
    export_text(prepared, tmp_path / "lines", JSON_LINES, 2)
    assert [row | {"signals": 0} for row in rows(tmp_path / "lines")] == [
        row | {"signals": 0} for row in rows(exported)
    ]


def test_the_card_tells_splits_sources_and_steps(exported: Path) -> None:
    card = (exported / "README.md").read_text(encoding="utf-8")
    _, front, body = card.split("---\n", 2)
    assert "license: cc0-1.0" in front
    assert (
        "  - split: train\n    path: data/train-*.parquet\n  - split: validation\n    path: data/validation-*.parquet\n"
        in front
    )
    assert "source-0: 64 records read" in body
    assert "pseudonym" not in body or "fake values" in body
    assert all(f"| `{field}` |" in body for field in FIELDS)
    names = sorted(path.name for path in exported.glob("data/*"))
    assert names == [f"{split}-0000{n}-of-00002.parquet" for split in ("train", "validation") for n in range(2)]


LAYOUTS = (None, FullSentences(64), Causal(64))


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.layout if layout else "packed")
@pytest.mark.parametrize("asked", [PARQUET, JSON_LINES], ids=lambda asked: asked.format)
def test_read_back_it_gives_the_same_records(asked: Export, layout: Any, recipe: DataRecipe, tmp_path: Path) -> None:
    """Byte for byte, although the recipe would now split, filter and hold out otherwise."""
    recipe = replace(recipe, sources=tuple(replace(source, weight=1.5) for source in recipe.sources))
    recipe = replace(recipe, examples=layout) if layout else recipe
    first = run(tmp_path / "run", recipe)
    export_text(first, tmp_path / "text", asked, 1)
    again = replace(
        recipe,
        sources=(Source("export", str(tmp_path / "text/data/*"), weight=1.5),),
        sentences=replace(recipe.sentences, splitter="kss_repaired", max_chars=20),
        evaluation_fraction=0.5,
        seed=recipe.seed,
        part_megabytes=1,
        length=replace(recipe.length, min_chars=60, unit="sentence"),
    )
    second = run(tmp_path / "again", again)
    for split in ("train", "evaluation"):
        one, other = (list(read_rows(made.path, split)) for made in (first, second))
        assert len(one) == len(other) > 0
    prepared = (made.manifest()["prepare"]["records"] for made in (first, second))
    assert len({facts["fingerprint"] for facts in prepared}) == 1
    export_text(second, tmp_path / "text again", asked, 1)
    told = [
        [row["text"], row["sentence_starts"], row["gaps"], row["id"], row["metadata"]]
        for row in rows(tmp_path / "text")
    ]
    assert told == [
        [row["text"], row["sentence_starts"], row["gaps"], row["id"], row["metadata"]]
        for row in rows(tmp_path / "text again")
    ]


def test_near_duplicates_of_an_export_go_and_its_own_stay(
    recipe: DataRecipe, document: Callable[..., str], tmp_path: Path
) -> None:
    recipe = replace(recipe, vocabulary=replace(recipe.vocabulary, size=240))
    off = replace(recipe, near_duplicates=replace(recipe.near_duplicates, enabled=False))
    long = document(7, 12)
    for name, texts in (("a", [long, long + " 끝."]), ("b", [long + " 그리고 끝.", document(8, 12)])):
        (tmp_path / f"{name}.jsonl").write_text(
            "".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8"
        )
    raw = Source("jsonl", str(tmp_path / "a.jsonl"), evaluation_fraction=0)
    export_text(run(tmp_path / "run", replace(off, sources=(raw,))), tmp_path / "text", PARQUET, 1)
    new = Source("jsonl", str(tmp_path / "b.jsonl"), evaluation_fraction=0)
    both = replace(recipe, sources=(Source("export", str(tmp_path / "text/data/*")), new))
    export_text(run(tmp_path / "both", both), tmp_path / "both text", PARQUET, 1)
    found = [(row["source"], row["text"]) for row in rows(tmp_path / "both text")]
    assert found == [("export", long), ("export", long + " 끝."), ("jsonl", document(8, 12))]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"id": "7"}, "32 hexadecimal"),
        ({"split": "test"}, "neither train nor validation"),
        ({"sentence_starts": [0, 500]}, "does not rise from 0 inside the text"),
        ({"gaps": [9]}, "a sentence that does not exist"),
    ],
)
def test_a_row_that_was_changed_is_named(
    change: dict[str, Any], problem: str, recipe: DataRecipe, tmp_path: Path
) -> None:
    row = {
        "id": "0" * 32,
        "text": "글이다.",
        "category": "",
        "split": "train",
        "sentence_starts": [0],
        "gaps": [],
        "metadata": None,
    }
    (tmp_path / "a.jsonl").write_text(json.dumps(row | change) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=rf"a\.jsonl:1: .*{problem}"):
        run(tmp_path / "run", replace(recipe, sources=(Source("export", str(tmp_path / "a.jsonl")),)))


def licensed(run_folder: RunFolder, to: Path, licence: str) -> RunFolder:
    """A copy of a run whose second source has this licence."""
    subprocess.run(["cp", "-r", run_folder.path, to], check=True)
    manifest = json.loads((to / "manifest.json").read_text(encoding="utf-8"))
    manifest["prepare"]["recipe"]["sources"][1]["licence"] = licence
    (to / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return RunFolder(to)


def test_text_that_may_not_be_passed_on_is_refused_without_the_flag(prepared: RunFolder, tmp_path: Path) -> None:
    held = licensed(prepared, tmp_path / "run", "NIKL agreement, no redistribution")
    with pytest.raises(InputError, match=r"source-1 \(NIKL agreement.*--without source-1.*--not-redistributable"):
        export_text(held, tmp_path / "text", PARQUET, 1)
    assert not (tmp_path / "text").exists()
    export_text(held, tmp_path / "text", replace(PARQUET, without=("source-1",)), 1)
    assert {row["source"] for row in rows(tmp_path / "text")} == {"source-0"}
    export_text(held, tmp_path / "all", replace(PARQUET, not_redistributable=True), 1)
    assert {row["source"] for row in rows(tmp_path / "all")} == {"source-0", "source-1"}
    assert "**Not to be passed on**" in (tmp_path / "all" / "README.md").read_text(encoding="utf-8")


def test_an_unknown_licence_is_told(prepared: RunFolder, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    unknown = licensed(prepared, tmp_path / "run", "unknown")
    with caplog.at_level("WARNING", logger="data_pipeline"):
        export_text(unknown, tmp_path / "text", PARQUET, 1)
    assert "licence unknown: source-1" in caplog.text
    assert "license: unknown" in (tmp_path / "text" / "README.md").read_text(encoding="utf-8")


def test_what_cannot_be_done_is_told_before_anything_is_written(
    prepared: RunFolder, exported: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"--to .*is not an empty folder"):
        export_text(prepared, exported, PARQUET, 1)
    with pytest.raises(InputError, match=r"--without web: no source of .*source-0, source-1"):
        export_text(prepared, tmp_path / "text", replace(PARQUET, without=("web",)), 1)
    with pytest.raises(InputError, match=r"--added gestern: must be a date"):
        export_text(prepared, tmp_path / "text", replace(PARQUET, added="gestern"), 1)
    assert not (tmp_path / "text").exists()
    damaged = licensed(prepared, tmp_path / "run", "CC0")
    part = next(damaged.corpus.glob("sentences/data/*/part.zst"))
    part.write_bytes(part.read_bytes()[:-1] + b"x")
    with pytest.raises(WorkError, match=r"part\.zst: not what prepare wrote there; run the same prepare command again"):
        export_text(damaged, tmp_path / "text", PARQUET, 1)
    assert not (tmp_path / "text" / "README.md").exists()


KILLER = """
import os, signal, sys
COUNTED = ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree")
folder, due, counter = {folder!r}, {due}, {counter!r}
calls = os.open(counter, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
def count(event, arguments):
    if event in COUNTED and any(isinstance(a, (str, os.PathLike)) and os.fspath(a).startswith(folder) for a in arguments[:2]):
        os.write(calls, b".")
        if due and os.fstat(calls).st_size >= due:
            os.killpg(0, signal.SIGKILL)
sys.addaudithook(count)
"""


def command(prepared: RunFolder, to: Path, due: int) -> tuple[int, int]:
    """Runs the command, killed at that call on the folder (0: never); returns how it ended, and the calls."""
    place = to.with_name(f"killer {to.name} {due}")
    place.mkdir()
    code = KILLER.format(folder=str(to), due=due, counter=str(place / "calls"))
    (place / "sitecustomize.py").write_text(code, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(place), str(Path(__file__).parents[3])])}
    words = ["export-text", str(prepared.path), "--to", str(to), "--workers", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "data_pipeline", *words], env=environment, start_new_session=True, capture_output=True
    )
    return done.returncode, (place / "calls").stat().st_size


def test_killed_anywhere_it_is_not_whole_and_the_same_command_ends_it(
    prepared: RunFolder, exported: Path, tmp_path: Path
) -> None:
    code, calls = command(prepared, tmp_path / "text", 0)
    assert code == 0
    assert digests(tmp_path / "text") == digests(exported)
    for due in (calls // 4, calls // 2, calls * 4 // 5, calls - 6, calls - 1):
        to = tmp_path / str(due) / "text"
        to.parent.mkdir()
        code, _ = command(prepared, to, due)
        assert code == -signal.SIGKILL
        assert (to / ".export-text").exists() or not (to / "README.md").exists()
        export_text(prepared, to, PARQUET, 1)
        assert digests(to) == digests(exported)


@pytest.mark.parametrize(
    ("day", "iso"),
    [
        ("2019-08-01", "2019-08-01"),
        ("20190801", "2019-08-01"),
        ("2019. 8. 1.", "2019-08-01"),
        ("2019-08-01T12:30:00Z", "2019-08-01T12:30:00+00:00"),
        ("13.11.24", ""),
        ("2019-13-01", ""),
        ("", ""),
    ],
)
def test_dates_are_iso_8601_or_empty(day: str, iso: str) -> None:
    assert iso_date(day) == iso
