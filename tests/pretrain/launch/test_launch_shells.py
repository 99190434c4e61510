"""The launcher on other people's machines: a Mac's bash 3.2, and tools that are few and small."""

import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from launch_world import FAKES, ROOT, World

ON_HOSTS = (
    "on_host.sh",
    "unattended.sh",
    "host_status.sh",
    "stop_on_host.sh",
    "store.sh",
    "sync.sh",
)  # Linux, with GNU's tools
NEWER_THAN_3_2 = {
    "4.0: case inside $()": r"\$\([^()]*\bcase\b",
    "4.0: associative arrays": r"(declare|local|typeset) -\w*A",
    "4.0: mapfile": r"\b(mapfile|readarray)\b",
    "4.0: change of case": r"\$\{\w+(\[[^]]*\])?(\^|,)",
    "4.0: both outputs at once": r"&>>|\|&",
    "4.0: falling through case": r";;?&",
    "4.0: coprocesses": r"^\s*coproc\b",
    "4.0: BASHPID": r"\bBASHPID\b",
    "4.0: **": r"globstar",
    "4.0: fractions of a timeout": r"read -t \d*\.\d",
    "4.1: file descriptors by name": r"exec \{\w+\}",
    "4.1: printf -v to an element": r"printf -v '?\w+\[",
    "4.2: -v": r"\[\[? -v ",
    "4.2: time by printf": r"printf .*%\(",
    "4.2: the last element": r"\$\{\w+\[-\d+\]\}",
    "4.2: the last of a pipe in this shell": r"lastpipe",
    "4.3: references": r"(declare|local|typeset) -\w*n\b",
    "4.3: any child": r"wait -n",
    "4.4: transformations": r"\$\{\w+(\[[^]]*\])?@[A-Za-z]\}",
    "5.0: EPOCHSECONDS": r"\bEPOCH(SECONDS|REALTIME)\b",
}
NEVER_EMPTY = {"SSH_OPTIONS", "CODE_FOLDERS", "CODE_FILES", "FIELDS", "LISTS", "pip", "flags", "@", "zones", "wanted"}
"""Arrays that hold something wherever they are read; for others `"${x[@]}"` is an error under set -u before bash 4.4."""

TOOLS = (
    *(
        "awk",
        "basename",
        "cat",
        "cksum",
        "cp",
        "cut",
        "date",
        "df",
        "dirname",
        "du",
        "env",
        "find",
        "grep",
        "gzip",
        "head",
        "ls",
    ),
    *(
        "mkdir",
        "mktemp",
        "mv",
        "rm",
        "sed",
        "seq",
        "sleep",
        "sort",
        "tail",
        "tar",
        "touch",
        "tr",
        "uname",
        "wc",
        "xargs",
    ),
)


def launcher_files() -> list[Path]:
    parts = (ROOT / "pretrain" / "launch").glob("*.sh")
    return [ROOT / "run_tpu.sh", *(path for path in parts if path.name not in ON_HOSTS)]


@pytest.mark.parametrize("what", NEWER_THAN_3_2)
def test_the_launcher_uses_nothing_that_bash_3_2_lacks(what: str) -> None:
    found = [
        f"{path.name}: {line}"
        for path in launcher_files()
        for line in path.read_text().splitlines()
        if re.search(NEWER_THAN_3_2[what], re.sub(r"(^|\s)#.*", "", line))
    ]
    assert found == []


def test_arrays_that_may_be_empty_are_read_as_bash_3_2_can() -> None:
    plain = re.compile(r'(?<!\+)"\$\{(\w+|@)\[@\]}"')
    found = {name for path in launcher_files() for name in plain.findall(path.read_text())}
    assert found <= NEVER_EMPTY, found - NEVER_EMPTY


def test_a_slice_is_made_and_deleted_with_small_tools_and_without_timeout(world: World, tmp_path: Path) -> None:
    """busybox's tools where it is installed, else this machine's; neither perl nor timeout nor git. tar must know -T, as a Mac's does."""
    small = tmp_path / "small"
    small.mkdir()
    busybox = shutil.which("busybox")
    for name in TOOLS:
        (small / name).symlink_to(busybox if busybox and name != "tar" else str(shutil.which(name)))
    (small / "bash").symlink_to(str(shutil.which("bash")))
    (small / "python3").symlink_to(sys.executable)
    said = world.run(
        *("--create", "kobert", "--type", "v3-8", "--zone", "us-central1-a", "--delete-when-done", "quickstart"),
        PATH=f"{FAKES}:{small}",
        HOST_PATH=os.environ["PATH"],
        DELETE_SECONDS="5",
    )
    assert said.code == 0, said.error
    assert "step 3: loss" in said.out
    assert "not found" not in said.error
    assert (world.home / "runs" / "quickstart" / "export" / "model.safetensors").exists()
    assert world.booked() == []
