"""README and docs/: each page opens with what one has afterwards, every command line can be pasted as it stands, every block parses."""

import ast
import gzip
import importlib
import importlib.util
import json
import lzma
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import data_pipeline.__main__
import pretrain.__main__
from data_pipeline.contract.recipe_file import load_recipe

ROOT = Path(__file__).resolve().parent.parent
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [*sorted(ROOT.glob("README*.md")), *DOCS]
SHELL = ("./run_t", ".venv/bin/", "pip ", "hf ", "gcloud ", "bash ", "docker ", "sbatch ", "sky ")
"""What a command line begins with, settings of the environment apart."""
MAINS = {"data_pipeline": data_pipeline.__main__.COMMANDS, "pretrain": pretrain.__main__.COMMANDS}
LAUNCHER = (ROOT / "pretrain/launch/command_line.sh").read_text(encoding="utf-8")


class Block(NamedTuple):
    """A block of a page: fenced, with its language, or indented; `line` is that of its first line."""

    page: Path
    line: int
    language: str
    text: str


def blocks(page: Path) -> Iterator[Block]:
    lines = page.read_text(encoding="utf-8").splitlines()
    start, language, fenced, inside = 0, "", False, list[str]()
    for number, line in enumerate([*lines, ""], 1):
        if fence := re.match(r"\s*```(\w*)", line):
            if fenced:
                yield Block(page, start, language, "\n".join(inside))
            fenced, start, language, inside = not fenced, number + 1, fence[1], []
        elif fenced:
            inside.append(line)
        # A list's own lines are indented as well.
        elif line.startswith("    ") and (inside or not lines[number - 2]):
            start = start if inside else number
            inside.append(line[4:])
        elif inside:
            yield Block(page, start, "", "\n".join(inside))
            inside = []


BLOCKS = [block for page in PAGES for block in blocks(page)]


class Line(NamedTuple):
    """A command line of a page, its continuations joined."""

    page: str
    text: str

    def words(self) -> list[str]:
        return shlex.split(self.text, comments=True)


def command_lines() -> Iterator[Line]:
    for block in BLOCKS:
        if block.language in ("", "bash", "sh"):
            for line in re.sub(r"\\\n\s*", "", block.text).splitlines():
                program = re.sub(r"^(\w+=\S+ +)+", "", line.strip())  # settings of the environment
                if program.startswith(SHELL) or re.match(r"(git|python) [-a-z]", program):
                    yield Line(block.page.name, line.strip())


LINES = list(command_lines())
NAMES = [f"{line.page}: {line.text}" for line in LINES]


def test_there_is_something_to_read() -> None:
    assert len(LINES) > 60
    assert len({line.page for line in LINES}) > 12
    assert sum(block.language == "python" for block in BLOCKS) > 10


@pytest.mark.parametrize("page", [page for page in DOCS if page.stem != "decisions"], ids=lambda page: page.name)
def test_a_page_opens_with_what_one_has_afterwards(page: Path) -> None:
    opening = page.read_text(encoding="utf-8").split("\n\n")[1]
    assert re.search(r"\b[Aa]fterwards (you|there)\b", opening), opening


@pytest.mark.parametrize("line", LINES, ids=NAMES)
def test_a_command_line_can_be_pasted_as_it_stands(line: Line) -> None:
    assert subprocess.run(["bash", "-n"], input=line.text, text=True, capture_output=True).stderr == ""
    bare = re.sub(r"'[^']*'|\"[^\"]*\"", "", line.text).partition(" #")[0]
    assert not re.search(r"[\[\]()|<>]|\.\.\.|…", bare), "metasyntax: give an example; what is optional is explained"
    assert not re.search(r"(?<![-\w/])[A-Z][A-Z_]{2,}(?![-\w=])", bare), "a placeholder: give an example"
    assert not re.search(r"\S {3,}\S", bare.rstrip()), "explanations stand behind #"
    assert not line.text.startswith("python "), "what is installed is in .venv/, whose python is not on the path"


class ParsedError(Exception):
    """A command line was taken; nothing was done."""


@pytest.mark.parametrize("line", LINES, ids=NAMES)
def test_a_command_line_of_ours_is_taken(line: Line, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    write_two_corpora(tmp_path)
    monkeypatch.chdir(tmp_path)
    words = [word for word in line.words() if not re.match(r"[A-Z_]+=", word)]
    if words[0] == "./run_tpu.sh":
        launched(words[1:], monkeypatch)
    elif words[0] in ("python", ".venv/bin/python") and words[1] == "-m":
        taken(words[2], words[3:], monkeypatch)
    elif words[0] == "./run_tests.sh":
        assert words[1:] in ([], ["--slow"])


def taken(module: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Has a module's command parse its flags, and nothing more."""
    if module not in MAINS:
        assert importlib.util.find_spec(module), f"{module}: no such module"
        return
    run = MAINS[module][words[0]][0]
    room = importlib.import_module(run.__module__)
    parse = room.parse_command_line

    def only_parse(*given: object) -> None:
        parse(*given)
        raise ParsedError

    monkeypatch.setattr(room, "parse_command_line", only_parse)
    with pytest.raises((ParsedError, SystemExit)) as found:
        run(words[1:])
    assert found.type is ParsedError or found.value.code == 0  # --help


def launched(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Has the launcher's own flags looked up, and those of both sides parsed."""
    if words[:1] and words[0] in (
        "--create",
        "--hosts",
        "--status",
        "--attach",
        "--stop",
        "--fetch",
        "--delete",
        "--list",
    ):
        rest, words = words[2:], []
        while rest and rest[0].startswith("--"):
            flag = rest.pop(0).partition("=")[0]
            assert re.search(rf"^ +{flag}\)", LAUNCHER, re.MULTILINE), f"{flag}: no flag of the launcher"
            if f"| {flag} " in LAUNCHER or f"{flag} |" in LAUNCHER or f"| {flag})" in LAUNCHER:
                rest.pop(0)
        words = rest
        if not words:
            return
    if words[:1] == ["--install-only"]:
        setup = (ROOT / "setup.cfg").read_text(encoding="utf-8")
        assert all(f"\n{extra} =" in setup for extra in words[1:])
        return
    script = f'root={ROOT}; wrong() {{ exit 2; }}; source {ROOT}/pretrain/launch/job.sh; split_arguments "$@"; '
    script += 'printf "%s\\n" "$recipe" ${data[@]+"${data[@]}"}; echo; printf "%s\\n" "$recipe" ${training[@]+"${training[@]}"}'
    done = subprocess.run(["bash", "-eu", "-c", script, "bash", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    of_data, of_training = (part.splitlines() for part in done.stdout.split("\n\n"))
    load_recipe(of_data[0], "data", object)
    for module, command, flags in (("data_pipeline", "prepare", of_data), ("pretrain", "train", of_training)):
        with monkeypatch.context() as patch:
            taken(module, [command, *flags], patch)


@pytest.mark.parametrize("block", BLOCKS, ids=[f"{block.page.name}:{block.line}" for block in BLOCKS])
def test_a_block_parses(block: Block) -> None:
    if block.language == "python":
        ast.parse(block.text)
    elif block.language == "json":
        json.loads(block.text)
    elif block.language in ("bash", "sh"):
        assert subprocess.run(["bash", "-n"], input=block.text, text=True, capture_output=True).stderr == ""
    else:
        assert block.language in ("", "text", "yaml"), f"a language that nothing here reads: {block.language}"


def write_two_corpora(folder: Path) -> None:
    """The complete recipe of docs/recipes.md, as the page says."""
    [complete] = [block for block in BLOCKS if block.page.name == "recipes.md" and block.text.startswith('"""')]
    (folder / "configs").mkdir()
    (folder / "configs" / "two_corpora.py").write_text(complete.text, encoding="utf-8")


def test_the_complete_recipe_prepares_two_corpora_and_trains_on_what_comes_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    write_two_corpora(tmp_path)
    monkeypatch.chdir(tmp_path)
    sample = (ROOT / "data_pipeline/sample_corpus/train.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in sample]
    corpora = tmp_path / "corpora"
    corpora.mkdir()
    with gzip.open(corpora / "petitions_1.jsonl.gz", "wt", encoding="utf-8") as petitions:
        petitions.writelines(json.dumps({"title": text[:20], "content": text}) + "\n" for text in texts[:150])
    with lzma.open(corpora / "ko_1.txt.xz", "wt", encoding="utf-8") as web:
        web.write("\n\n".join(" ".join(texts[start : start + 3]) for start in range(150, len(texts), 3)))
    (tmp_path / "test_sets").mkdir()
    shutil.copy(ROOT / "data_pipeline/sample_corpus/benchmark.json", tmp_path / "test_sets")
    small = ["--data.vocabulary.size", "3000", "--data.part-megabytes", "1"]
    MAINS["data_pipeline"]["prepare"][0](["two_corpora", *small, "--check"])
    MAINS["pretrain"]["train"][0](["two_corpora", *small, "--check", "--on", "v3-8"])
    MAINS["data_pipeline"]["prepare"][0](["two_corpora", *small, "--workers", "1"])
    report = json.loads((tmp_path / "runs/two_corpora/manifest.json").read_text(encoding="utf-8"))["prepare"]
    assert {source["name"] for source in report["recipe"]["sources"]} == {"petitions", "web"}
    assert all(
        rows
        for records in (report["records"], *report["other_records"].values())
        for rows in [records["rows"]["train"]]
    )
    MAINS["pretrain"]["train"][0](["two_corpora", "--run-dir", "runs/two_corpora", "--check", "--on", "v3-8"])


RECIPES = [
    block for block in BLOCKS if block.page.name == "recipes.md" and "import " in block.text and "..." not in block.text
]


@pytest.mark.parametrize("block", RECIPES, ids=[f"recipes.md:{block.line}" for block in RECIPES])
def test_a_recipe_of_the_page_can_be_made(block: Block) -> None:
    made: dict[str, object] = {}
    exec(block.text, made)
    assert made.keys() & {"data", "training"}


def commands_of(page: Path) -> list[str]:
    """What the blocks of a page run, without what is said behind #."""
    return [" ".join(line.words()) for line in LINES if line.page == page.name]


def test_the_korean_readme_has_the_commands_of_the_english_one() -> None:
    assert commands_of(ROOT / "README.ko.md") == commands_of(ROOT / "README.md")


def test_the_korean_readme_says_as_much_as_the_english_one() -> None:
    """Sections, rows of tables, links and output; what the sentences say, people have to compare."""
    english, korean = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.ko.md"))
    for pattern in (r"^#+ ", r"^\|", r"^```"):
        assert len(re.findall(pattern, korean, re.MULTILINE)) == len(re.findall(pattern, english, re.MULTILINE)), (
            pattern
        )
    links = [sorted(re.findall(r"\]\((?!README)([^)]*)\)", text)) for text in (korean, english)]
    assert links[0] == links[1]
    outputs = [re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE) for text in (korean, english)]
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_and_headings_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        path, _, heading = target.partition("#")
        if "://" in target:
            continue
        place = (page.parent / path) if path else page
        assert place.exists(), target
        if heading:
            named = re.findall(r"^#+ (.*)$", place.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {
                re.sub(r"[^\w\- ]", "", re.sub(r"\[(.*?)\]\(.*?\)", r"\1", name).lower()).replace(" ", "-")
                for name in named
            }
            assert heading in anchors, target
