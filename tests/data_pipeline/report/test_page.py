"""The page of a report: it needs nothing else, its numbers are the run's, and nothing of the corpus becomes markup."""

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from data_pipeline.__main__ import COMMANDS
from data_pipeline.contract.errors import InputError
from data_pipeline.contract.records import read_header
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import read_json, write_json
from data_pipeline.prepare.ending import ending
from data_pipeline.prepare.run import prepare
from data_pipeline.recipe import DataRecipe, Decontamination, LengthFilter, Packed, SentencePairs
from data_pipeline.report.console import print_report
from data_pipeline.report.page import write_report

MARKUP = "<script>alert(1)</script>"
MOBILE, MAIL = "010-4823-7761", "jjang_99@naver.com"


@pytest.fixture(scope="module")
def reported(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_recipe: Callable[..., DataRecipe],
    json_lines: Callable[[Path, list[str]], Path],
    document: Callable[..., str],
) -> RunFolder:
    """A run with every kind of drop, personal data in what was kept and dropped, and markup wherever text may stand."""
    folder = tmp_path_factory.mktemp("report")
    texts = [document(row) for row in range(60)]
    texts[3] = f"{texts[3]} 담당자 번호는 {MOBILE} 이고 메일은 {MAIL} 입니다."
    texts += [texts[0], texts[1] + "!", "짧다", f"Nothing Korean at all, write to {MAIL} or call {MOBILE} now."]
    texts += [f"The tag {MARKUP.replace('<', '&lt;')} is no Korean sentence, whatever else it is."]
    benchmark = json_lines(folder / "b" / "bench.jsonl", [texts[20].split(". ")[0] + "."])
    recipe = tiny_recipe(json_lines(folder / "a.jsonl", texts))
    [source] = recipe.sources
    recipe = replace(
        recipe,
        sources=(replace(source, name=f"s{MARKUP}", licence=f"l{MARKUP}", category=f"c{MARKUP}"),),
        clean=replace(recipe.clean, html_tags=False),
        length=LengthFilter(min_chars=5),
        decontamination=Decontamination(benchmarks=(str(benchmark),)),
    )
    run = RunFolder(folder / "run")
    prepare(run, "tiny", recipe, workers=1)
    write_report(run)
    return run


def page_of(folder: RunFolder) -> str:
    return (folder.path / "report.html").read_text("utf-8")


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_markup_in_the_corpus_and_the_recipe_is_shown_as_text(reported: RunFolder) -> None:
    page = page_of(reported)
    parser = Tags()
    parser.feed(page)
    assert "script" not in {tag for tag, _ in parser.tags}
    for place in ("s", "l", "The tag "):
        assert f"{place}&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_the_console_shows_no_personal_data_either(reported: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    print_report(reported, examples=5)
    shown = capsys.readouterr().out
    assert "Nothing Korean at all, write to" in shown
    for value in (MOBILE, MAIL.partition("@")[0]):
        assert value not in shown
    assert "of characters (" in shown


def test_prepare_ends_with_what_was_made_what_was_lost_and_what_is_next(reported: RunFolder) -> None:
    lines = ending(reported, "mini/bert")
    header, stages = read_header(reported.examples), read_json(reported.corpus / "report.json")
    told = "\n".join(lines)
    assert f"train {header.rows['train']:,} ({header.tokens['train']:,} tokens)" in told
    assert f"kept: {stages['sentences']['documents']:,} of {stages['documents']['records']:,} documents" in told
    for kind in ("documents", "sentences"):
        [line] = [line for line in lines if line.startswith(f"  {kind} dropped: ")]
        lost = Counter[str]()
        for stage in ("documents", "sentences"):
            for reasons in stages[stage]["dropped"].get(kind, {}).values():
                lost.update(reasons)
        assert {f"{reason} {number}" for reason, number in lost.items()} == set(line.partition(": ")[2].split(", "))
    assert "[UNK]: " in told
    where = str(reported.path)
    assert lines[-2:] == [
        f"  python -m data_pipeline report {where}",
        f"  python -m pretrain train mini/bert --run-dir {where}",
    ]


def test_the_page_needs_no_network_and_no_other_file(reported: RunFolder) -> None:
    page = page_of(reported)
    parser = Tags()
    parser.feed(page)
    links = [value for _, attributes in parser.tags for name, value in attributes.items() if name.endswith("href")]
    assert links
    assert all(str(value).startswith("#") for value in links)
    assert not {"img", "link", "iframe", "object"} & {tag for tag, _ in parser.tags}
    assert not [attributes for _, attributes in parser.tags if "src" in attributes]
    assert "@import" not in page
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", page))
    assert len(page.encode()) < 300_000


def test_ids_of_all_plots_are_their_own(reported: RunFolder) -> None:
    parser = Tags()
    parser.feed(page_of(reported))
    ids = [attributes["id"] for _, attributes in parser.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    plots = [attributes["aria-label"] for tag, attributes in parser.tags if tag == "svg"]
    assert plots == ["flow", "document characters", "sentence characters", "hangul share", "token use", "positions 64"]


def test_plots_take_their_colours_from_the_page(reported: RunFolder) -> None:
    page = page_of(reported)
    assert "currentColor" in page
    drawn = page[page.index("<svg") :]
    assert re.findall(r"#0102\d\d", drawn) == []
    assert set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", drawn)) <= {"#ffffff", "#cccccc"}


def test_no_personal_data_is_readable_in_page_and_json(reported: RunFolder) -> None:
    for name in ("report.html", "report.json"):
        text = (reported.path / name).read_text("utf-8")
        assert MOBILE not in text
        assert MAIL not in text
        assert "010-••••-••••" in text
    facts = read_json(reported.path / "report.json")
    shown = {group["heading"]: group["examples"] for group in facts["examples"]}
    [mobile] = shown["personal data: mobile"]
    assert "담당자 번호는 010-••••-•••• 이고" in mobile["text"]
    assert re.search(r"담당자 번호는 010-\d{4}-\d{4} 이고", mobile["detail"])
    assert dict.fromkeys(facts["personal_data"][f"s{MARKUP}"], 1) == {"mobile": 1, "email": 1}
    [dropped] = [each for each in shown["documents: not Korean"] if "write to" in each["text"]]
    assert dropped["text"].startswith("Nothing Korean at all, write to ••")


def test_numbers_reconcile_from_raw_text_to_records(reported: RunFolder) -> None:
    facts = read_json(reported.path / "report.json")
    read, clean, split, kept = facts["flow"]
    dropped = {(row["stage"], row["kind"], row["reason"]): row for row in facts["dropped"]}
    repeated = [dropped["sentences", "documents", reason] for reason in ("duplicate", "near duplicate")]
    assert [row["number"] for row in repeated] == [1, 1]
    assert read["documents"] == 65
    assert clean["documents"] - split["documents"] == 2
    assert clean["text_bytes"] - split["text_bytes"] == sum(row["text_bytes"] for row in repeated)
    lost = {
        kind: sum(row["number"] for (_, of, _), row in dropped.items() if of == kind)
        for kind in ("documents", "sentences")
    }
    assert read["documents"] - kept["documents"] == lost["documents"]
    assert split["sentences"] - kept["sentences"] == lost["sentences"]
    [source] = facts["sources"]
    assert source["all"]["bytes_read"] == read["text_bytes"]
    assert source["all"]["bytes_kept"] == kept["text_bytes"]
    histograms = facts["histograms"]["all"]
    for name, unit in (("document_characters", "documents"), ("sentence_characters", "sentences")):
        assert sum(histograms[name]["in"]) == split[unit]
        assert sum(histograms[name]["kept"]) == kept[unit]
    vocabulary = facts["vocabulary"]
    ordinary = vocabulary["rows"] - len(facts["records"][0]["reserved_ids"])
    assert vocabulary["never_used"] + sum(vocabulary["used_by_power_of_ten"]) == ordinary
    [records] = facts["records"]
    header = read_header(reported.examples)
    assert (records["rows"], records["tokens"]) == (header.rows, header.tokens)
    [(_, benchmark)] = facts["benchmarks"].items()
    number = dropped["sentences", "sentences", "benchmark"]["number"]
    assert benchmark == {"texts": 1, "sources": {source["name"]: number}}


@pytest.mark.parametrize("examples", [Packed(64), SentencePairs(64)])
def test_two_lengths_and_pairs_have_their_places(
    tmp_path: Path, corpus: Path, tiny_recipe: Callable[..., DataRecipe], examples: Packed | SentencePairs
) -> None:
    recipe = replace(tiny_recipe(corpus / "part-*.jsonl"), examples=examples, other_lengths=(32,))
    prepare(RunFolder(tmp_path), "tiny", recipe, workers=1)
    write_report(RunFolder(tmp_path))
    page = page_of(RunFolder(tmp_path))
    assert "train, rows of 64" in page
    assert "train, rows of 32" in page
    packed = isinstance(examples, Packed)
    assert [f'aria-label="positions {length}"' in page for length in (64, 32)] == [packed, packed]
    assert ("Pairs with label 1: " in page) == (not packed)


def test_the_same_run_gives_the_same_page(reported: RunFolder) -> None:
    before = page_of(reported)
    write_report(reported)
    assert page_of(reported) == before


def test_the_command_writes_the_page_beside_the_text(reported: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    (reported.path / "report.html").unlink()
    report = COMMANDS["report"][0]
    report([str(reported.path), "--no-page"])
    assert not (reported.path / "report.html").exists()
    printed = capsys.readouterr().out
    assert "report.html" not in printed
    assert MOBILE not in printed
    assert MAIL not in printed
    assert "write to ••" in printed
    report([str(reported.path)])
    assert (reported.path / "report.html").exists()
    assert f"{reported.path}/report.html: this with plots" in capsys.readouterr().out


def test_a_run_of_an_earlier_version_is_named(reported: RunFolder, tmp_path: Path) -> None:
    old = RunFolder(tmp_path)
    counts = read_json(reported.corpus / "report.json")
    del counts["sentences"]["histograms"]
    write_json(old.corpus / "report.json", counts)
    with pytest.raises(InputError, match=r"prepared by an earlier version.*run the same prepare command again"):
        write_report(old)


BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MEASURE = """<script>addEventListener("load", () => {
  const wide = document.documentElement.scrollWidth > innerWidth;
  const clipped = [...document.querySelectorAll("figure svg text")].filter((text) => {
    const [of, by] = [text.getBoundingClientRect(), text.closest("svg").getBoundingClientRect()];
    return of.left < by.left - 1 || of.right > Math.max(by.right + 1, innerWidth - 1);
  });
  const scrolling = [...document.querySelectorAll("table")].filter((table) => table.scrollWidth > table.parentElement.clientWidth + 1);
  const silent = scrolling.filter((table) => !getComputedStyle(table.parentElement).backgroundImage.includes("gradient"));
  parent.postMessage([innerWidth, wide, clipped.map((text) => text.textContent).join(";"), scrolling.length, silent.length].join("|"), "*");
})</script>"""
PHONE = """<body><script>addEventListener("message", (said) => { document.body.dataset.measured = said.data; })</script>
<iframe src="page.html" style="width: 390px; height: 2000px; border: 0"></iframe>"""
"""In a frame: a window of chromium is no narrower than 500 pixels."""


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")
def test_on_a_phone_no_label_is_clipped_and_tables_show_that_they_scroll(reported: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(page_of(reported).replace("</body>", f"{MEASURE}</body>"), encoding="utf-8")
    (tmp_path / "phone.html").write_text(PHONE, encoding="utf-8")
    command = [
        str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'browser'}",
        "--virtual-time-budget=5000", "--dump-dom", (tmp_path / "phone.html").as_uri(),
    ]  # fmt: skip
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    found = re.search(r'data-measured="([^"]*)"', shown)
    assert found, shown[-500:]
    width, wide, clipped, scrolling, silent = found[1].split("|")
    assert (width, wide, clipped, silent) == ("390", "false", "", "0")
    assert int(scrolling) > 0, "nothing scrolls: the test shows nothing"
