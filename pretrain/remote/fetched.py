"""A run that lies in a bucket: what an export reads of it, fetched to this machine."""

import hashlib
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fsspec

from data_pipeline.contract.errors import InputError, WorkError, machine_errors_at
from data_pipeline.contract.run_folder import RunFolder
from pretrain.checkpoints.verify import MANIFEST, fault, step_folder

log = logging.getLogger("pretrain")
EVALUATION, OUTCOMES, CURVES = "evaluation", "outcomes.npz", "curves.png"
"""What `python -m pretrain evaluate` writes into a run, without seeds' predictions and exported models."""
SMALL = ("manifest.json", "training_recipe.json", "metrics/metrics.jsonl", "vocabulary/")


def is_url(run_dir: str) -> bool:
    """Whether a run folder is named by a URL (gs://...), not by a path."""
    return "://" in run_dir


def local_copy(url: str, purpose: str) -> RunFolder:
    """Where this user's cache keeps the copy of a run for a purpose; the folder has the run's name."""
    url = url.rstrip("/")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "korean-pretrain" / purpose
    return RunFolder(home / hashlib.sha256(url.encode()).hexdigest()[:12] / url.rpartition("/")[2])


class _Bucket:
    """A run folder on any fsspec file system, and its copy.

    - `sizes`: bytes of each file by its name below the run. - `folder`: the copy.
    """

    def __init__(self, url: str) -> None:
        try:
            self._filesystem, self._root = fsspec.core.url_to_fs(url.rstrip("/"))
        except (ImportError, ValueError) as error:
            raise InputError(
                f"{url}: cannot be opened ({error}); for gs:// run ./run_tpu.sh --install-only gcs"
            ) from None
        with _network_named(url):
            listed = self._filesystem.find(self._root, detail=True)
        self.sizes = {
            path.removeprefix(self._root).strip("/"): int(facts["size"] or 0) for path, facts in listed.items()
        }
        if "manifest.json" not in self.sizes:
            raise InputError(f"{url}: not a run folder (it has no manifest.json); name the folder of one run")
        self._url, self.folder = url, local_copy(url, "runs")

    def fetch(self, names: list[str], *, again: bool) -> None:
        """- `again`: also what is there with the same size."""
        for each in names:
            place = self.folder.path / each
            if not again and place.is_file() and place.stat().st_size == self.sizes[each]:
                continue
            with machine_errors_at(place):
                place.parent.mkdir(parents=True, exist_ok=True)
                part = place.with_name(f".{place.name}.part")
                with _network_named(self._url):
                    try:
                        self._filesystem.get_file(f"{self._root}/{each}", str(part))
                    except FileNotFoundError:
                        if each.startswith("checkpoints/"):  # training removes old ones
                            raise
                        raise WorkError(f"{self._url}/{each}: was removed while it was fetched; run again") from None
                part.replace(place)

    @property
    def finished(self) -> list[int]:
        """The steps whose checkpoint has a manifest, ascending."""
        return sorted(int(each.split("/")[1]) for each in self.sizes if _is_manifest_of_step(each))

    def fetch_all_but_checkpoints(self) -> None:
        """Manifest, vocabulary, metrics, scores and records. The copy's manifest still knows what was exported from it."""
        exported = self.folder.manifest().get("export", {})
        self.fetch_evaluations()
        small = [each for each in self.sizes if each.startswith(SMALL)]
        records = [each for each in self.sizes if each.startswith("examples/")]
        shards = [each for each in records if ".array_record" in each]
        self.fetch(small + [each for each in records if each not in shards], again=True)
        shards = [each for each in shards if each.count("/") == 1]  # of the main length; others lie in folders
        held_out = [each for each in shards if "-evaluation." in each]
        self.fetch(held_out or shards, again=False)
        if exported:
            folders = exported.get("folders", {})
            self.folder.change(
                "export", lambda last: {**last, **exported, "folders": {**last.get("folders", {}), **folders}}
            )

    def fetch_checkpoint(self, step: int) -> bool:
        """Fetches a checkpoint and removes all others; False where it is not what its manifest says, which is named, or where training
        has removed it since the bucket was listed."""
        checkpoint = step_folder(self.folder.checkpoints, step)
        inside = f"checkpoints/{checkpoint.name}/"
        log.info("%s: fetching the checkpoint of step %d", self._url, step)
        try:
            self.fetch([f"{inside}{MANIFEST}"], again=True)
            self.fetch([each for each in self.sizes if each.startswith(inside)], again=False)
        except FileNotFoundError:
            log.info("%s: training has removed the checkpoint of step %d meanwhile", self._url, step)
            shutil.rmtree(checkpoint, ignore_errors=True)
            return False
        if problem := fault(checkpoint):
            log.warning("%s/%s: skipped: %s", self._url, inside.rstrip("/"), problem)
            shutil.rmtree(checkpoint)  # a copy that went wrong must not be taken for the original
            return False
        for other in self.folder.checkpoints.iterdir():
            if other.is_dir() and other != checkpoint:
                shutil.rmtree(other)
        return True

    def fetch_evaluations(self) -> None:
        """Scores, pages and what each item says: what cards and leaderboards read. What the bucket has not is removed."""
        shutil.rmtree(self.folder.path / EVALUATION, ignore_errors=True)
        self.fetch([each for each in self.sizes if _is_evaluation(each)], again=True)


def fetch_evaluations(url: str) -> Path:
    """A copy of what a run was evaluated by, in the cache folder of `fetch_run`, without predictions and models; returns the run's folder.

    Errors as for `fetch_run`.
    """
    bucket = _Bucket(url)
    bucket.fetch_evaluations()
    return bucket.folder.path


def fetch_run(url: str, step: int | None) -> RunFolder:
    """A copy of the run with one checkpoint, whole, in a cache folder of this user; what is there already is not fetched again.

    - `url`: a run folder on any fsspec file system.
    - `step`: the checkpoint; None means the newest that is valid, others being named and skipped.

    Of the records come the held-out ones of the main length, which the proof reads, or all of it where a run has none. Raises InputError where the URL
    cannot be opened, is no run or has no such checkpoint; WorkError where it is damaged or the network does not give it.
    """
    before: list[int] | None = None
    while (bucket := _Bucket(url)).finished != before:  # again where training has saved and removed some meanwhile
        before = bucket.finished
        if step is not None and step not in before:
            there = ", ".join(map(str, before)) or "none"
            raise InputError(f"--step {step}: no such checkpoint in {url}; there are {there}")
        bucket.fetch_all_but_checkpoints()
        for candidate in [step] if step is not None else reversed(before):
            if bucket.fetch_checkpoint(candidate):
                return bucket.folder
    raise _no_checkpoint(url, before)


def fetch_each(url: str) -> Iterator[tuple[RunFolder, int]]:
    """`fetch_run` for each valid checkpoint, ascending: the copy of the run with that one alone, and its step. Others are named and
    skipped; errors as there."""
    bucket = _Bucket(url)
    bucket.fetch_all_but_checkpoints()
    valid = 0
    for step in bucket.finished:
        if bucket.fetch_checkpoint(step):
            valid += 1
            yield bucket.folder, step
    if not valid:
        raise _no_checkpoint(url, bucket.finished)


def _no_checkpoint(url: str, finished: list[int]) -> InputError | WorkError:
    if finished:
        return WorkError(f"{url}: no checkpoint is valid (above); choose another --step or restore one from a copy")
    return InputError(f"{url}: no checkpoint yet; run `python -m pretrain train` first")


def _is_evaluation(name: str) -> bool:
    folder, *inside = name.split("/")
    in_place = len(inside) == 1 or (len(inside) == 2 and inside[1] in (OUTCOMES, CURVES))
    return folder == EVALUATION and in_place


def _is_manifest_of_step(name: str) -> bool:
    parts = name.split("/")
    return len(parts) == 3 and parts[0] == "checkpoints" and parts[1].isdigit() and parts[2] == MANIFEST


@contextmanager
def _network_named(url: str) -> Iterator[None]:
    try:
        yield
    except (InputError, WorkError, FileNotFoundError):
        raise
    except Exception as error:  # each file system has its own
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the local disk's
        raise WorkError(
            f"{url}: cannot be read ({type(error).__name__}: {error}); see to the address, the network and your "
            "permissions, then run again"
        ) from None
