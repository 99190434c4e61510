"""What is booked is never forgotten, never booked twice, and told with the way to end it on every way out."""

import json
import os
import signal
from collections.abc import Mapping

import pytest
from launch_world import STORE, World

A, B = "us-central1-a", "us-central1-b"
V3 = ("--type", "v3-8", "--zone", A)
CREATE = ("--create", "kobert", *V3)
BOTH = (*CREATE, "--zone", B)
WAITING: Mapping[str, object] = {"states": {A: ["WAITING_FOR_RESOURCES"]}}


def creations(world: World) -> list[str]:
    return [call for call in world.calls() if '"create"' in call]


def test_a_slice_deleted_from_another_shell_stays_deleted(world: World) -> None:
    world.script(**WAITING)
    with world.running(*CREATE, "quickstart") as watcher:
        world.wait_for(world.fake / "slices" / f"{A}.json")
        deleted = world.run("--delete", "kobert", "--discard")
        assert "nothing is booked under kobert" in deleted.error
        said, _ = watcher.communicate(timeout=20)
    assert watcher.returncode == 1
    assert "error: kobert was deleted or launched anew from another shell; this one ends" in said
    assert len(creations(world)) == 1
    assert world.booked() == []


@pytest.mark.parametrize("deleting", [0, 1000], ids=["gone", "going"])
def test_a_slice_deleted_in_the_console_is_no_preemption(world: World, deleting: int) -> None:
    world.script()
    world.steps(200)
    path = world.fake / "slices" / f"{A}.json"
    with world.running(*CREATE, "quickstart") as watcher:
        world.wait_for(world.worker(0) / "runs" / "quickstart" / "checkpoints" / "00000001")
        world.close()
        if deleting:
            path.write_text(json.dumps({**json.loads(path.read_text()), "deleting": deleting}))
        else:
            path.unlink()
        (world.fake / "node_state").write_text("DELETING")
        said, _ = watcher.communicate(timeout=20)
    assert watcher.returncode == 1
    assert f"error: kobert in {A} was deleted, not preempted: nothing is asked for again" in said
    assert len(creations(world)) == 1


def test_a_preempted_node_is_asked_for_again_although_its_request_says_active(world: World) -> None:
    world.steps(4)
    (world.fake / "on_train").write_text(
        'if [ "$step" = 2 ] && [ ! -e "$FAKE/once" ]; then touch "$FAKE/once"; printf PREEMPTED >"$FAKE/node_state"; sleep 60; fi'
    )
    said = world.run(*CREATE, "--spot", "--store", STORE, "quickstart")
    assert said.code == 0, said.error
    assert "== kobert was preempted (PREEMPTED): asking for it again" in said.error
    assert len(creations(world)) == 2
    assert "step 4: loss" in said.out


def test_a_watcher_killed_between_two_requests_is_followed_by_attach(world: World) -> None:
    world.script(refuse={A: "no capacity", B: "no capacity"})
    assert world.run(*BOTH, "quickstart").code == 1
    world.script(silent=[0])
    assert "does not answer ssh" in world.run("--attach", "kobert", HOST_SECONDS="0").sentence(1)
    assert world.booked() == [B]


def test_a_zone_that_does_not_let_go_is_remembered_and_deleted_with_the_rest(world: World) -> None:
    world.script(**WAITING, stuck=[A], silent=[0])
    said = world.run(*BOTH, "--wait", "0", "quickstart", DELETE_SECONDS="0", HOST_SECONDS="0")
    assert "does not answer ssh" in said.sentence(1)
    assert f"warning: kobert in {A} is not gone after 0 s (WAITING_FOR_RESOURCES); it stays booked" in said.error
    assert f"kobert (v3-8) in {A}, {B} stays booked and is billed" in said.error
    deleted = world.run("--delete", "kobert", "--discard", DELETE_SECONDS="0")
    assert deleted.sentence(1) == f"kobert: not gone in {A}; run --delete kobert again"
    world.script()
    assert "nothing is booked under kobert" in world.run("--delete", "kobert", "--discard").error
    assert world.booked() == []


def test_a_deletion_that_takes_time_is_waited_for(world: World) -> None:
    world.script(**WAITING, deleting=3, refuse={B: "no capacity"})
    said = world.run(*BOTH, "--wait", "0", "quickstart")
    assert said.sentence(1).startswith("no zone gives a v3-8")
    assert world.booked() == []
    assert "to end the bill" not in said.error


def test_ctrl_c_while_waiting_says_what_stays(world: World) -> None:
    world.script(**WAITING)
    with world.running(*CREATE, "--spot", "--store", STORE, "--wait", "60", "quickstart") as watcher:
        world.wait_for(world.fake / "slices" / f"{A}.json")
        os.killpg(watcher.pid, signal.SIGINT)  # as a terminal does: to all in the foreground
        said, _ = watcher.communicate(timeout=20)
    assert watcher.returncode == 130
    assert (
        f"nothing trains yet: the request for kobert (v3-8, spot) in {A} stays, is billed from when it is granted"
        in said
    )
    assert "lapses 60 minutes after it was made" in said
    assert "to end the bill: ./run_tpu.sh --delete kobert\n" in said
    assert "--valid-until-duration=60m" in creations(world)[0]


def test_ctrl_c_while_training_says_that_the_run_goes_on_and_is_billed(world: World) -> None:
    world.script()
    world.steps(200)
    with world.running(*CREATE, "quickstart") as watcher:
        world.wait_for(world.worker(0) / "runs" / "quickstart" / "checkpoints" / "00000002")
        os.killpg(watcher.pid, signal.SIGINT)  # as a terminal does: to all in the foreground
        said, _ = watcher.communicate(timeout=20)
    assert "the run goes on without you: ./run_tpu.sh --attach kobert" in said
    assert f"kobert (v3-8) in {A} stays booked and is billed" in said
    assert "to end the bill: ./run_tpu.sh --delete kobert, after --fetch kobert or with --discard" in said


def test_ctrl_c_while_shipping_says_that_nothing_trains_yet(world: World) -> None:
    world.script(hang_scp=True)
    with world.running(*CREATE, "quickstart") as watcher:
        world.wait_for(world.fake / "scp")
        os.killpg(watcher.pid, signal.SIGINT)
        said, _ = watcher.communicate(timeout=20)
    assert watcher.returncode == 130
    assert f"nothing trains yet: kobert (v3-8) in {A} stays booked and is billed" in said
    assert "to end the bill: ./run_tpu.sh --delete kobert" in said


def test_a_zone_that_gives_nothing_in_time_ends_the_wait_and_the_request(world: World) -> None:
    world.script(**WAITING)
    said = world.run(*CREATE, "--wait", "0", "quickstart")
    assert said.sentence(1).startswith(f"no zone gives a v3-8 ({A}; reasons above)")
    assert f"{A} gave nothing within 0 minutes" in said.error
    assert world.booked() == []
    assert "booked" not in said.error.split("reasons above")[1]


@pytest.mark.parametrize("flag", [(), ("--delete-on-failure",)], ids=["kept", "deleted"])
def test_a_failure_says_what_it_leaves_booked(world: World, flag: tuple[str, ...]) -> None:
    world.script()
    (world.fake / "on_train").write_text("echo 'error: the loss is not a number' >&2; exit 1")
    said = world.run(*CREATE, *flag, "quickstart")
    assert "exit code 1 in train; fix it and run the same command again" in said.sentence(1)
    assert world.booked() == ([] if flag else [A])
    assert (f"kobert (v3-8) in {A} stays booked and is billed" in said.error) == (not flag)
    assert (world.home / "runs" / "quickstart" / "examples").exists() == bool(flag), "brought here before it is deleted"


def test_a_run_that_was_not_brought_here_is_not_deleted_on_failure(world: World) -> None:
    world.script(silent=[0])
    said = world.run(*CREATE, "--delete-on-failure", "quickstart", HOST_SECONDS="1")
    assert said.code == 1
    assert f"kobert (v3-8) in {A} stays booked and is billed" in said.error
    assert world.booked() == [A]


def test_the_reason_of_a_failed_request_is_shown_before_it_is_deleted(world: World) -> None:
    world.script(
        states={A: ["FAILED"]},
        failed="Quota limit 'TPUV3sPreemptible' has been exceeded. Limit: 0 in region us-central1.",
    )
    said = world.run(*CREATE, "quickstart")
    assert f"kobert failed in {A}: Quota limit 'TPUV3sPreemptible' has been exceeded. Limit: 0" in said.error
    assert world.booked() == []


@pytest.mark.parametrize("error", ["INTERNAL: an internal error has occurred", "gcloud crashed (ConnectionError)"])
def test_a_request_that_was_taken_although_an_error_was_told_is_found(world: World, error: str) -> None:
    world.script(states={A: ["WAITING_FOR_RESOURCES"], B: ["WAITING_FOR_RESOURCES"]}, lost=error)
    said = world.run(*BOTH, "--wait", "0", "quickstart", DELETE_SECONDS="0")
    assert said.code == 1
    assert len(creations(world)) == 2, "one in each zone"
    assert f"{A} gave nothing within 0 minutes" in said.error
    assert world.booked() == []


def test_an_api_that_is_off_ends_it_at_once_with_the_command_that_turns_it_on(world: World) -> None:
    world.script(
        refuse={A: "PERMISSION_DENIED: Cloud TPU API has not been used in project 7 before or it is disabled."}
    )
    said = world.run(*BOTH, "quickstart")
    assert "Cloud TPU API has not been used in project 7 before or it is disabled" in said.sentence(1)
    assert "gcloud services enable tpu.googleapis.com compute.googleapis.com" in said.sentence(1)
    assert len(creations(world)) == 1
    assert "to end the bill" not in said.error, "nothing is booked"


def test_a_second_create_joins_the_slice_in_the_zone_that_gave_it(world: World) -> None:
    for refuse in ({A: "no capacity"}, {}):
        world.script(refuse=refuse, silent=[0])
        assert "does not answer ssh" in world.run(*BOTH, "quickstart", HOST_SECONDS="0").sentence(1)
    assert world.booked() == [B], "not one more in the first zone"
    other = world.run("--create", "kobert", "--type", "v5e-8", "--zone", A, "quickstart")
    assert other.sentence(2) == f"kobert is booked already: a v3-8 in {B}; --delete kobert first, or take another name"


def test_a_slice_of_somebody_else_is_not_taken(world: World) -> None:
    world.script()
    (world.fake / "slices").mkdir()
    (world.fake / "slices" / f"{A}.json").write_text(json.dumps({"looks": 0, "type": "v3-8", "labels": ""}))
    said = world.run(*CREATE, "quickstart")
    assert said.sentence(2).startswith(f"kobert in {A} was booked by somebody else, or from another folder than")
    assert not any("ssh" in call for call in world.calls())


def test_a_list_has_all_that_the_launcher_booked_with_age_and_price(world: World) -> None:
    world.script(**WAITING)
    with world.running(*CREATE, "--spot", "--store", STORE, "quickstart"):
        world.wait_for(world.fake / "slices" / f"{A}.json")
    said = world.run("--list")
    assert said.code == 0, said.error
    assert said.out.startswith(f"kobert  {A}  v3-8  ACTIVE  spot  booked ")
    assert said.out.endswith(" ago\n")
    assert said.out.count("\n") == 1, "slices of others are theirs"


def test_nobody_signed_in_fails_at_once(world: World) -> None:
    world.script(signed_out=True)
    said = world.run(*CREATE, "quickstart")
    assert said.sentence(1).startswith(
        "gcloud is not logged in (ERROR: (gcloud.x) You do not currently have an active account"
    )
    assert len(world.calls()) == 1


def test_without_a_network_nothing_is_claimed(world: World) -> None:
    world.script(**WAITING)
    with world.running(*CREATE, "quickstart"):
        world.wait_for(world.fake / "slices" / f"{A}.json")
    world.script(offline=True)
    said = world.run("--status", "kobert")
    assert "gcloud does not tell the state of kobert (ERROR: gcloud crashed (ConnectionError)" in said.sentence(1)
    assert "nothing is deleted" in world.run("--delete", "kobert").sentence(1)
    assert world.run("--list").sentence(1) == "what is booked cannot be listed (above)"
    assert world.booked() == [A]


def test_a_run_that_does_not_reach_the_store_is_not_deleted_when_done(world: World) -> None:
    world.script()
    (world.fake / "on_train").write_text("""echo '{"no_rsync": true}' >"$FAKE/script.json\"""")
    said = world.run(*CREATE, "--store", STORE, "--delete-when-done", "quickstart")
    assert "exit code 1 in done; fix it and run the same command again" in said.sentence(1)
    assert f"error: {STORE}/quickstart was not brought up to date" in said.out
    assert world.booked() == [A], "its disk has what the store lacks"
