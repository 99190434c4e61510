"""What a person types: help that names units, one sentence for a mistake, 2 for theirs and 1 for the machine's."""

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import data_pipeline.__main__
from data_pipeline.commands.flags import parse_source, with_sources
from data_pipeline.contract.errors import InputError
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import read_json
from data_pipeline.prepare.run import prepare
from data_pipeline.recipe import DataRecipe, Source
from data_pipeline.tasks.shard_task import stage_costs

RunMain = Callable[..., tuple[int, str, str]]


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RunMain:
    """The command line in this process: exit code, stdout, stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["data_pipeline", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        code = 0
        try:
            data_pipeline.__main__.main()
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture(scope="module")
def prepared(corpus: Path, tiny_recipe: Callable[..., DataRecipe], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    prepare(RunFolder(folder), "tiny", tiny_recipe(corpus / "part-*.jsonl"), workers=1)
    return folder


def command(*arguments: object) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-m", "data_pipeline", *map(str, arguments)],
        capture_output=True, text=True, timeout=120, env=environment,
    )  # fmt: skip


def test_the_module_runs_and_exits_with_the_right_code(tmp_path: Path) -> None:
    done = command("prepare", "quickstart", "--run-dir", tmp_path / "run", "--source", f"lines:{tmp_path}/absent.txt")
    assert done.returncode == 2
    assert done.stderr.strip() == (
        f"error: {tmp_path}/absent.txt: no such file; check the path or the glob of --source or of the recipe"
    )
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ((), ""),
        (("--data.vocabulary.sise", 8000), "--data.vocabulary.sise: no such flag"),
        (("--source", "lines:absent/*.txt"), "absent/*.txt: no such file"),
        (("--benchmark", "absent"), "absent: "),
        (
            ("--data.vocabulary.model", "unigram"),
            "--data.vocabulary.scheme klue: a unigram model is trained on eojeols",
        ),
        (("--data.evaluation-fraction", 2), "--data.evaluation-fraction 2.0: must be "),
        (("--bucket", "s3://x"), "--bucket s3://x: must be a folder on Cloud Storage"),
    ],
)
def test_a_command_is_checked_without_any_work(
    main: RunMain, flags: tuple[object, ...], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, error = main("prepare", "quickstart", *flags, "--check")
    assert code == (2 if sentence else 0), error
    assert error.startswith(f"error: {sentence}") or not sentence
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments", [["vocabulary", "--help"], ["vocabulary", "-h"], ["vocabulary", "extend", "--help"]]
)
def test_vocabulary_explains_itself_with_or_without_extend(main: RunMain, arguments: list[str]) -> None:
    code, out, _ = main(*arguments)
    assert code == 0
    assert "python -m data_pipeline vocabulary extend" in out
    assert "--min-count" in out


def test_help_names_commands_fields_and_units(main: RunMain) -> None:
    code, out, _ = main("--help")
    assert code == 0
    assert all(name in out for name in ("prepare RECIPE", "inspect RUN_DIR", "report RUN_DIR"))
    code, out, _ = main("prepare", "--help")
    assert code == 0
    for expected in (
        "--data.part-megabytes",
        "Megabytes of clean text",
        "in characters",
        "0 to 1",
        "Tokens a row",
        "FORMAT:GLOB",
    ):
        assert expected in out
    code, out, _ = main("prepare", "quickstart", "--help")
    assert code == 0
    assert "4000)" in out  # in a wide terminal a line may end before it
    for name in ("inspect", "report"):
        code, out, _ = main(name, "--help")
        assert code == 0
        assert "Folder of the run" in out


def test_no_and_wrong_commands_show_the_usage(main: RunMain) -> None:
    code, out, _ = main()
    assert (code, "usage: python -m data_pipeline" in out) == (2, True)
    code, _, error = main("prepair")
    assert code == 2
    assert error.startswith("error: prepair: no such command\nusage:")


def test_an_unknown_field_suggests_the_near_one(main: RunMain) -> None:
    code, out, error = main("prepare", "quickstart", "--data.vocabulary.sise", "8000")
    assert code == 2
    assert "--data.vocabulary.size" in out + error


def test_a_wrong_type_is_refused(main: RunMain) -> None:
    code, out, error = main("prepare", "quickstart", "--data.vocabulary.size", "many")
    assert code == 2
    assert "--data.vocabulary.size" in out + error
    assert "INT" in out + error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("prepare",), "the recipe stands first: python -m data_pipeline prepare RECIPE ..."),
        (("prepare", "--workers", "2"), "the recipe stands first"),
        (("prepare", "quikstart"), "quikstart: no such recipe; give configs/NAME.py or one of: "),
        (("prepare", "quickstart", "--workers", "0"), "--workers 0: must be at least 1"),
        (("prepare", "quickstart", "--ray-address", "auto"), "--ray-address auto: goes with --engine ray"),
        (("prepare", "quickstart", "--bucket", "bucket/run"), "--bucket bucket/run: must be a folder on Cloud Storage"),
        (
            ("prepare", "quickstart", "--source", "xml:a"),
            "--source xml:a: expected FORMAT:GLOB with FORMAT one of text,",
        ),
        (("prepare", "quickstart", "--run-dir", "gs://b/r"), "gs:/b/r: run folders live on a local disk"),
        (("prepare", "quickstart", "--data.examples.length", "100"), "examples.length 100: must be a multiple of 8"),
        (("inspect", "nowhere"), "nowhere: not a run folder"),
        (("report", "nowhere"), "nowhere: not a run folder"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_2(
    main: RunMain, arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, error = main(*arguments)
    assert code == 2
    assert error.startswith("error: ")
    assert message in error
    assert len(error.splitlines()) == 1
    assert "Traceback" not in out + error


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("data = (\n", "own.py:1: '(' was never closed; mend the recipe"),
        ("\nx = 1 / 0\n", "own.py:2: ZeroDivisionError"),
    ],
)
def test_a_broken_recipe_names_file_and_line(main: RunMain, content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(content, encoding="utf-8")
    code, _, error = main("prepare", tmp_path / "own.py")
    assert code == 2
    assert message in error
    assert len(error.splitlines()) == 1


def test_a_folder_in_use_names_the_process_and_exits_1(main: RunMain, tmp_path: Path) -> None:
    with RunFolder(tmp_path).locked():
        code, _, error = main("prepare", "quickstart", "--run-dir", tmp_path)
    assert code == 1
    assert error.strip() == (
        f"error: {tmp_path}: in use by process {os.getpid()}; wait for it, stop it, or choose another --run-dir"
    )


def test_report_tells_what_happened(main: RunMain, prepared: Path) -> None:
    code, out, error = main("report", prepared)
    assert (code, error) == (0, "")
    for expected in (
        "120",
        "held out for evaluation",
        "nothing was dropped",
        "vocabulary: 400 rows",
        "records, train:",
        "padding",
    ):
        assert expected in out


def test_report_shows_bad_records_and_drops(
    main: RunMain,
    tmp_path: Path,
    tiny_recipe: Callable[..., DataRecipe],
    json_lines: Callable[[Path, list[str]], Path],
    document: Callable[..., str],
) -> None:
    path = json_lines(tmp_path / "a.jsonl", [*(document(n) for n in range(90)), document(3), "<br>", "Not Korean [b]."])
    with open(path, "a", encoding="utf-8") as file:
        file.write("not json\n")
    (tmp_path / "own.py").write_text(
        "from dataclasses import replace\nfrom data_pipeline.recipe import *\n"
        f"data = DataRecipe((Source('jsonl', {str(path)!r}, name='mine'),), vocabulary=Vocabulary(370, 3, min_count=1), "
        "examples=Packed(64), max_bad_records=1)\n",
        encoding="utf-8",
    )
    code, _, error = main("prepare", tmp_path / "own.py", "--run-dir", tmp_path / "run", "--workers", "1")
    assert code == 0, error
    code, out, _ = main("report", tmp_path / "run")
    assert code == 0
    for expected in (
        "unreadable",
        "a.jsonl:94: not JSON",
        "duplicate",
        "empty after cleaning",
        "not Korean",
        "Not Korean [b].",
        "mine",
    ):
        assert expected in out
    code, out, _ = main("report", tmp_path / "run", "--examples", "0")
    assert "a.jsonl:94" not in out


COST = r"\(\d+\.\d CPU s, 0\.\d MB of text, [\d,]+\.\d\d MB/s per core, peak [\d,]+ MB a worker\)"


def test_every_stage_tells_what_it_cost_in_the_run_that_did_it(
    corpus: Path, tiny_recipe: Callable[..., DataRecipe], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="data_pipeline")
    runs = []
    for workers in (1, 2):
        caplog.clear()
        prepare(RunFolder(tmp_path), "tiny", tiny_recipe(corpus / "part-*.jsonl"), workers=workers)
        runs.append({line.split()[0]: line for line in caplog.messages})
    for stage in ("documents", "sentences", "morphemes", "records"):
        assert re.search(COST, runs[0][stage])
    for stage in ("duplicates", "vocabulary"):  # these read no text
        assert re.search(r"\(\d+\.\d CPU s, peak [\d,]+ MB a worker\)", runs[0][stage])
    first, second = ({stage: line.partition("(")[2] for stage, line in run.items()} for run in runs)
    assert first == second


def test_report_tells_what_every_stage_cost(main: RunMain, prepared: Path, corpus: Path) -> None:
    _, out, _ = main("report", prepared)
    table = out[out.index("what it cost") : out.index("corpus; copies")]
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in table.splitlines() if "│" in line]
    rows = {line[0]: line[1:] for line in lines}
    stages = ["documents", "duplicates", "signatures", "near_duplicates", "survivors"]
    stages += ["split", "sentences", "morphemes", "counts", "vocabulary", "records"]
    assert list(rows) == [*stages, "all"]
    paid = [cost for stage in stages for cost in stage_costs(prepared / "corpus", stage)]
    assert len(paid) == 3 + 1 + 3 + 1 + 1 + 3 + 3 + 3 + 1 + 1 + 3
    assert rows["all"][1] == f"{sum(cost.cpu_seconds for cost in paid):.1f}"
    assert rows["all"][3] == f"{max(cost.peak_megabytes for cost in paid):,.0f}"
    texts = [
        json.loads(line)["text"] for file in corpus.glob("*.jsonl") for line in file.read_text("utf-8").splitlines()
    ]
    counts = read_json(prepared / "corpus" / "report.json")
    assert counts["documents"]["text_bytes"] == sum(len(text.encode()) for text in texts)
    assert counts["records"]["text_bytes"] <= counts["documents"]["text_bytes"]


def test_inspect_shows_rows_with_words_and_padding(main: RunMain, prepared: Path) -> None:
    code, out, _ = main("inspect", prepared, "--rows", "2", "--start", "1")
    assert code == 0
    assert "train rows of 64 tokens, packed, word unit bert_word" in out
    assert "row 1: " in out
    assert "row 2: " in out
    assert "row 3: " not in out
    tokens = [line.split()[1:] for line in out.splitlines() if line.startswith("  tokens")]
    assert tokens
    assert all(line[0] == "[CLS]" and line[-1] == "[SEP]" for line in tokens)
    assert any("·##" in word for line in tokens for word in line)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--start", "9999"), "--start 9999: the train split has rows 0 to "),
        (("--rows", "0"), "--rows 0: must be at least 1"),
        (("--split", "test"), "the split 'test' has no records"),
    ],
)
def test_inspect_says_what_it_cannot_show(main: RunMain, prepared: Path, flags: tuple[str, str], message: str) -> None:
    code, _, error = main("inspect", prepared, *flags)
    assert code == 2
    assert message in error


def test_sources_and_benchmarks_replace_the_recipes() -> None:
    recipe = with_sources(
        DataRecipe(sources=(Source("text", "x"),)), ["jsonl.body:a:b/*.gz", "lines:c", "jsonl:d"], ["klue"]
    )
    assert recipe.sources == (
        Source("jsonl", "a:b/*.gz", text_field="body"),
        Source("lines", "c"),
        Source("jsonl", "d", name="jsonl-2"),
    )
    assert recipe.decontamination.benchmarks == ("klue",)
    assert with_sources(recipe, [], []) == recipe


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("text@cp949:a@b/*.txt", Source("text", "a@b/*.txt", encoding="cp949")),
        ("csv.document@euc-kr:a", Source("csv", "a", text_field="document", encoding="euc-kr")),
        ("jsonl.@id:a", Source("jsonl", "a", text_field="@id")),
        ("lines:a@cp949:b", Source("lines", "a@cp949:b")),
    ],
)
def test_a_source_may_name_its_encoding(text: str, source: Source) -> None:
    assert parse_source(text) == source


@pytest.mark.parametrize("text", ["corpus.txt", "xml:a", "lines:", "lines.body:a", ":a", "lines@cp9494:a"])
def test_wrong_sources_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"expected FORMAT:GLOB with FORMAT one of text, lines, jsonl, .*petitions"):
        parse_source(text)
