"""Official files from the web, where nobody says with --data where they are."""

import logging
import os
import shutil
import urllib.request
from http.client import HTTPException
from pathlib import Path

from data_pipeline.contract.errors import InputError, machine_errors_at
from pretrain.evaluate.tasks.task import Split, Task

log = logging.getLogger("pretrain")
TIMEOUT_SECONDS = 30.0


def fetched_folder(task: Task) -> Path:
    """Where this user's cache keeps the files of a task."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "korean-pretrain" / "tasks" / task.name


def fetch_file(task: Task, split: Split) -> Path:
    """The official file of a split in `fetched_folder`, fetched from `task.url` where it is not there yet.

    Raises InputError saying where to get the file, where no address is known or it cannot be fetched.
    """
    name = task.files[split][0]
    path = fetched_folder(task) / name
    if path.is_file():
        return path
    get_it = f"get it from {task.source or 'where its description says'}, and say with --data in which folder it is"
    if not task.url:
        raise InputError(f"{name} of {task.title} is not in data/, and is not fetched by itself; {get_it}")
    url = f"{task.url}/{name}"
    log.info("%s: fetching it to %s", url, path)
    with machine_errors_at(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Another process of this machine may fetch the same.
        part = path.with_name(f".{name}.{os.getpid()}.part")
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer, part.open("wb") as file:
            shutil.copyfileobj(answer, file)
            said = answer.headers.get("Content-Length")
        size = part.stat().st_size
        if said is not None and size != int(said):
            raise OSError(f"{size:,} of {int(said):,} bytes came")
        part.replace(path)
    except (OSError, HTTPException, ValueError) as error:
        part.unlink(missing_ok=True)
        raise InputError(f"{name} of {task.title} could not be fetched from {url} ({error}); {get_it}") from None
    return path
