"""Objects of Cloud Storage buckets (`gs://BUCKET/NAME`): whole files, and commits of which exactly one wins."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from data_pipeline.contract.errors import WorkError
from data_pipeline.contract.packages import needed

PURPOSE = ("the work on gs://", "gcs")


@dataclass(frozen=True)
class Version:
    """What an object held when it was read, and the number that Cloud Storage gives to each new content."""

    content: bytes
    generation: int


def is_bucket(path: str) -> bool:
    """Whether a path leads into a bucket."""
    return path.startswith("gs://") and path.removeprefix("gs://").strip("/") != ""


def read_object(url: str) -> Version | None:
    """The newest version of an object; None where there is none."""
    missing = needed("google.api_core.exceptions", *PURPOSE).NotFound
    with _troubles(url):
        blob = _blob(url)
        try:
            content = blob.download_as_bytes()  # and notes the generation that it read
        except missing:
            return None
        return Version(content, int(blob.generation))


def commit_object(url: str, content: bytes, replaces: Version | None = None) -> bytes:
    """Writes an object if nobody else has since it was looked at; returns what stands there now, the winner's content.

    - `replaces`: the version that `read_object` found; None where there was none.
    """
    refused = needed("google.api_core.exceptions", *PURPOSE).PreconditionFailed
    while True:
        with _troubles(url):
            try:
                generation = replaces.generation if replaces else 0
                _blob(url).upload_from_string(content, if_generation_match=generation)
                return content
            except refused:
                # Or the answer to our own first request was lost, and this was its repetition: then this is ours.
                found = read_object(url)
        if found is not None and found != replaces:
            return found.content
        replaces = found  # it was deleted meanwhile: once more


def upload(path: Path, url: str) -> None:
    """Copies a file into a bucket, whole or not at all."""
    with _troubles(url):
        _blob(url).upload_from_filename(str(path))


def download(url: str, path: Path) -> None:
    """Copies an object into a file. Raises WorkError, also where it vanished."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _troubles(url):
        _blob(url).download_to_filename(str(path))


def delete(url: str) -> None:
    """Removes an object; none is no error."""
    missing = needed("google.api_core.exceptions", *PURPOSE).NotFound
    with _troubles(url):
        try:
            _blob(url).delete()
        except missing:
            return


def _blob(url: str) -> Any:
    bucket, _, name = url.removeprefix("gs://").partition("/")
    return client().bucket(bucket).blob(name)


@cache
def client() -> Any:
    """This process's connection; STORAGE_EMULATOR_HOST leads it to another server."""
    return needed("google.cloud.storage", *PURPOSE).Client()


@contextmanager
def _troubles(url: str) -> Iterator[None]:
    """Says in a sentence what the network, the permissions or the bucket refuse."""
    api = needed("google.api_core.exceptions", *PURPOSE)
    auth = needed("google.auth.exceptions", *PURPOSE)
    network = needed("requests.exceptions", *PURPOSE)
    try:
        yield
    except (api.GoogleAPIError, auth.GoogleAuthError, network.RequestException) as error:
        raise WorkError(
            f"{url}: Cloud Storage refuses or does not answer ({' '.join(str(error).split())[:300]}); see to the bucket, the "
            "permissions (gcloud auth application-default login) and the network, and run the same command again"
        ) from None
