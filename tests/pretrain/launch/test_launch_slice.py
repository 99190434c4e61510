"""run_tpu.sh --create: a slice is made, used, made again and deleted by one command."""

import pytest
from launch_world import STORE, World

V3 = ("--type", "v3-8", "--zone", "us-central1-a")


def test_one_command_creates_ships_trains_streams_and_deletes(world: World) -> None:
    world.script(states={"us-central1-a": ["WAITING_FOR_RESOURCES", "PROVISIONING", "ACTIVE"]})
    said = world.run("--create", "kobert", *V3, "--spot", "--store", STORE, "--delete-when-done", "quickstart")
    assert said.code == 0, said.error
    for line in ("== worker 0: install", "prepared", "steps 0 to 3", "step 3: loss", "runs/quickstart: done"):
        assert line in said.out
    assert said.out.count("step 2: loss") == 1
    assert "WAITING_FOR_RESOURCES" in said.error
    assert "PROVISIONING" in said.error
    create = next(call for call in world.calls() if '"create"' in call)
    for flag in ("--accelerator-type=v3-8", "--runtime-version=tpu-ubuntu2204-base", "--spot", "--node-id=kobert"):
        assert flag in create
    assert world.booked() == []
    assert (world.bucket() / "quickstart" / "export" / "model.safetensors").exists()
    assert (world.bucket() / "quickstart" / "checkpoints" / "00000003" / "manifest.json").exists()
    assert world.run("--status", "kobert").code == 2


def test_dry_run_prints_every_command_and_runs_none(world: World) -> None:
    said = world.run("--create", "kobert", *V3, "--store", STORE, "--delete-when-done", "--dry-run", "quickstart")
    assert said.code == 0, said.error
    assert all(line.startswith("+ gcloud ") for line in said.out.splitlines())
    for command in (
        "buckets describe",
        "queued-resources create",
        "describe",
        "scp",
        "on_host.sh quickstart",
        "delete",
    ):
        assert command in said.out
    assert world.calls() == []
    assert not (world.home / "runs").exists()


def test_a_zone_that_refuses_gives_way_to_the_next(world: World) -> None:
    world.script(refuse={"us-central1-a": "RESOURCE_EXHAUSTED: Quota limit 'TPUV3' has been exceeded."})
    said = world.run("--create", "kobert", *V3, "--zone", "us-central1-b", "quickstart")
    assert said.code == 0, said.error
    assert (
        "us-central1-a refuses: ERROR: (gcloud.compute.tpus.queued-resources.create) RESOURCE_EXHAUSTED: Quota limit 'TPUV3'"
        in said.error
    )
    assert "asked for a v3-8 in us-central1-b" in said.error
    assert "us-central1-b ACTIVE" in world.run("--status", "kobert").out


def test_all_zones_refuse(world: World) -> None:
    world.script(refuse={"us-central1-a": "quota", "us-central1-b": "no capacity"})
    said = world.run("--create", "kobert", *V3, "--zone", "us-central1-b", "quickstart")
    assert said.sentence(1).startswith(
        "no zone gives a v3-8 (us-central1-a us-central1-b; reasons above); ask for quota"
    )
    assert "us-central1-b refuses: ERROR: (gcloud.compute.tpus.queued-resources.create) no capacity" in said.error


def test_a_queue_that_does_not_move_gives_way_to_the_next_zone(world: World) -> None:
    world.script(states={"us-central1-a": ["WAITING_FOR_RESOURCES"]})
    said = world.run("--create", "kobert", *V3, "--zone", "us-central1-b", "--wait", "0", "quickstart")
    assert said.code == 0, said.error
    assert "us-central1-a gave nothing within 0 minutes" in said.error
    assert "step 3: loss" in said.out


def test_a_request_that_fails_everywhere_is_deleted_and_named(world: World) -> None:
    world.script(states={"us-central1-a": ["PROVISIONING", "FAILED"]})
    said = world.run("--create", "kobert", *V3, "quickstart")
    assert said.sentence(1).startswith("no zone gives a v3-8 (us-central1-a; reasons above)")
    assert world.booked() == []


def test_a_preempted_run_goes_on_from_its_last_checkpoint_on_a_new_slice(world: World) -> None:
    world.steps(8)
    # Once, when the store has a checkpoint, the slice goes away under the training.
    (world.fake / "on_train").write_text(
        'if [ "$step" = 3 ] && [ ! -e "$FAKE/once" ]; then '
        'until [ -e "$FAKE/buckets/bucket/runs/quickstart/checkpoints/00000002/manifest.json" ]; do sleep 0.1; done; '
        'touch "$FAKE/once" "$FAKE/preempt"; sleep 60; fi'
    )
    said = world.run("--create", "kobert", *V3, "--zone", "us-central1-b", "--spot", "--store", STORE, "quickstart")
    assert said.code == 0, said.error
    assert "kobert in us-central1-a: SUSPENDED" in said.error
    assert "== kobert was preempted (SUSPEND" in said.error
    creations = [call for call in world.calls() if '"create"' in call]
    assert ["us-central1-a" in call for call in creations] == [True, True], "the zone that has given one is asked first"
    starts = [line for line in said.out.splitlines() if line.startswith("steps ")]
    assert starts[0] == "steps 0 to 8"
    assert starts[1] != "steps 0 to 8"
    assert said.out.count("prepared") == 1, "the records come from the store"
    assert "step 8: loss" in said.out


def test_a_worker_that_never_comes_is_named(world: World) -> None:
    world.script(silent=[0])
    said = world.run("--create", "kobert", *V3, "quickstart", HOST_SECONDS="1")
    assert said.sentence(1).startswith("worker 0 of 1 (10.0.0.1) does not answer ssh within 1 s")


def test_of_several_hosts_the_one_that_never_comes_is_named(world: World) -> None:
    world.script()
    hosts = world.hosts(3)
    hosts.write_text(hosts.read_text() + "10.0.0.99\n")
    said = world.run("--hosts", hosts, "--store", world.home / "shared", "quickstart", HOST_SECONDS="1")
    assert said.sentence(1).startswith("worker 3 of 4 (10.0.0.99) does not answer ssh within 1 s")


def test_several_hosts_need_a_place_for_the_records(world: World) -> None:
    world.script()
    said = world.run("--create", "kobert", "--type", "v3-32", *V3[2:], "quickstart")
    assert said.sentence(2).startswith(
        "--type v3-32: has several hosts, which read the same records: give --store gs://"
    )
    assert world.calls() == [], "nothing was booked"
    hosts = world.hosts(2)
    said = world.run("--hosts", hosts, "quickstart")
    assert said.sentence(2).startswith(f"--hosts {hosts}: has several hosts, which read the same records")
    said = world.run("--hosts", hosts, "--store", "shared", "quickstart")
    assert said.sentence(2).startswith("--store shared: give gs://BUCKET/FOLDER, or a folder that all hosts see")


@pytest.mark.parametrize(
    ("type_", "hosts"), [("v3-8", 1), ("v3-32", 4), ("v4-16", 2), ("v5e-4", 1), ("v5e-8", 1), ("v5e-16", 4)]
)
def test_a_dry_run_knows_the_hosts_of_a_slice(world: World, type_: str, hosts: int) -> None:
    said = world.run("--create", "kobert", "--type", type_, *V3[2:], "--store", STORE, "--dry-run", "quickstart")
    assert said.code == 0, said.error
    for worker in range(hosts):
        assert f"WORKER={worker} WORKERS={hosts} COORDINATOR=WORKER_0:8476" in said.out
    assert said.out.count("WORKERS=") == hosts


def test_a_slice_of_several_hosts_is_one_command(world: World) -> None:
    world.script(workers=4)
    said = world.run(
        "--create", "kobert", "--type", "v3-32", *V3[2:], "--store", STORE, "--delete-when-done", "quickstart"
    )
    assert said.code == 0, said.error
    assert "step 3: loss" in said.out
    calls = (world.fake / "python_calls").read_text()
    for worker in range(4):
        assert f"{world.worker(worker)}: -m pip install" in calls
        assert f"{world.worker(worker)}: -m pretrain.devices.smoke_test" in calls
        assert f"{world.worker(worker)}: -m pretrain train quickstart" in calls
        started = f"WORKER={worker} WORKERS=4 COORDINATOR=10.0.0.1:8476 STORE={STORE}"
        assert sum(started in call for call in world.calls()) == 1
    assert calls.count("data_pipeline prepare") == 1, "by worker 0 alone"
    assert calls.count("pretrain export") == 1
    assert (world.bucket() / "quickstart" / "checkpoints" / "00000003" / "manifest.json").exists()
    assert (world.bucket() / "quickstart" / "export" / "model.safetensors").exists()
    assert world.booked() == []


def test_a_preempted_slice_of_several_hosts_goes_on_from_the_store(world: World) -> None:
    world.script(workers=2)
    world.steps(8)
    (world.fake / "on_train").write_text(
        'if [ "$WORKER$step" = 03 ] && [ ! -e "$FAKE/once" ]; then '
        'until [ -e "$FAKE/buckets/bucket/runs/quickstart/checkpoints/00000002/manifest.json" ]; do sleep 0.1; done; '
        'touch "$FAKE/once" "$FAKE/preempt"; sleep 60; fi'
    )
    said = world.run("--create", "kobert", "--type", "v5e-16", *V3[2:], "--spot", "--store", STORE, "quickstart")
    assert said.code == 0, said.error
    assert "== kobert was preempted (SUSPEND" in said.error
    creations = [call for call in world.calls() if '"create"' in call]
    assert ["v5litepod-16" in call for call in creations] == [True, True]
    starts = [line for line in said.out.splitlines() if line.startswith("steps ")]
    assert starts[0] == "steps 0 to 8"
    assert starts[1] != "steps 0 to 8"
    assert (world.fake / "python_calls").read_text().count("data_pipeline prepare") == 1, (
        "the new hosts' come from the store"
    )
    other = world.worker(1) / "runs" / "quickstart"
    assert (other / "examples" / "header.json").exists()
    assert not (other / "checkpoints").exists(), "worker 0 has them, and tells the others"
