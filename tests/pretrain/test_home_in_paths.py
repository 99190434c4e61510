"""A path on the command line or in a recipe may begin with ~, and is the same place however it is written."""

import subprocess
from pathlib import Path

import pytest
from tiny_run import changed

from data_pipeline.contract.command_line import parse_command_line, with_home
from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_file import recipe_path
from data_pipeline.contract.run_folder import RunFolder
from pretrain.checkpoints.asked_step import step_number
from pretrain.checkpoints.resume import refuse_other_run
from pretrain.commands.asking.embed import Embed
from pretrain.commands.asking.fill import Fill
from pretrain.commands.evaluate import Evaluate
from pretrain.commands.export import Export
from pretrain.commands.inspect import Inspect
from pretrain.devices.available import use_compilation_cache
from pretrain.recipe import TrainingRecipe
from pretrain.recipe_upgrade import plain_recipe

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("--to=~/x", "--to={home}/x"),
        ("--run-dir=~", "--run-dir={home}"),
        ("~/x", "{home}/x"),
        ("--to=x~/y", "--to=x~/y"),
        ("~nobody-of-this-name/x", "~nobody-of-this-name/x"),
        ("~아무개", "~아무개"),
        ("--source=text:~/x", "--source=text:~/x"),  # which sources expand
    ],
)
def test_a_path_that_begins_at_home(word: str, found: str, home: Path) -> None:
    assert with_home([word]) == [found.format(home=home)]


def test_text_is_no_path(home: Path) -> None:
    words = ["--text", "~/가", "~", "--run-dir", "~/x"]
    assert with_home(words) == [*words[:-1], f"{home}/x"]
    assert with_home(["--query=~/가"]) == ["--query=~/가"]


def test_commands_take_it_in_every_flag(home: Path) -> None:
    command = parse_command_line(Export, ["~/run", "--to=~/x"], "export")
    assert (command.run_dir, command.to) == (f"{home}/run", home / "x")
    assert parse_command_line(Fill, ["run", "--text=~/가"], "fill").text == ("~/가",)
    assert parse_command_line(Evaluate, ["~/a", "~/b"], "evaluate").models == (f"{home}/a", f"{home}/b")
    assert RunFolder("~/run").path == home / "run"


def test_recipes_take_it(home: Path, tiny: TrainingRecipe) -> None:
    home.mkdir()
    (home / "mine.py").touch()
    assert recipe_path("~/mine.py") == home / "mine.py"


def test_the_launcher_takes_it(home: Path) -> None:
    script = """
    root=$1; . "$root/pretrain/launch/job.sh"
    split_arguments '~/mine.py' --run-dir=~/x '--data.vocabulary.given=~/v' --training.start-from '~/m' '가 나'
    printf '%s\\n' "$recipe" "$run_dir" "${data[@]}" "${training[@]}"
    """
    ran = subprocess.run(["bash", "-euc", script, "bash", ROOT], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == [
        f"{home}/mine.py", f"{home}/x", f"--data.vocabulary.given={home}/v", "--training.start-from", f"{home}/m", "가 나",
    ]  # fmt: skip


@pytest.mark.parametrize("command", [Export, Inspect, Evaluate, Embed], ids=lambda command: command.__name__)
def test_step_latest_is_the_newest(command: type) -> None:
    required = ["--pooling", "mean"] if command is Embed else []
    steps = {
        given: step_number(parse_command_line(command, ["run", *required, *flags], "x").step)  # type: ignore[attr-defined]
        for given, flags in {"": [], "latest": ["--step", "latest"], "7": ["--step", "7"]}.items()
    }
    assert steps == {"": None, "latest": None, "7": 7}
    with pytest.raises(InputError, match="--step newest: must be"):
        parse_command_line(command, ["run", *required, "--step", "newest"], "x")


@pytest.mark.parametrize("now", ["models/a", "./models/a", "{here}/models/a", "{here}/models/../models/a/"])
def test_a_start_is_the_same_however_it_is_written(now: str, tiny: TrainingRecipe, tmp_path: Path) -> None:
    saved = {"step": 2, "recipe": plain_recipe(changed(tiny, start_from=("models/a",))), "records_fingerprint": "f"}
    refuse_other_run(saved, changed(tiny, start_from=(now.format(here=tmp_path),)), "f")
    with pytest.raises(InputError, match=r"start_from: .*models/a.* -> .*models/b"):
        refuse_other_run(saved, changed(tiny, start_from=(now.format(here=tmp_path).replace("/a", "/b"),)), "f")
    url = changed(tiny, start_from=("gs://bucket/a",))
    refuse_other_run({**saved, "recipe": plain_recipe(url)}, url, "f")


def test_a_home_that_cannot_be_written_is_told_as_it_is(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import jax

    before = jax.config.values["jax_compilation_cache_dir"]
    try:
        jax.config.update("jax_compilation_cache_dir", None)
        home.write_text("a file")  # under which nobody can make a folder, not even root
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        with caplog.at_level("INFO"):
            use_compilation_cache()
        assert f"are not kept, so that the next start compiles again: {home}/.cache" in caplog.text
        assert "are kept in" not in caplog.text
        assert jax.config.values["jax_compilation_cache_dir"] is None
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
