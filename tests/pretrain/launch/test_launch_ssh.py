"""The launcher's connections: bounded, never asking, silent about themselves; what goes over them, and how it lies there."""

import re
import stat

import pytest
from launch_world import ROOT, STORE, World, shell

CREATE = ("--create", "kobert", "--type", "v3-8", "--zone", "us-central1-a")
OPTIONS = ("-oBatchMode=yes", "-oServerAliveInterval=15", "-oStrictHostKeyChecking=accept-new")


@pytest.fixture
def refusing(world: World) -> World:
    """A run that ends when it begins to train: enough for what goes before."""
    (world.fake / "on_train").write_text("echo 'error: no' >&2; exit 1")
    return world


def test_flags_reach_gcloud_and_are_remembered_and_its_chatter_is_left_out(refusing: World) -> None:
    flags = ("--create-flag=--network=lab", "--create-flag", "--labels=team=nlp", "--ssh-flag=--tunnel-through-iap")
    said = refusing.run(*CREATE, *flags, "quickstart")
    assert said.code == 1
    create = next(call for call in refusing.calls() if '"create"' in call)
    assert '"--network=lab"' in create
    assert '"--labels=korean_pretrain=kobert,team=nlp,korean_pretrain_price=on-demand"' in create
    assert "Attempting" not in said.out + said.error
    assert "SSH" not in said.out + said.error
    refusing.run("--attach", "kobert")
    ssh = [call for call in refusing.calls() if '"ssh"' in call]
    assert all('"--tunnel-through-iap"' in call for call in ssh)
    for option in OPTIONS:
        assert all(f'"--ssh-flag={option}"' in call for call in ssh)
        assert all(f'"--scp-flag={option}"' in call for call in refusing.calls() if '"scp"' in call)


def test_ssh_that_is_refused_fails_at_once(world: World) -> None:
    (world.fake / "refuse_ssh").touch()
    said = world.run("--hosts", world.hosts(1), "--ssh-flag=-iKEY", "quickstart", HOST_SECONDS="60")
    assert said.sentence(1).startswith(
        "worker 0 of 1 (tpu@10.0.0.1): ssh is refused (tpu@10.0.0.1: Permission denied (publickey).)"
    )
    (call,) = world.calls()
    assert call.startswith("ssh -iKEY -oBatchMode=yes -oConnectTimeout=20 ")
    assert all(option in call for option in OPTIONS)


def test_ssh_that_hangs_is_ended_with_all_that_it_started(world: World) -> None:
    (world.fake / "hang_ssh").touch()
    said = world.run("--hosts", world.hosts(1), "quickstart", HOST_SECONDS="1", SSH_SECONDS="1")
    assert said.sentence(1).startswith("worker 0 of 1 (tpu@10.0.0.1) does not answer ssh within 1 s")


def test_keys_go_over_stdin_into_a_file_of_their_owner(refusing: World) -> None:
    refusing.venv()
    (refusing.fake / "needs").write_text("wandb\n")
    asked = refusing.run(*CREATE, "--no-plan", "quickstart", WANDB_API_KEY="")
    assert asked.sentence(2).startswith(
        "--training.wandb-project is set, but WANDB_API_KEY is not: set it in this shell"
    )
    (refusing.fake / "on_train").write_text('echo "has $WANDB_API_KEY" >"$FAKE/seen"; echo "error: no" >&2; exit 1')
    said = refusing.run(*CREATE, "--no-plan", "quickstart", WANDB_API_KEY="se'cret")
    assert said.code == 1
    assert not (refusing.worker(0) / ".keys").exists(), "read and removed"
    assert (refusing.fake / "seen").read_text() == "has se'cret\n", "the training has it"
    assert "cret" not in said.out + said.error + "".join(refusing.calls()) + refusing.logs()
    remembered = refusing.home / "runs" / ".launch" / "kobert"
    assert not any("cret" in path.read_text() for path in remembered.iterdir())
    assert "--editable" in (refusing.fake / "python_calls").read_text()
    assert "[wandb]" in (refusing.fake / "python_calls").read_text(), "its extra is installed"


def test_keys_lie_where_their_owner_alone_reads_them(world: World) -> None:
    (world.home / "korean-pretrain").mkdir()
    (world.home / "korean-pretrain" / ".keys").touch(0o644)
    script = f'source {ROOT}/pretrain/launch/hosts.sh; host_feed() {{ bash -c "$2"; }}; send_keys_to_one 0'
    said = shell(world, script, HF_TOKEN="a b'c", HOME=str(world.home))
    assert said.code == 0, said.error
    keys = world.home / "korean-pretrain" / ".keys"
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    assert keys.read_text() == "HF_TOKEN='a b'\\''c'\n"


def test_a_file_deleted_here_disappears_there_and_status_speaks_of_this_run(refusing: World) -> None:
    old = refusing.checkout / "pretrain" / "old.py"
    old.touch()
    assert refusing.run(*CREATE, "quickstart").code == 1
    other = refusing.worker(0) / "runs" / "other" / "checkpoints" / "committed.json"
    other.parent.mkdir(parents=True)
    other.write_text('{"newest_step": 999}')
    assert (refusing.worker(0) / "pretrain" / "old.py").exists()
    old.unlink()
    assert refusing.run(*CREATE, "quickstart").code == 1
    assert not (refusing.worker(0) / "pretrain" / "old.py").exists()
    assert other.exists(), "what runs have written stays"
    assert refusing.run("--status", "kobert").out.endswith("checkpoint of step 0\n")


@pytest.mark.parametrize("allowed", ["bucket_policy", "editor", ""])
def test_a_service_account_without_a_right_to_the_bucket_is_warned_of(world: World, allowed: str) -> None:
    account = "7-compute@developer.gserviceaccount.com"
    policy = account if allowed == "bucket_policy" else ""
    world.script(bucket_policy=policy, editor=allowed == "editor", refuse={"us-central1-a": "no"})
    said = world.run(*CREATE, "--store", STORE, "quickstart").error
    assert (f"warning: nothing seen allows {account}, as which the hosts write, to use gs://bucket" in said) == (
        not allowed
    )


def test_the_docs_name_every_flag() -> None:
    text = (ROOT / "docs" / "tpu.md").read_text()
    source = (ROOT / "pretrain" / "launch" / "command_line.sh").read_text()
    flags = set(re.findall(r"--[a-z-]+", source)) - {"--help"}
    assert len(flags) > 20
    assert {flag for flag in flags if flag not in text} == set()
