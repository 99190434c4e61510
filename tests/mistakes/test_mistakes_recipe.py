"""Mistakes in a recipe, on the command line and about the run folder: found before any work, named by line, field or flag."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from harness import (
    RECIPE,
    RECIPE_FILE,
    WORK_FAILED,
    WRONG_INPUT,
    Mistake,
    Ran,
    SmallDisk,
    assert_only_whole,
    prepare_command,
    process_environment,
    results,
)

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_file import load_recipe
from data_pipeline.contract.recipe_types import find_wrong_value
from data_pipeline.recipe import DataRecipe
from pretrain.recipe import TrainingRecipe

MEND = "; mend the recipe"


def recipe(content: str | bytes) -> Callable[[], object]:
    """Makes the recipe file say this."""
    return lambda: Path(RECIPE_FILE).write_bytes(content if isinstance(content, bytes) else content.encode())


def changed(before: str, after: str) -> Callable[[], object]:
    """Makes the recipe file say something else in one place."""
    assert RECIPE.count(before) == 1, before
    return recipe(RECIPE.replace(before, after))


FILES = [
    Mistake("a recipe that is missing", r"nowhere: no such recipe; give configs/NAME\.py or one of: .*quickstart.*"),
    Mistake("a syntax error", r"tiny\.py:5: '\(' was never closed", recipe(RECIPE.replace("64),", "64,"))),
    Mistake("another encoding", r"tiny\.py:1: \(unicode error\) 'utf-8' codec can't decode .*", recipe(b"data = '\xff'\n")),
    Mistake("an error of its own", r"tiny\.py:2: ValueError: one two", recipe("def f():\n    raise ValueError('one\\ntwo')\nf()\n")),
    Mistake("an exit of its own", r"tiny\.py:2: SystemExit: 0", recipe("import sys\nsys.exit(0)\n")),
    Mistake("a missing package", r"tiny\.py:1: ModuleNotFoundError: No module named 'no_such'", recipe("import no_such\n")),
    Mistake("no data", r"tiny\.py: must define data = DataRecipe\(\.\.\.\)", recipe("training = 3\n")),
    Mistake("other data", r"tiny\.py: must define data = DataRecipe\(\.\.\.\), found \{\}", recipe("data = {}\n")),
    Mistake(
        "an unknown field",
        r"tiny\.py:9: TypeError: Vocabulary\.__init__\(\) got an unexpected keyword argument 'sise' \(did you mean size\?\)",
        changed("size=220", "sise=220"),
    ),
    Mistake("an unknown class", r"tiny\.py:10: NameError: name 'Paked' is not defined \(did you mean Packed\?\)", changed("Packed(", "Paked(")),
    Mistake(
        "a field that is missing",
        r"tiny\.py:6: TypeError: Source\.__init__\(\) missing 1 required positional argument: 'glob'",
        changed('Source("jsonl", "corpus/*.jsonl")', 'Source("jsonl")'),
    ),
    Mistake("text for a number", r"tiny\.py:9: data\.vocabulary\.size must be a whole number \(int\), found '32000' \(str\)", changed("size=220", "size='32000'")),
    Mistake("a fraction for a whole number", r"tiny\.py:10: data\.examples\.length must be a whole number \(int\), found 128\.5 \(float\)", changed("length=64),\n)", "length=128.5),\n)")),
    Mistake("a truth value for a number", r"tiny\.py:10: data\.examples\.length must be a whole number \(int\), found True \(bool\)", changed("length=64),\n)", "length=True),\n)")),
    Mistake("a field without its name", r"tiny\.py:10: data\.examples\.length must be a whole number \(int\), found '64' \(str\)", changed("length=64),\n)", "'64'),\n)")),
    Mistake("text for a fraction", r"tiny\.py:7: data\.evaluation_fraction must be a number \(float\), found '0\.1' \(str\)", changed("fraction=0.1", "fraction='0.1'")),
    Mistake("a choice that is none", r"tiny\.py:9: data\.vocabulary\.scheme must be 'klue' or 'continuation' or 'plain', found 'kleu' \(str\)", changed("min_count=1", "scheme='kleu'")),
    Mistake(
        "a lone source for a tuple",
        r"tiny\.py:6: data\.sources must be a tuple such as \(Source\(\.\.\.\),\), found Source\(format='jsonl', .* \(Source\)",
        changed('.jsonl"),),', '.jsonl")),'),
    ),
    Mistake(
        "a path for text",
        r"tiny\.py:6: data\.sources\.0\.glob must be text \(str\), found PosixPath\('a'\) \(PosixPath\)",
        changed('"corpus/*.jsonl"', "__import__('pathlib').Path('a')"),
    ),
    Mistake("a number for None or a class", r"tiny\.py:6: data\.sources\.0\.length must be a LengthFilter or None, found 3 \(int\)", changed('.jsonl"),', '.jsonl", length=3),')),
    Mistake("a class for its instance", r"tiny\.py:10: data\.examples must be a Packed or a FullSentences or .*, found <class .*Packed'> \(type\)", changed("Packed(length=64)", "Packed")),
    Mistake(
        "text for a tuple of text",
        r"tiny\.py:8: data\.decontamination\.benchmarks must be a tuple such as \('\.\.\.',\), found 'a\.txt' \(str\)",
        changed("length=LengthFilter(min_chars=5)", "decontamination=Decontamination(benchmarks='a.txt')"),
    ),
    Mistake("a value out of bounds", r"--data\.evaluation-fraction 1\.5: must be 0 to 1", changed("fraction=0.1", "fraction=1.5")),
]  # fmt: skip


@pytest.mark.parametrize("mistake", FILES, ids=lambda mistake: mistake.name)
def test_a_wrong_recipe_is_named_by_file_line_and_field(
    mistake: Mistake, workplace: Path, run_command_line: Callable[..., Ran]
) -> None:
    mistake.make()
    command = list(prepare_command())
    if mistake.make.__name__ == "nothing":
        command[2] = "nowhere"
    sentence = run_command_line(*command).sentence(WRONG_INPUT)
    # A mistake inside the file is mended there.
    in_file = sentence.startswith("tiny.py:") and "must define" not in sentence
    assert re.fullmatch(mistake.message + (MEND if in_file else ""), sentence), sentence
    assert not (workplace / "run").exists()
    assert not (workplace / "runs").exists()


def test_a_mended_recipe_gives_the_same_records(make_and_mend: Callable[[Mistake], None]) -> None:
    message = r"tiny\.py:9: data\.vocabulary\.size must be .*; mend the recipe"
    make_and_mend(Mistake("", message, changed("size=220", "size='220'"), early=True))


HELP = r"; `python -m data_pipeline prepare --help` lists every flag"
FLAGS: list[tuple[tuple[object, ...], str]] = [
    (("--data.vocabulary.sise", 8000), r"--data\.vocabulary\.sise: no such flag; did you mean --data\.vocabulary\.size\?"),
    (("--worker=2", "--data.sead", 3), r"--worker: no such flag; did you mean --workers\?"),
    (("--data.vocabulary.size", "many"), r"--data\.vocabulary\.size many: must be INT"),
    (("--data.examples.length=128.5",), r"--data\.examples\.length 128\.5: must be INT"),
    (("--data.evaluation_fraction", "0,5"), r"--data\.evaluation-fraction 0,5: must be FLOAT"),
    (("--data.word-unit", "wort"), r"--data\.word-unit wort: must be one of 'token', 'bert_word', 'eojeol', 'morpheme'"),
    (("--data.drop-duplicates", "no"), r"no: is neither a flag nor the value of one, after --data\.drop-duplicates"),
    (("--data.seed",), r"--data\.seed: its value is missing"),
    (("corpus/*.jsonl",), r"corpus/\*\.jsonl: is neither a flag nor the value of one, after 1"),
]  # fmt: skip


@pytest.mark.parametrize(("flags", "message"), FLAGS, ids=[message for _, message in FLAGS])
def test_a_wrong_flag_is_one_sentence(
    flags: tuple[object, ...], message: str, workplace: Path, run_command_line: Callable[..., Ran]
) -> None:
    sentence = run_command_line(*prepare_command(*flags)).sentence(WRONG_INPUT)
    assert re.fullmatch(message + HELP, sentence), sentence
    assert not (workplace / "run").exists()


def test_sources_may_be_named_after_one_flag_or_several(workplace: Path, run_command_line: Callable[..., Ran]) -> None:
    """Two of the same flag must not silently lose the first one's files."""
    first, second = "jsonl:corpus/part-0.jsonl", "jsonl:corpus/part-1.jsonl"
    for run_dir, flags in (("one", ("--source", first, second)), ("two", ("--source", first, "--source", second))):
        run_command_line(*prepare_command(*flags, run_dir=run_dir)).success()
    assert results(workplace / "one") == results(workplace / "two")
    assert '"jsonl-2"' in (workplace / "two" / "manifest.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("BertConfig(2, 32,", "BertConfig(2, 32.0,", r"13: training\.model\.hidden_size must be a whole number \(int\), found 32\.0 \(float\)"),
        ("learning_rate=1e-3", "learning_rate='1e-3'", r"14: training\.optimizer\.learning_rate must be a number \(float\), found '1e-3' \(str\)"),
        ('"float32"', '"float16"', r"19: training\.compute_dtype must be 'bfloat16' or 'float32', found 'float16' \(str\)"),
        ("max_steps=4", "max_step=4", r"12: TypeError: TrainingRecipe\.__init__\(\) got an unexpected keyword argument 'max_step' \(did you mean max_steps\?\)"),
    ],
)  # fmt: skip
def test_training_recipes_are_read_with_the_same_eyes(
    before: str, after: str, message: str, workplace: Path, run_command_line: Callable[..., Ran]
) -> None:
    changed(before, after)()
    sentence = run_command_line("pretrain", "train", RECIPE_FILE, "--run-dir", "run").sentence(WRONG_INPUT)
    assert re.fullmatch(rf"tiny\.py:{message}; mend the recipe", sentence), sentence


def test_whole_numbers_do_for_fractions_and_shipped_recipes_hold_what_their_types_say() -> None:
    assert find_wrong_value(DataRecipe((), evaluation_fraction=1), DataRecipe) is None
    for name in ("quickstart", "mini/bert", "klue_bert_base"):
        load_recipe(name, "data", DataRecipe)
        load_recipe(name, "training", TrainingRecipe)


@dataclass(frozen=True)
class Inner:
    rate: float | None = None


@dataclass(frozen=True)
class Outer:
    """A field of every kind that a recipe may have."""

    both: int | str = 1
    choice: Literal["a", 1] | None = None
    inner: Inner = field(default_factory=Inner)
    pair: tuple[int, str] = (1, "")
    many: tuple[Inner, ...] = ()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"both": 1.0}, "recipe.both must be a whole number (int) or text (str), found 1.0 (float)"),
        ({"choice": True}, "recipe.choice must be 'a' or 1 or None, found True (bool)"),
        ({"inner": Inner("x")}, "recipe.inner.rate must be a number (float) or None, found 'x' (str)"),  # type: ignore[arg-type]
        ({"inner": None}, "recipe.inner must be an Inner, found None (NoneType)"),
        ({"pair": (1,)}, "recipe.pair must be a tuple such as (1, '...'), found (1,) (tuple)"),
        ({"pair": (1, 2)}, "recipe.pair.1 must be text (str), found 2 (int)"),
        ({"many": [Inner()]}, "recipe.many must be a tuple such as (Inner(...),), found [Inner(rate=None)] (list)"),
        ({"many": (Inner(), Inner(False))}, "recipe.many.1.rate must be a number (float) or None, found False (bool)"),
        ({"both": "x" * 99}, ""),
    ],
)
def test_every_kind_of_field_is_looked_at(fields: dict[str, Any], message: str) -> None:
    wrong = find_wrong_value(Outer(**fields), Outer)
    assert (wrong.sentence("recipe") if wrong else "") == message


def test_a_field_of_a_kind_that_nobody_looks_at_is_the_fault_of_its_class() -> None:
    @dataclass(frozen=True)
    class Strange:
        table: dict[str, int]

    with pytest.raises(TypeError, match="table: recipes hold no fields of the type dict"):
        find_wrong_value(Strange({}), Strange)


def test_the_line_is_the_nearest_one_that_the_file_spells_out(workplace: Path) -> None:
    Path("own.py").write_text(
        "from dataclasses import replace\nfrom data_pipeline import recipe as r\nfrom data_pipeline.recipe import *\n"
        "base = DataRecipe(())\nwords = r.Vocabulary(\n    'many',\n)\n"
        "data = replace(base,\n    vocabulary=words)\n",
        encoding="utf-8",
    )
    with pytest.raises(InputError, match=r"own\.py:6: data\.vocabulary\.size must be"):
        load_recipe("own.py", "data", DataRecipe)
    Path("own.py").write_text(
        "from data_pipeline.recipe import *\ndef make():\n    return DataRecipe((), seed='1')\n\ndata = make()\n",
        encoding="utf-8",
    )
    with pytest.raises(InputError, match=r"own\.py:5: data\.seed must be"):
        load_recipe("own.py", "data", DataRecipe)


RUN_DIR = [
    Mistake(
        "a run folder that is a file",
        r"--run-dir run: cannot be a run folder \(a file stands there\); choose another, or see to its permissions",
        make=lambda: Path("run").write_text("", encoding="utf-8"),
        mend=lambda: Path("run").unlink(),
        early=True,
    ),
    Mistake(
        "a run folder on another machine",
        r"--run-dir gs:/bucket/run: run folders live on a local disk; copy the folder after the run",
        flags=("--run-dir", "gs://bucket/run"),
        mended_flags=(),
        early=True,
    ),
]


@pytest.mark.parametrize("mistake", RUN_DIR, ids=lambda mistake: mistake.name)
def test_a_wrong_run_folder_is_named(mistake: Mistake, make_and_mend: Callable[[Mistake], None]) -> None:
    make_and_mend(mistake)


def test_a_run_folder_that_nobody_may_write(
    workplace: Path, run_command_line: Callable[..., Ran], unbroken: Path, small_disk: Callable[[str], SmallDisk]
) -> None:
    """A read-only disk stands for a missing permission too: root, who runs these tests at times, has every one."""
    disk = small_disk("8m")
    run_dir = disk.path / "run"
    for exists in (False, True):
        disk.read_only(True)
        sentence = run_command_line(*prepare_command(run_dir=run_dir)).sentence(WRONG_INPUT)
        assert sentence == (
            f"--run-dir {run_dir}: cannot be a run folder (Read-only file system); choose another, or see to its permissions"
        )
        disk.read_only(False)
        assert run_dir.exists() == exists
        run_command_line(*prepare_command(run_dir=run_dir)).success()
        assert results(run_dir) == results(unbroken)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere; the read-only disk stands for it")
def test_a_run_folder_without_permission(workplace: Path, run_command_line: Callable[..., Ran], unbroken: Path) -> None:
    Path("locked").mkdir(mode=0o500)
    sentence = run_command_line(*prepare_command(run_dir="locked/run")).sentence(WRONG_INPUT)
    assert sentence == (
        "--run-dir locked/run: cannot be a run folder (Permission denied); choose another, or see to its permissions"
    )
    Path("locked").chmod(0o700)
    run_command_line(*prepare_command(run_dir="locked/run")).success()
    assert results(Path("locked/run")) == results(unbroken)


STOP = """
import os, signal

replace = os.replace

def replace_and_stop(source, target):
    replace(source, target)
    if "/done/" in str(target):
        os.kill(os.getpid(), signal.SIGSTOP)

os.replace = replace_and_stop
"""


def test_a_run_folder_in_use_by_another_process(
    workplace: Path, run_command_line: Callable[..., Ran], unbroken: Path
) -> None:
    """The other process is a real prepare, stopped after its first task; killed, it frees the folder."""
    Path("sitecustomize.py").write_text(STOP, encoding="utf-8")
    environment = process_environment({"PYTHONPATH": str(workplace)})
    holder = subprocess.Popen(
        [sys.executable, "-m", *map(str, prepare_command())], stderr=subprocess.DEVNULL, env=environment
    )
    try:
        _, status = os.waitpid(holder.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        before = {path: path.stat().st_mtime_ns for path in Path("run").rglob("*") if path.is_file()}
        sentence = run_command_line(*prepare_command()).sentence(WORK_FAILED)
        assert sentence == f"run: in use by process {holder.pid}; wait for it, stop it, or choose another --run-dir"
        assert {path: path.stat().st_mtime_ns for path in Path("run").rglob("*") if path.is_file()} == before
    finally:
        holder.kill()
        holder.wait()
    run_command_line(*prepare_command()).success()
    assert_only_whole(Path("run"))
    assert results(Path("run")) == results(unbroken)
