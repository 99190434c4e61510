"""Parts of the launcher by themselves: the store seen from a host, devices that do not start, packages that vanished."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from launch_world import ROOT, STORE, Said, World, shell

from data_pipeline.contract.recipe_file import PACKAGED_CONFIGS, packaged_recipes, recipe_name


def venv(world: World) -> str:
    return f"venv={world.fake}/image/korean-pretrain/.venv; python=$venv/bin/python; "


def test_a_bucket_that_the_host_cannot_reach_is_named(world: World) -> None:
    world.script(hang=True)
    said = shell(world, f"STORE={STORE} WORKER=1 run_dir=runs/x; check_store", STORE_SECONDS="1")
    assert said.sentence(1) == f"{STORE} does not answer within 1 s from this host"


def test_a_store_that_is_another_folder_on_one_host_is_named(world: World) -> None:
    other = world.home / "not_the_shared_one"
    other.mkdir()
    line = f"STORE={other} WORKER=1 COORDINATOR=10.0.0.1:8476 run_dir=runs/x; check_store"
    said = shell(world, line, STORE_SECONDS="1")
    assert said.sentence(1).startswith(f"{other} on worker 1 is not the folder that worker 0 sees")


def test_a_store_that_cannot_be_read_is_never_written_over(world: World) -> None:
    (world.bucket() / "x").mkdir(parents=True)
    (world.bucket() / "x" / "manifest.json").write_text("{}")
    world.script(hang=True)
    said = shell(world, f"STORE={STORE} WORKER=0 run_dir=runs/x; pull", STORE_SECONDS="1")
    assert said.sentence(1).startswith(f"{STORE}/x cannot be listed")
    assert (world.bucket() / "x" / "manifest.json").exists()


def test_a_push_takes_no_half_written_checkpoint_and_removes_old_ones(world: World) -> None:
    world.script()
    run = world.home / "runs" / "x"
    for name in ("checkpoints/00000002/w", "checkpoints/00000003.orbax-checkpoint-tmp/w", "corpus/a", "examples/e"):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text(name)
    old = world.bucket() / "x" / "checkpoints" / "00000001" / "w"
    old.parent.mkdir(parents=True)
    old.write_text("old")
    (world.home / "runs" / ".host").mkdir()
    said = shell(world, f"STORE={STORE} WORKER=0 run_dir=runs/x; push")
    assert said.code == 0, said.error
    there = {str(path.relative_to(world.bucket() / "x")) for path in world.bucket().rglob("*") if path.is_file()}
    assert there == {"checkpoints/00000002/w", "examples/e"}
    rsyncs = [call for call in world.calls() if "rsync" in call]
    assert "delete-unmatched" not in rsyncs[0], "what is new is there before what is old goes"
    assert "delete-unmatched" in rsyncs[1]


SHARDS = ("{}-train.array_record-00000-of-00001", "{}-evaluation.array_record-00000-of-00001", "header.json")


@pytest.mark.parametrize("kind", ["bucket", "folder"])
def test_training_rows_come_of_the_folders_that_are_asked_for(world: World, kind: str) -> None:
    world.script()
    store = STORE if kind == "bucket" else str(world.fake / "shared")
    there = (world.bucket() if kind == "bucket" else world.fake / "shared") / "x"
    names = {f"examples/{folder}{name.format('records')}" for folder in ("", "128/", "512/") for name in SHARDS}
    for name in ("manifest.json", *names):
        (there / name).parent.mkdir(parents=True, exist_ok=True)
        (there / name).write_text(name)
    (there / "checkpoints").mkdir()
    line = f"STORE={store} WORKER=1 run_dir=runs/x; pull; steps_done"
    said = shell(world, line)
    assert (said.code, said.out.split()[-1]) == (0, "0"), said.error
    here = world.home / "runs" / "x"

    def found() -> set[str]:
        return {str(path.relative_to(here)) for path in (here / "examples").rglob("*") if path.is_file()}

    small = {name for name in names if "-train." not in name}
    assert found() == small
    for folders, more in (("512", {"512/"}), (".", {"512/", ""})):
        assert shell(world, f"STORE={store} WORKER=1 run_dir=runs/x; pull_records {folders}").code == 0
        assert found() == small | {f"examples/{folder}{SHARDS[0].format('records')}" for folder in more}
    assert shell(world, f"STORE={store} WORKER=1 run_dir=runs/x; pull_records").code == 0


def test_a_push_that_cannot_see_the_whole_run_removes_nothing(world: World) -> None:
    world.script()
    run, there = world.home / "runs" / "x", world.bucket() / "x"
    for name in ("manifest.json", "checkpoints/00000002/w"):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text(name)
    shutil.copytree(run, there)
    line = f"STORE={STORE} WORKER=0 run_dir=runs/x; cp() {{ case $2 in */checkpoints) return 1 ;; *) command cp $@ ;; esac; }}"
    assert shell(world, f"{line}; push || exit 7").code == 7
    assert (there / "checkpoints" / "00000002" / "w").exists()
    assert not [call for call in world.calls() if "rsync" in call]


def test_a_disk_that_is_behind_the_store_gives_way_and_one_ahead_does_not(world: World) -> None:
    world.script()
    run, there = world.home / "runs" / "x", world.bucket() / "x"
    for here, store, kept in ((2, 4, "store"), (4, 2, "disk"), (4, 4, "disk")):
        for folder, step, name in ((run, here, "disk"), (there, store, "store")):
            (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
            (folder / "checkpoints" / "committed.json").write_text(json.dumps({"newest_step": step}, indent=2))
            (folder / "manifest.json").write_text(name)
        said = shell(world, f"STORE={STORE} WORKER=0 run_dir=runs/x; pull")
        assert said.code == 0, said.error
        assert (run / "manifest.json").read_text() == kept


@pytest.mark.parametrize(
    ("devices", "code", "libtpu"),
    [
        ("", 0, "0.0.42.1"),
        (
            'if [ "$(cat "$FAKE/libtpu")" = 0.0.42.1 ]; then echo "error: no device answers" >&2; exit 1; fi',
            0,
            "0.0.39",
        ),
        (
            'if [ "$(cat "$FAKE/libtpu")" != 0.0.52 ]; then echo "error: no device answers" >&2; exit 1; fi',
            0,
            "0.0.52",
        ),
        ("echo 'error: no device answers' >&2; exit 1", 1, "0.0.42.1"),
        ("echo 'error: the hosts of this TPU do not find each other (...)' >&2; exit 1", 1, "0.0.42.1"),
        ("echo 'error: process 123 (python) holds /dev/accel0: stop it' >&2; exit 1", 1, "0.0.42.1"),
    ],
    ids=["answers", "with an older libtpu", "with a newer libtpu", "never", "hosts apart", "held by another process"],
)
def test_another_libtpu_is_tried_where_the_tpu_does_not_start(
    world: World, devices: str, code: int, libtpu: str
) -> None:
    (world.fake / "libtpu").write_text("0.0.42.1\n")
    (world.fake / "devices").write_text(devices)
    said = shell(world, f"{venv(world)} has_tpu() {{ true; }}; check_devices")
    assert said.code == code, said.error
    assert (world.fake / "libtpu").read_text().strip() == libtpu
    if "never" in devices or code:
        assert "error: " in said.error
    assert ("process 123" in said.error) == ("123" in devices)
    assert ("trying 0.0.39" in said.error) == ("no device answers" in devices)


METADATA = "metadata() { case $1 in accelerator-type) echo v3-32 ;; agent-worker-number) echo 2 ;; *) echo a,b,c,d ;; esac; }; "


def test_a_tpu_vm_finds_its_slice(world: World) -> None:
    said = shell(world, f"{METADATA} LAUNCHED=yes WORKER=2; tell_slice")
    assert (said.code, said.error) == (0, "worker 2 of 4 of a v3-32\n")
    assert shell(world, "metadata() { return 7; }; tell_slice") == Said(0, "", ""), "no TPU VM, nothing to say"


def test_hosts_listed_in_another_order_than_the_slice_are_refused(world: World) -> None:
    said = shell(world, f"{METADATA} LAUNCHED=yes WORKER=1; tell_slice")
    assert said.sentence(2).startswith("this host is worker 2 of its slice, but stands in the list as 1")


def test_one_host_of_several_does_not_start_alone(world: World) -> None:
    assert (
        shell(world, f"{METADATA} tell_slice")
        .sentence(2)
        .startswith("this is one host of 4, and all must start together")
    )


def test_a_package_that_vanished_is_installed_again(world: World) -> None:
    for name in ("setup.cfg", "constraints.txt"):
        (world.home / name).write_text("")
    (world.home / "pretrain" / "launch").mkdir(parents=True)
    lines = f"{venv(world)} has_tpu() {{ false; }}; nvidia-smi() {{ false; }}; "
    assert "installing into .venv/: base export" in shell(world, f"{lines} install export").error
    calls = world.fake / "python_calls"
    calls.write_text("")
    assert shell(world, f"{lines} install export") == Said(0, "", "")
    assert "-m pip" not in calls.read_text()
    (world.fake / "gone").write_text("tokenizers\n")
    said = shell(world, f"{lines} install export")
    assert "gone from .venv/ since they were installed: tokenizers" in said.error
    assert "--force-reinstall --no-deps tokenizers" in calls.read_text()


def test_missing_packages_are_those_without_metadata_or_without_modules(tmp_path: Path) -> None:
    def distribution(name: str, requires: str = "", record: str = "") -> None:
        folder = tmp_path / f"{name.replace('-', '_')}-1.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n{requires}")
        (folder / "RECORD").write_text(record)

    whole = "Requires-Dist: whole-one\nRequires-Dist: gone-one\nRequires-Dist: hollow-one; extra == 'export'\n"
    distribution("korean-pretrain", whole)
    distribution("whole-one", "Requires-Dist: below-one>=2; python_version > '3'\n", "whole/__init__.py,,\n")
    distribution("hollow-one", "", "hollow/__init__.py,,\n")
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "__init__.py").touch()

    def missing(*extras: str) -> str:
        program = ROOT / "pretrain" / "launch" / "missing_packages.py"
        return subprocess.run(
            [sys.executable, program, *extras], env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True
        ).stdout.strip()

    assert missing() == "below-one gone-one"
    assert missing("export") == "below-one gone-one hollow-one"


def test_run_folders_are_named_as_python_names_recipes(world: World) -> None:
    listed = [path.relative_to(PACKAGED_CONFIGS.parent) for path in packaged_recipes()]
    for path in (*listed, Path("mini/kobert"), Path("quickstart")):
        said = shell(world, f'source {ROOT}/pretrain/launch/job.sh; split_arguments {path}; echo "$run_dir"')
        assert said.out.strip() == f"runs/{recipe_name(path)}"
