"""--unattended: the slice trains by its start-up script, and nobody's machine is needed after the request."""

import os
import signal
import stat
import tarfile
import time
from collections.abc import Callable

import pytest
from launch_world import STORE, World

ZONE = "us-central1-a"
CREATE = ("--create", "kobert", "--type", "v3-8", "--zone", ZONE, "--unattended", "--store", STORE, "--no-plan")


@pytest.fixture
def world(world: World) -> World:
    world.venv()
    world.script(states={ZONE: ["WAITING_FOR_RESOURCES"]})
    return world


def grant(world: World, **what_happens: object) -> None:
    """The other side gives the slice, whose hosts start."""
    world.script(**what_happens)
    assert "ACTIVE" in world.run("--status", "kobert").out


def wait_until(true: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def in_launch(world: World, name: str) -> str:
    path = world.bucket() / ".launch" / "kobert" / name
    return path.read_text() if path.exists() else ""


def test_a_slice_that_is_granted_later_trains_without_the_machine_that_asked_for_it(world: World) -> None:
    (world.checkout / ".env").write_text("a key")
    said = world.run(*CREATE, "--delete-when-done", "quickstart", "--training.max-steps", "3", HF_TOKEN="hf_key")
    assert said.code == 0, said.error
    assert world.booked() == [ZONE]
    assert not any("ssh" in call or "scp" in call for call in world.calls())
    grant(world)
    wait_until(lambda: not world.booked())
    assert (world.bucket() / "quickstart" / "export" / "model.safetensors").exists()
    assert in_launch(world, "ended") == "0\n"
    assert "step 3: loss" in in_launch(world, "log-0")
    assert (
        "train quickstart --run-dir runs/quickstart --training.max-steps 3" in (world.fake / "python_calls").read_text()
    )


def test_what_is_said_at_the_end_of_the_command_is_who_trains_and_who_ends_the_bill(world: World) -> None:
    said = world.run(*CREATE, "--spot", "--wait", "90", "quickstart")
    assert (
        f"the request for kobert (v3-8, spot) in {ZONE} is billed from when it is granted, and lapses 90" in said.error
    )
    assert (
        "kobert needs this machine no more: once it is granted, its start-up script takes code and records"
        in said.error
    )
    assert f"its log: gcloud storage cat {STORE}/.launch/kobert/log-0" in said.error
    assert "after a preemption nobody asks for a new slice before --attach kobert does" in said.error
    assert "the bill: nobody but you ends it, also when the run is done" in said.error
    assert said.error.endswith("to end the bill: ./run_tpu.sh --delete kobert\n")
    done = world.run(*CREATE, "--spot", "--delete-when-done", "quickstart")
    assert (
        "the bill: worker 0 deletes the slice when the export is in the store, if its service account may" in done.error
    )
    assert "of a run that fails it is you who does" in done.error


def test_metadata_hold_no_key_and_the_archive_is_the_allow_list(world: World) -> None:
    (world.checkout / ".env").write_text("a key")
    said = world.run(*CREATE, "quickstart", HF_TOKEN="hf_key")
    assert "stays here, for --unattended sends no key: HF_TOKEN" in said.error
    create = next(call for call in world.calls() if '"create"' in call)
    assert "--metadata-from-file=startup-script=runs/.launch/kobert/start-up.sh" in create
    everything = b"".join(path.read_bytes() for path in world.bucket().rglob("*") if path.is_file())
    assert b"hf_key" not in everything + (world.fake / "start-up.sh").read_bytes()
    archive = world.bucket() / ".launch" / "kobert" / "code.tar.gz"
    with tarfile.open(archive) as code:
        names = code.getnames()
    assert "run_tpu.sh" in names
    assert ".env" not in names


@pytest.mark.parametrize("happens", ["kill -9 $$", "kill -TERM $$; sleep 1"], ids=["dies", "told to stop"])
def test_a_training_that_ends_goes_on_by_itself(world: World, happens: str) -> None:
    assert world.run(*CREATE, "quickstart").code == 0
    (world.fake / "on_train").write_text(
        f'if [ "$step" = 2 ] && [ ! -e "$FAKE/once" ]; then touch "$FAKE/once"; {happens}; fi'
    )
    grant(world)
    wait_until(lambda: in_launch(world, "ended") == "0\n")
    assert "steps 2 to 3" in in_launch(world, "log-0")
    assert world.booked() == [ZONE], "nothing is deleted unasked"
    assert "not running, exit code 0, checkpoint of step 3" in world.run("--status", "kobert").out


def test_a_host_that_boots_again_goes_on(world: World) -> None:
    assert world.run(*CREATE, "quickstart").code == 0
    world.steps(200)
    grant(world)
    world.wait_for(world.worker(0) / "runs" / "quickstart" / "checkpoints" / "00000002")
    world.close()
    (world.fake / "boots").unlink()
    world.steps(6)
    grant(world)
    wait_until(lambda: in_launch(world, "ended") == "0\n")
    assert "steps 0 to 200" in in_launch(world, "log-0")
    assert "step 6: loss" in in_launch(world, "log-0")


@pytest.mark.parametrize(("code", "deleted"), [(1, True), (2, False)])
def test_a_run_that_fails_is_told_and_deleted_where_that_was_asked_for(world: World, code: int, deleted: bool) -> None:
    flags = ("--delete-on-failure",) if deleted else ()
    assert world.run(*CREATE, *flags, "quickstart").code == 0
    (world.fake / "on_train").write_text(f"echo 'error: the loss is not a number' >&2; exit {code}")
    grant(world)
    wait_until(lambda: in_launch(world, "ended") == f"{code}\n" and bool(world.booked()) != deleted)
    assert in_launch(world, "log-0").count("error: the loss is not a number") == 1
    said = world.run("--attach", "kobert").sentence(1)
    if deleted:
        assert said.startswith(f"kobert: its run ended with exit code {code}, and the slice has deleted itself")
    else:
        assert f"exit code {code} in train; fix it and run the same command again" in said


def test_a_host_that_may_not_delete_its_slice_says_what_is_billed(world: World) -> None:
    assert world.run(*CREATE, "--delete-when-done", "quickstart").code == 0
    grant(world, own_delete=False)
    wait_until(lambda: "is billed on: ./run_tpu.sh --delete kobert" in in_launch(world, "log-0"))
    assert "error: kobert is not deleted (ERROR: (gcloud.compute.tpus.queued-resources.delete) PERMISSION_DENIED" in (
        in_launch(world, "log-0")
    )
    assert world.booked() == [ZONE]


@pytest.mark.parametrize("flags", [(), ("--delete-when-done",)], ids=["kept", "deleted"])
def test_a_service_account_that_may_not_delete_is_warned_of_before_booking(
    world: World, flags: tuple[str, ...]
) -> None:
    world.script(refuse={ZONE: "no capacity"}, editor=False)
    said = world.run(*CREATE, *flags, "quickstart")
    warning = "nothing seen allows 7-compute@developer.gserviceaccount.com to delete its own slice"
    assert (warning in said.error) == bool(flags)


def test_attach_watches_a_slice_that_started_by_itself_and_asks_again_after_a_preemption(world: World) -> None:
    assert world.run(*CREATE, "--spot", "--delete-when-done", "quickstart").code == 0
    world.steps(6)
    (world.fake / "on_train").write_text(
        'if [ "$step" = 3 ] && [ ! -e "$FAKE/once" ]; then '
        'until [ -e "$FAKE/buckets/bucket/runs/quickstart/checkpoints/00000002/manifest.json" ]; do sleep 0.1; done; '
        'touch "$FAKE/once" "$FAKE/preempt"; sleep 60; fi'
    )
    world.script()
    said = world.run("--attach", "kobert")
    assert said.code == 0, said.error
    assert "== kobert was preempted (SUSPEND" in said.error
    assert "== kobert is done" in said.error
    assert "step 6: loss" in said.out
    assert len([call for call in world.calls() if '"create"' in call]) == 2
    assert not any("scp" in call for call in world.calls()), "its start-up script takes the code from the store"
    assert world.booked() == []


def test_stop_stops_a_run_that_starts_by_itself_and_attach_goes_on(world: World) -> None:
    assert world.run(*CREATE, "quickstart").code == 0
    world.steps(200)
    grant(world)
    world.wait_for(world.worker(0) / "runs" / "quickstart" / "checkpoints" / "00000002")
    assert world.run("--stop", "kobert").code == 0
    assert "not running, exit code stopped" in world.run("--status", "kobert").out
    world.steps(0)
    said = world.run("--attach", "kobert")
    assert said.code == 0, said.error
    assert "== kobert is done" in said.error


def test_hosts_of_a_slice_know_their_places(world: World) -> None:
    world.script(states={ZONE: ["WAITING_FOR_RESOURCES"]}, workers=2)
    assert world.run("--create", "kobert", "--type", "v3-16", *CREATE[4:], "--delete-when-done", "quickstart").code == 0
    grant(world, workers=2)
    wait_until(lambda: not world.booked())
    calls = (world.fake / "python_calls").read_text()
    for worker in range(2):
        assert f"{world.worker(worker)}: -m pretrain train quickstart" in calls
    # Worker 1's last lines may stay behind where worker 0 deletes the slice first.
    assert "worker 0 of 2 of a fake" in in_launch(world, "log-0")
    assert calls.count("data_pipeline prepare") == 1


def test_ctrl_c_before_the_command_ends_leaves_a_slice_that_trains(world: World) -> None:
    world.script(states={ZONE: ["ACCEPTED"]})
    with world.running(*CREATE, "quickstart") as watcher:
        world.wait_for(world.fake / "slices" / f"{ZONE}.json")
        os.killpg(watcher.pid, signal.SIGINT)
        said, _ = watcher.communicate(timeout=20)
    assert watcher.returncode == 130
    assert "kobert needs this machine no more" in said
    assert "nothing trains yet" not in said


def test_a_request_that_fails_soon_gives_way_to_the_next_zone(world: World) -> None:
    world.script(states={ZONE: ["ACCEPTED", "ACCEPTED", "FAILED"], "us-central1-b": ["PROVISIONING"]}, failed="Quota")
    said = world.run(*CREATE, "--zone", "us-central1-b", "quickstart")
    assert said.code == 0, said.error
    assert f"kobert failed in {ZONE}: Quota" in said.error
    assert world.booked() == ["us-central1-b"]
    assert "ZONE=us-central1-b" in (world.fake / "start-up.sh").read_text()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((*CREATE[:7], "quickstart"), "--unattended needs --store gs://BUCKET/FOLDER"),
        (
            (*CREATE, "--create-flag=--metadata-from-file=startup-script=x", "quickstart"),
            "--create-flag=--metadata-from",
        ),
        (("--hosts", "{hosts}", "--unattended", "--store", STORE, "quickstart"), "--unattended goes with --create"),
        ((*CREATE, "quickstart", "--training.nonsense", "1"), "--training.nonsense: no such flag"),
    ],
)
def test_what_cannot_go_without_a_watcher_is_refused(world: World, arguments: tuple[str, ...], sentence: str) -> None:
    hosts = world.hosts(1)
    said = world.run(*(argument.format(hosts=hosts) for argument in arguments))
    assert said.sentence(2).startswith(sentence)
    assert world.booked() == []


def test_a_recipe_with_wandb_is_refused_for_its_key_cannot_travel(world: World) -> None:
    (world.fake / "needs").write_text("wandb\n")
    said = world.run(*CREATE, "quickstart", WANDB_API_KEY="secret")
    assert said.sentence(2).startswith("training.wandb_project is set, and --unattended sends no key")
    assert world.booked() == []


def test_a_slice_that_is_booked_the_other_way_or_at_another_job_is_not_taken_over(world: World) -> None:
    assert world.run(*CREATE, "quickstart").code == 0
    watched = tuple(word for word in CREATE if word != "--unattended")
    assert world.run(*watched, "quickstart").sentence(2).startswith("kobert is booked already, with --unattended")
    assert (
        world.run(*CREATE, "quickstart", "--training.max-steps", "9").sentence(2).startswith("kobert is at another job")
    )
    assert world.run(*CREATE, "quickstart").code == 0, "the same again changes nothing"
    assert len([call for call in world.calls() if '"create"' in call]) == 1


def test_a_dry_run_shows_the_start_up_script(world: World) -> None:
    said = world.run(*CREATE, "--dry-run", "quickstart")
    assert said.code == 0, said.error
    assert f"+ gcloud storage cp code.tar.gz {STORE}/.launch/kobert/code.tar.gz" in said.out
    assert "--metadata-from-file=startup-script=runs/.launch/kobert/start-up.sh" in said.out
    assert "bash pretrain/launch/unattended.sh quickstart" in said.error
    assert "on_host.sh" not in said.out
    assert world.booked() == []


def test_the_start_up_script_is_a_shell_file_of_root(world: World) -> None:
    assert world.run(*CREATE, "quickstart").code == 0
    script = world.home / "runs" / ".launch" / "kobert" / "start-up.sh"
    assert script.read_text().startswith("#!/usr/bin/env bash\n")
    assert not script.stat().st_mode & stat.S_IWOTH
