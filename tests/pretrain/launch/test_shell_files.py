"""Every shell file of the repository is clean to shellcheck, sourced parts included."""

import configparser
import re
import subprocess
import sys
from pathlib import Path

from launch_world import ROOT

SOURCED = "# shellcheck shell=bash"


def shell_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True, check=True
    )
    files = [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]
    return [file for file in files if first_line(file).startswith(("#!/usr/bin/env bash", SOURCED))]


def first_line(file: Path) -> str:
    with file.open("rb") as stream:
        return stream.readline(100).decode(errors="replace")


def test_shellcheck_finds_nothing_in_what_is_run_and_what_it_sources() -> None:
    programs = [
        file for file in shell_files() if not first_line(file).startswith(SOURCED) and "fakes" not in file.parts
    ]
    assert ROOT / "run_tpu.sh" in programs
    checked = subprocess.run(
        [Path(sys.executable).parent / "shellcheck", "--external-sources", "--check-sourced", *programs],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout


def test_every_sourced_part_is_named_by_a_program() -> None:
    parts = [file for file in shell_files() if first_line(file).startswith(SOURCED)]
    assert len(parts) > 5
    text = "".join(file.read_text() for file in shell_files())
    assert [part.name for part in parts if f"# shellcheck source={part.relative_to(ROOT)}" not in text] == []


def test_a_wheel_holds_the_store_that_training_in_a_bucket_runs() -> None:
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    held = [name for name in settings["options.package_data"]["pretrain"].split() if name.startswith("launch/")]
    sync = (ROOT / "pretrain" / "launch" / "sync.sh").read_text()
    sourced = re.findall(r"# shellcheck source=pretrain/(\S+)", sync)
    assert sorted(held) == sorted(["launch/sync.sh", *sourced])
