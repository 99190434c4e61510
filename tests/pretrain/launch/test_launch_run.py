"""A launched run goes on by itself: closed laptops, dead workers, hung saves, stale processes."""

import json
from pathlib import Path

import pytest
from launch_world import STORE, World

V3 = ("--type", "v3-8", "--zone", "us-central1-a")


def test_a_closed_laptop_does_not_end_the_run(world: World) -> None:
    world.script()
    world.steps(15)
    with world.running("--create", "kobert", *V3, "quickstart"):
        world.wait_for(world.worker(0) / "runs" / "quickstart" / "checkpoints" / "00000001")
    status = world.run("--status", "kobert").out
    assert "kobert: v3-8 us-central1-a ACTIVE" in status
    assert "worker 0 of 1 (10.0.0.1): train, running, last line" in status
    attached = world.run("--attach", "kobert")
    assert attached.code == 0, attached.error
    assert "step 15: loss" in attached.out
    assert world.logs().count("steps 0 to 15") == 1, "attached, not started again"
    assert "next: ./run_tpu.sh --fetch kobert, then --delete kobert" in attached.error


def test_stop_saves_and_attach_goes_on(world: World) -> None:
    world.script()
    world.steps(200)
    with world.running("--create", "kobert", *V3, "quickstart"):
        world.wait_for(world.worker(0) / "runs" / "quickstart" / "checkpoints" / "00000002")
    assert world.run("--stop", "kobert").code == 0
    assert "error: stopped by SIGTERM at step" in world.logs()
    assert "not running, exit code stopped" in world.run("--status", "kobert").out
    committed = json.loads((world.worker(0) / "runs" / "quickstart" / "checkpoints" / "committed.json").read_text())
    world.steps(committed["newest_step"] + 2)
    attached = world.run("--attach", "kobert")
    assert attached.code == 0, attached.error
    assert f"steps {committed['newest_step']} to" in attached.out


@pytest.mark.slow
def test_another_job_is_not_mistaken_for_this_one(world: World) -> None:
    world.script()
    world.steps(200)
    with world.running("--create", "kobert", *V3, "quickstart"):
        world.wait_for(world.worker(0) / "runs" / "quickstart" / "checkpoints" / "00000001")
    said = world.run("--create", "kobert", *V3, "mini/bert")
    assert said.sentence(2) == "kobert is at another job; --stop kobert first, or take another name"


def test_a_run_on_the_slice_alone_is_not_deleted_before_it_was_fetched(world: World) -> None:
    world.script()
    assert world.run("--create", "kobert", *V3, "quickstart").code == 0
    assert world.run("--delete", "kobert").sentence(2).startswith("kobert: its run lies nowhere else")
    assert world.run("--fetch", "kobert").code == 0
    assert (world.home / "runs" / "quickstart" / "export" / "model.safetensors").exists()
    assert world.run("--delete", "kobert").code == 0
    assert world.booked() == []


def test_records_prepared_here_go_along_and_are_not_prepared_again(world: World) -> None:
    world.script()
    records = world.home / "runs" / "quickstart"
    for part in ("examples", "vocabulary"):
        (records / part).mkdir(parents=True)
    (records / "examples" / "header.json").write_text('{"from": "here"}')
    (records / "manifest.json").write_text('{"prepare": {}}')
    said = world.run("--create", "kobert", *V3, "quickstart")
    assert said.code == 0, said.error
    assert "prepared" not in said.out
    assert "here" in (world.worker(0) / "runs" / "quickstart" / "examples" / "header.json").read_text()
    assert "base (some minutes" in said.out, "kss and the other packages for text are not installed"


def test_a_training_that_dies_is_started_again_from_its_checkpoint(world: World) -> None:
    world.script()
    world.steps(6)
    (world.fake / "on_train").write_text(
        'if [ "$step" = 3 ] && [ ! -e "$FAKE/once" ]; then touch "$FAKE/once"; kill -9 $$; fi'
    )
    said = world.run("--create", "kobert", *V3, "--store", STORE, "quickstart")
    assert said.code == 0, said.error
    assert "worker 0 of 1 (10.0.0.1): exit code 137 in train: starting again on all workers" in said.error
    assert "steps 3 to 6" in said.out, "from this disk, which is ahead of the store"


@pytest.mark.slow
def test_a_training_that_always_dies_is_given_up(world: World) -> None:
    world.script()
    (world.fake / "on_train").write_text("kill -9 $$")
    said = world.run("--create", "kobert", *V3, "quickstart", MAX_RESTARTS="1")
    assert "exit code 137 in train, 1 times without a new checkpoint" in said.sentence(1)


def test_a_failure_of_the_work_is_named_and_not_repeated(world: World) -> None:
    world.script()
    (world.fake / "on_train").write_text("echo 'error: the loss is not a number' >&2; exit 1")
    said = world.run("--create", "kobert", *V3, "quickstart")
    assert "worker 0 of 1 (10.0.0.1): exit code 1 in train; fix it and run the same command again" in said.sentence(1)
    assert said.out.count("error: the loss is not a number") == 1


def test_a_hung_save_is_named_and_ended(world: World) -> None:
    world.script()
    world.steps(4)
    (world.fake / "on_train").write_text(
        'if [ "$step" = 2 ] && [ ! -e "$FAKE/once" ]; then touch "$FAKE/once"; '
        'mkdir "$run_dir/checkpoints/00000003.orbax-checkpoint-tmp"; sleep 60; fi'
    )
    said = world.run("--create", "kobert", *V3, "quickstart", SAVE_SECONDS="2")
    assert said.code == 0, said.error
    assert "hung save: runs/quickstart/checkpoints/00000003.orbax-checkpoint-tmp has not grown for" in said.out
    assert "steps 2 to 4" in said.out


@pytest.mark.slow
def test_silence_of_worker_0_is_told_with_what_everyone_does(world: World) -> None:
    world.script()
    (world.fake / "on_train").write_text('if [ "$step" = 1 ]; then sleep 4; fi')
    said = world.run("--create", "kobert", *V3, "quickstart", LATE_SECONDS="2")
    assert said.code == 0, said.error
    assert "no line from worker 0 for" in said.error
    assert "worker 0 of 1 (10.0.0.1): train, running, last line" in said.error


def test_a_list_of_hosts_trains_together(world: World, tmp_path: Path) -> None:
    world.script()
    (world.fake / "on_train").write_text(
        # As a collective would, worker 0 waits for the other.
        'until [ "$(grep -c "pretrain train" "$FAKE/python_calls")" -ge 2 ]; do sleep 0.1; done'
    )
    hosts = world.hosts(2)
    said = world.run("--hosts", hosts, "--name", "lab", "--store", tmp_path / "shared", "quickstart")
    assert said.code == 0, said.error
    assert all(not call.startswith("[") for call in world.calls()), "no gcloud"
    calls = (world.fake / "python_calls").read_text()
    for worker in range(2):
        assert f"{world.worker(worker)}: -m pretrain train quickstart" in calls
    assert calls.count("data_pipeline prepare") == 1, "by worker 0 alone"
    assert calls.count("pretrain export") == 1
    assert (world.worker(1) / "runs" / "quickstart" / "examples" / "header.json").exists(), "staged to its own disk"
    assert (tmp_path / "shared" / "quickstart" / "checkpoints" / "00000003").exists()
    assert (tmp_path / "shared" / "quickstart" / "export" / "model.safetensors").exists()
    assert world.run("--delete", "lab").sentence(2).startswith("lab: these machines were there before")


def test_a_worker_that_dies_brings_all_back_together(world: World) -> None:
    world.script()
    world.steps(30)
    (world.fake / "on_train").write_text(
        # Not before worker 0 has saved step 5, however slowly it goes.
        'if [ "$WORKER" = 1 ] && [ -e "$FAKE/waits" ] && [ ! -e "$FAKE/once" ]; then touch "$FAKE/once"; kill -9 $$; fi\n'
        # As a collective would, worker 0 waits for the one that is gone.
        'if [ "$WORKER" = 0 ] && [ "$step" = 5 ] && [ ! -e "$FAKE/waits" ]; then touch "$FAKE/waits"; sleep 60; fi'
    )
    said = world.run("--hosts", world.hosts(2), "--name", "lab", "--store", STORE, "quickstart")
    assert said.code == 0, said.error
    assert "worker 1 of 2 (tpu@10.0.0.2): exit code 137 in train: starting again on all workers" in said.error
    assert "steps 5 to 30" in said.out
    assert "step 30: loss" in said.out


def test_a_worker_that_fails_does_not_leave_the_others_waiting(world: World, tmp_path: Path) -> None:
    world.script()
    (world.fake / "on_train").write_text(
        'if [ "$WORKER" = 0 ]; then echo "error: no good" >&2; exit 1; else sleep 60; fi'
    )
    said = world.run("--hosts", world.hosts(2), "--name", "lab", "--store", tmp_path / "shared", "quickstart")
    assert "worker 0 of 2 (tpu@10.0.0.1): exit code 1 in train" in said.sentence(1)
    assert (world.worker(1) / "runs" / ".host" / "exit").read_text() == "stopped\n"


@pytest.mark.slow
def test_stop_ends_a_process_that_does_not_listen(world: World) -> None:
    world.script()
    (world.fake / "on_train").write_text("trap '' TERM; while :; do sleep 1; done")
    with world.running("--create", "kobert", *V3, "quickstart"):
        log = world.worker(0) / "runs" / "quickstart" / "manifest.json"
        world.wait_for(log)
        world.wait_for(world.worker(0) / "runs" / ".host" / "training")
    said = world.run("--stop", "kobert", STOP_SECONDS="1")
    assert said.code == 0, said.error
    pid = (world.worker(0) / "runs" / ".host" / "pid").read_text().strip()
    process = Path("/proc") / pid / "cmdline"
    assert not process.exists() or process.read_bytes() == b"", "gone, or a zombie of this machine"
