"""What run_tpu.sh refuses before it books anything, each with one sentence."""

import os
import subprocess

import pytest
from launch_world import STORE, World

HOME = os.path.expanduser("~")
CREATE = ("--create", "kobert", "--type", "v3-8", "--zone", "us-central1-a")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--create", "Ko_Bert"), "Ko_Bert: a name is lower-case letters"),
        (("--create",), "--create needs a name"),
        (("--create", "kobert", "--zone", "a"), "--create needs --type"),
        (("--create", "kobert", "--type", "v3-8"), "--create needs --zone"),
        (("--create", "kobert", "--type"), "--type needs a value"),
        (("--create", "kobert", "--type", "v9-8", "--zone", "a"), "--type v9-8: not a TPU type"),
        (
            ("--create", "kobert", "--type", "tpu7x-8", "--zone", "a"),
            "--type tpu7x-8: Google's TPU API does not make it",
        ),
        (("--create", "kobert", "--type", "v3-x", "--zone", "a"), "--type v3-x: give generation and size"),
        ((*CREATE, "no_such_recipe"), "no_such_recipe: no such recipe below"),
        ((*CREATE, "--spot", "quickstart"), "--spot needs --store gs://BUCKET/FOLDER"),
        ((*CREATE, "--store", "somewhere", "quickstart"), "--store somewhere: a slice keeps its run in a bucket"),
        ((*CREATE, "--store=~/runs", "quickstart"), f"--store {HOME}/runs: a slice keeps its run in a bucket"),
        (("--hosts", "~/nowhere.txt", "quickstart"), f"--hosts {HOME}/nowhere.txt: no such file"),
        ((*CREATE, "--wait", "soon", "quickstart"), "--wait soon: give minutes"),
        ((*CREATE, "quickstart", "--run-dir", "/data/run"), "--run-dir /data/run: on the hosts it is a folder below"),
        (("--hosts", "nowhere.txt", "quickstart"), "--hosts nowhere.txt: no such file"),
        ((*CREATE,), "RECIPE is missing"),
        ((*CREATE, "--project", "p", "klue_bert_base"), "--project: no flag of --create"),
        (("--attach", "kobert"), "kobert: nothing was launched under this name"),
        (("--status", "kobert", "quickstart"), "quickstart: --status takes a name and flags, nothing more"),
        (("--list", "kobert"), "kobert: --list takes nothing more"),
        (("--install-only", "export", "exprot"), "--install-only exprot: no such extra; there are data, "),
        (("--training.max-steps", "5", "quickstart"), "quickstart: RECIPE must be the first argument"),
        (("--training.max-steps", "5", "configs/mini/bert.py"), "configs/mini/bert.py: RECIPE must be the first"),
    ],
)
def test_a_wrong_command_is_one_sentence(world: World, arguments: tuple[str, ...], sentence: str) -> None:
    world.script()
    assert world.run(*arguments).sentence(2).startswith(sentence)
    assert world.calls() == []


def test_a_corpus_of_this_machine_does_not_travel(world: World) -> None:
    world.script()
    (world.home / "corpus.txt").write_text("글\n")
    said = world.run(*CREATE, "quickstart", "--source", f"text:{world.home}/*.txt")
    assert "lies on this machine and the slice cannot read it: prepare here first" in said.sentence(2)
    world.venv()
    (world.fake / "sources").write_text(f"{world.checkout}/configs/*.py\ncorpora/*.txt\n")
    said = world.run(*CREATE, "quickstart", "--no-plan")
    assert said.sentence(2).startswith("corpora/*.txt is not on this machine, nor on a new slice: prepare here first")
    assert world.calls() == []


def test_records_in_the_store_need_no_corpus(world: World) -> None:
    world.script(refuse={"us-central1-a": "no capacity"}, records_bytes=50_000_000_000)
    manifest = world.bucket() / "quickstart" / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text('{"prepare": {}}')
    command = (*CREATE, "--store", STORE, "quickstart", "--source", "text:corpora/*.txt")
    said = world.run(*command)
    assert said.sentence(1).startswith("a TPU VM's boot disk has 100 GB, and this run needs 125 (50 of records)")
    assert world.run(*command, BOOT_DISK_GB="200").sentence(1).startswith("no zone gives")


def test_overrides_are_read_and_the_plan_asked_before_anything_is_booked(world: World) -> None:
    world.venv()
    said = world.run(*CREATE, "quickstart", "--training.nonsense", "1")
    assert said.sentence(2) == "--training.nonsense: no such flag"
    (world.fake / "too_large").touch()
    said = world.run(*CREATE, "quickstart", "--training.global-batch-size", "8")
    assert said.sentence(1) == "quickstart does not fit a v3-8 (above)"
    assert world.calls() == []
    assert (
        "-m pretrain plan quickstart --training.global-batch-size 8 --on v3-8"
        in (world.fake / "python_calls").read_text()
    )


def test_both_sides_flags_are_read_before_anything_is_booked_and_before_any_work_here(world: World) -> None:
    world.venv()
    hosts = world.hosts(1)
    said = world.run("--hosts", hosts, "quickstart", "--data.nonsense", "1")
    assert said.sentence(2) == "--data.nonsense: no such flag"
    stamp = subprocess.run(
        f"cat {world.checkout}/setup.cfg {world.checkout}/constraints.txt | cksum | tr ' ' -",
        shell=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    (world.checkout / ".venv" / ".installed").write_text(f"{stamp} base data\n")
    said = world.run("quickstart", "--data.seed", "3", "--workers", "2", "--training.nonsense", "1")
    assert said.sentence(2) == "--training.nonsense: no such flag"
    calls = (world.fake / "python_calls").read_text()
    assert "prepare quickstart --run-dir runs/quickstart --data.seed 3 --workers 2 --check\n" in calls
    assert "train quickstart --training.nonsense 1 --data.seed 3 --check\n" in calls
    assert "smoke_test" not in calls
    assert not (world.home / "runs").exists()


def test_a_bucket_in_another_region_is_refused_with_both_named(world: World) -> None:
    world.script(bucket_location="EUROPE-WEST4")
    said = world.run(*CREATE, "--zone", "europe-west4-a", "--store", STORE, "quickstart")
    assert said.sentence(2).startswith("gs://bucket is in europe-west4, far from zone us-central1-a")
    assert not any("create" in call for call in world.calls())


@pytest.mark.parametrize(
    ("location", "zone"), [("US", "us-west4-a"), ("US-CENTRAL1", "us-central1-b"), ("NAM4", "us-central1-a")]
)
def test_a_bucket_near_the_zone_passes(world: World, location: str, zone: str) -> None:
    world.script(bucket_location=location, refuse={zone: "no capacity"})
    said = world.run("--create", "kobert", "--type", "v3-8", "--zone", zone, "--store", STORE, "quickstart")
    assert said.sentence(1).startswith("no zone gives a v3-8")


def test_a_bucket_that_cannot_be_written_is_refused(world: World) -> None:
    world.script(read_only=True)
    said = world.run(*CREATE, "--store", STORE, "quickstart")
    assert said.sentence(2) == f"{STORE} cannot be written; your account needs storage.objects.create on gs://bucket"


def test_a_bucket_that_does_not_answer_ends_the_check_in_time(world: World) -> None:
    world.script(hang=True)
    said = world.run(*CREATE, "--store", STORE, "quickstart", BUCKET_SECONDS="1")
    assert said.sentence(1).startswith("gs://bucket does not answer within 1 s")


def test_records_too_large_for_the_boot_disk_are_noticed(world: World) -> None:
    world.script()
    records = world.home / "runs" / "quickstart"
    (records / "examples").mkdir(parents=True)
    (records / "manifest.json").write_text('{"prepare": {}}')
    (records / "examples" / "header.json").write_text("{}")
    said = world.run(*CREATE, "quickstart", BOOT_DISK_GB="24")
    assert said.sentence(1).startswith("a TPU VM's boot disk has 24 GB, and this run needs 25")
