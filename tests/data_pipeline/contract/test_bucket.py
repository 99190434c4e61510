"""Of any number of commits of one object exactly one wins, and all see the same winner."""

import threading
from pathlib import Path

import pytest
from remote_servers import Bucket

from data_pipeline.contract.bucket import Version, commit_object, delete, download, read_object, upload
from data_pipeline.contract.errors import WorkError

pytest.importorskip("google.cloud.storage", reason="the extra [gcs] is not installed")
DONE = "gs://bucket/run/done/one.json"


def test_a_commit_is_read_back(bucket: Bucket) -> None:
    assert read_object(DONE) is None
    assert commit_object(DONE, b"first") == b"first"
    found = read_object(DONE)
    assert found is not None
    assert found.content == b"first"
    assert commit_object(DONE, b"second", replaces=found) == b"second"


def test_the_second_committer_takes_the_winners(bucket: Bucket) -> None:
    before = commit_object(DONE, b"stale") and read_object(DONE)
    assert commit_object(DONE, b"winner", replaces=before) == b"winner"
    assert commit_object(DONE, b"loser", replaces=before) == b"winner"
    assert commit_object(DONE, b"who saw nothing") == b"winner"
    assert bucket.objects["run/done/one.json"][1] == b"winner"


def test_of_many_at_once_one_wins(bucket: Bucket) -> None:
    seen: list[bytes] = []
    barrier = threading.Barrier(8)

    def commit(number: int) -> None:
        barrier.wait()
        seen.append(commit_object(DONE, f"attempt {number}".encode()))

    threads = [threading.Thread(target=commit, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    assert set(seen) == {bucket.objects["run/done/one.json"][1]}


def test_what_was_deleted_meanwhile_is_written(bucket: Bucket) -> None:
    commit_object(DONE, b"stale")
    before = read_object(DONE)
    delete(DONE)
    delete(DONE)
    assert commit_object(DONE, b"new", replaces=before) == b"new"


def test_files_go_and_come_whole(bucket: Bucket, tmp_path: Path) -> None:
    content = bytes(range(256)) * 100
    (tmp_path / "file").write_bytes(content)
    upload(tmp_path / "file", "gs://bucket/run/data/a/part.zst")
    download("gs://bucket/run/data/a/part.zst", tmp_path / "new" / "copy")
    assert (tmp_path / "new" / "copy").read_bytes() == content
    with pytest.raises(WorkError, match=r"gs://bucket/absent: Cloud Storage refuses or does not answer \(404"):
        download("gs://bucket/absent", tmp_path / "absent")
    assert read_object("gs://bucket/run/data/a/part.zst") == Version(content, bucket.objects["run/data/a/part.zst"][0])
