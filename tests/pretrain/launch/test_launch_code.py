"""What of a checkout travels to the hosts: code, by an allow-list, and never what lies beside it."""

import subprocess
from pathlib import Path

import pytest
from launch_world import ROOT, World

CREATE = ("--create", "kobert", "--type", "v3-8", "--zone", "us-central1-a")
BESIDE = (
    "corpora/news.txt",
    "private_text/a.jsonl",
    "wandb/run/log",
    "key.json",
    ".env",
    "compare.png",
    "configs/.env",
)


@pytest.fixture
def lived_in(world: World) -> World:
    """A checkout as people have it: commits, changes, a new recipe, and all that lies beside."""
    (world.checkout / "pretrain" / "gone.py").touch()
    world.git("init")
    world.git("add", ".")
    world.git("commit", "-m", "all")
    (world.checkout / "pretrain" / "gone.py").unlink()
    (world.checkout / "setup.cfg").open("a").write("# changed here\n")
    (world.checkout / "configs" / "mine.py").write_text((world.checkout / "configs" / "quickstart.py").read_text())
    write(world, *BESIDE)
    return world


def write(world: World, *names: str) -> None:
    for name in names:
        (world.checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (world.checkout / name).write_text("secret")


def shipped(world: World) -> set[str]:
    folder = world.worker(0)
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("git", [True, False])
def test_code_travels_and_what_lies_beside_it_does_not(lived_in: World, git: bool) -> None:
    if not git:
        (lived_in.checkout / ".git").rename(lived_in.home / ".git_elsewhere")
    assert lived_in.run(*CREATE, "mine").code == 0
    there = shipped(lived_in)
    assert not there & set(BESIDE)
    assert {"configs/mine.py", "run_tpu.sh", "README.md", "pretrain/launch/on_host.sh"} <= there
    assert "pretrain/gone.py" not in there
    assert "# changed here" in (lived_in.worker(0) / "setup.cfg").read_text()


def test_what_travels_and_what_stays_is_said_before_booking(lived_in: World) -> None:
    said = lived_in.run(*CREATE, "--dry-run", "mine").error
    assert "new files that travel too: configs/mine.py\n" in said
    assert (
        "stays here, for git does not track it: .env, compare.png, corpora/, key.json, private_text/, wandb/\n" in said
    )


def test_code_that_is_too_large_is_refused_with_the_largest_named(world: World) -> None:
    (world.checkout / "data_pipeline" / "dump.bin").write_bytes(bytes(3_000_000))
    said = world.run(*CREATE, "quickstart", MOST_CODE_MB="2")
    assert said.sentence(2).startswith("the code to ship has 3 MB, more than 2; largest: data_pipeline/dump.bin, ")
    assert world.calls() == []


def test_a_recipe_that_does_not_travel_is_refused(lived_in: World) -> None:
    write(lived_in, "drafts/other.py")
    said = lived_in.run(*CREATE, "drafts/other.py")
    assert said.sentence(2).startswith("drafts/other.py: no such recipe below")


def test_no_archive_stays_behind(world: World, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    records = world.home / "runs" / "quickstart"  # which cannot be packed: there is no vocabulary
    (records / "examples").mkdir(parents=True)
    (records / "manifest.json").write_text('{"prepare": {}}')
    (records / "examples" / "header.json").write_text("{}")
    said = world.run(*CREATE, "quickstart", TMPDIR=str(temporary))
    assert said.sentence(1) == "the records could not be packed (above)"
    assert "nothing trains yet: kobert (v3-8) in us-central1-a stays booked and is billed" in said.error
    assert list(temporary.iterdir()) == []


def test_git_ignores_what_people_put_beside_the_code() -> None:
    beside = [
        "corpora/news.txt",
        "vocabularies/vocab.txt",
        "wandb/run/log",
        ".env",
        "compare.png",
        "runs/a/manifest.json",
    ]
    ignored = subprocess.run(["git", "-C", ROOT, "check-ignore", *beside, "README.md"], capture_output=True, text=True)
    assert ignored.stdout.splitlines() == beside
