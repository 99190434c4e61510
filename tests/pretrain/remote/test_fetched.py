"""A run in a bucket: what is needed of it comes to this machine, verified, and is exported and started from as it would be there."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest
from tiny_run import TINY, changed, write_records

from data_pipeline.contract.errors import InputError, WorkError
from data_pipeline.contract.run_folder import RunFolder
from pretrain.checkpoints.store import CheckpointStore
from pretrain.checkpoints.verify import list_steps, step_folder
from pretrain.commands import export as export_command
from pretrain.remote.fetched import fetch_each, fetch_evaluations, fetch_run
from pretrain.subject import load_subject
from pretrain.train import train

URL = "memory://bucket/runs/tiny"


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run with records and checkpoints of steps 2, 4 and 6, which hold bytes in place of arrays."""
    run = RunFolder(tmp_path / "tiny")
    write_records(run.examples)
    run.record("train", {"step": 6})
    for step in (2, 4, 6):
        folder = step_folder(run.checkpoints, step)
        (folder / "params").mkdir(parents=True)
        (folder / "params" / "array").write_bytes(bytes([step]) * 1000)
        CheckpointStore(run.checkpoints, keep=3)._write_manifest(step, {})
    return run


@pytest.fixture
def bucket(run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[fsspec.AbstractFileSystem]:
    """The run in a bucket of this process' memory; this user's cache is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    filesystem = fsspec.filesystem("memory")
    filesystem.put(str(run.path), "/bucket/runs/tiny", recursive=True)
    yield filesystem
    filesystem.rm("/bucket", recursive=True)


@pytest.mark.slow
def test_an_export_of_a_bucket_is_the_export_of_the_folder(
    bucket: fsspec.AbstractFileSystem, new_run: Callable[..., RunFolder], tmp_path: Path
) -> None:
    trained = new_run("trained")
    train(trained, "tiny", TINY)
    bucket.put(str(trained.path), "/bucket/runs/trained", recursive=True)
    export_command.run([str(trained.path), "--step", "4", "--to", str(tmp_path / "there")])
    export_command.run(["memory://bucket/runs/trained", "--step", "4"])
    for name in ("model.safetensors", "config.json", "vocab.txt", "tokenizer.json"):
        here = tmp_path / "runs" / "trained" / "export" / name
        assert here.read_bytes() == (tmp_path / "there" / name).read_bytes()
    places = ("memory://bucket/runs/trained", trained.path, tmp_path / "runs" / "trained" / "export")
    subjects = [load_subject(place, step=4 if place is not places[2] else None) for place in places]
    for subject in subjects[1:]:
        assert (subject.fine_tuning_config, subject.heads) == (subjects[0].fine_tuning_config, subjects[0].heads)
        assert subject.tensors.keys() == subjects[0].tensors.keys()
        assert all((tensor == subjects[0].tensors[name]).all() for name, tensor in subject.tensors.items())
    begun = new_run("begun")
    train(begun, "tiny", changed(TINY, start_from=(places[0],), stop_at_step=1))
    assert list_steps(begun.checkpoints) == [1]


def test_only_what_an_export_reads_is_fetched_and_only_once(
    bucket: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.pipe("/bucket/runs/tiny/corpus/large", b"text")
    further = "examples/512/korean_records-evaluation.array_record-00000-of-00001"
    bucket.pipe(f"/bucket/runs/tiny/{further}", b"rows")
    fetched: list[str] = []
    get_file = type(bucket).get_file

    def counted(self: fsspec.AbstractFileSystem, remote: str, local: str) -> None:
        fetched.append(remote.rpartition("runs/tiny/")[2])
        get_file(self, remote, local)

    monkeypatch.setattr(type(bucket), "get_file", counted)
    folder = fetch_run(URL, None)
    assert list_steps(folder.checkpoints) == [6]
    assert not any(name.startswith(("corpus/", "checkpoints/00000004/")) for name in fetched)
    assert not any("-train." in name for name in fetched), "the proof reads held-out rows"
    assert further not in fetched, "of the main length"
    first = len(fetched)
    assert first == len(set(fetched))
    fetched.clear()
    fetch_run(URL, None)
    assert not any("/params/" in name or "array_record" in name for name in fetched)
    assert 0 < len(fetched) < first


def test_scores_come_along_without_predictions_and_models(bucket: fsspec.AbstractFileSystem) -> None:
    names = ["nsmc.json", "nsmc.md", "nsmc/outcomes.npz", "nsmc/curves.png"]
    others = ["nsmc/seed-42.npz", "nsmc/model/model.safetensors", "nsmc/model/config.json"]
    for name in (*names, *others):
        bucket.pipe(f"/bucket/runs/tiny/evaluation/{name}", name.encode())

    def there(folder: Path) -> list[str]:
        return sorted(
            str(path.relative_to(folder / "evaluation")) for path in folder.rglob("evaluation/**/*") if path.is_file()
        )

    assert there(fetch_run(URL, None).path) == sorted(names)
    bucket.rm("/bucket/runs/tiny/evaluation/nsmc.md")
    found = fetch_evaluations(URL)
    assert (found.name, there(found)) == ("tiny", sorted({*names} - {"nsmc.md"})), "what the bucket has not is removed"


def test_a_damaged_checkpoint_is_named_and_the_one_before_taken(
    bucket: fsspec.AbstractFileSystem, caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage(bucket, 6)
    with caplog.at_level(logging.WARNING):
        assert list_steps(fetch_run(URL, None).checkpoints) == [4]
    assert f"{URL}/checkpoints/00000006: skipped: " in caplog.text
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another cache"))
    damage(bucket, 4)
    damage(bucket, 2)
    with pytest.raises(WorkError, match="no checkpoint is valid"):
        fetch_run(URL, None)


def damage(bucket: fsspec.AbstractFileSystem, step: int) -> None:
    """Flips a bit of the largest file of a checkpoint."""
    files = bucket.find(f"/bucket/runs/tiny/checkpoints/{step:08d}", detail=True)
    largest = max(files, key=lambda name: files[name]["size"])
    content = bytearray(bucket.cat_file(largest))
    content[-1] ^= 1
    bucket.pipe(largest, bytes(content))


def test_what_is_no_run_is_one_sentence(bucket: fsspec.AbstractFileSystem) -> None:
    with pytest.raises(InputError, match=r"memory://bucket/runs: not a run folder \(it has no manifest.json\)"):
        fetch_run("memory://bucket/runs", None)
    with pytest.raises(InputError, match=r"--step 5: no such checkpoint in .*; there are 2, 4, 6"):
        fetch_run(URL, 5)
    with pytest.raises(InputError, match="nosuch://bucket: cannot be opened"):
        fetch_run("nosuch://bucket", None)


def test_a_network_that_fails_is_one_sentence(
    bucket: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise TimeoutError("no route to host")

    with monkeypatch.context() as patch:
        patch.setattr(type(bucket), "find", unreachable)
        with pytest.raises(WorkError, match=r"cannot be read \(TimeoutError: no route to host\); see to the address"):
            fetch_run(URL, None)


def test_each_valid_checkpoint_comes_alone_and_others_are_named(
    bucket: fsspec.AbstractFileSystem, caplog: pytest.LogCaptureFixture
) -> None:
    bucket.pipe("/bucket/runs/tiny/checkpoints/00000004/params/array", b"damaged")
    with caplog.at_level(logging.WARNING):
        found = [(step, list_steps(folder.checkpoints)) for folder, step in fetch_each(URL)]
    assert found == [(2, [2]), (6, [6])]
    assert "00000004: skipped: params/array has 7 bytes" in caplog.text


def test_a_copy_still_knows_what_was_exported_from_it(bucket: fsspec.AbstractFileSystem) -> None:
    folder = fetch_run(URL, 2)
    folder.record("export", {"folders": {"../export": {"step": 2}}})
    assert fetch_run(URL, 6).manifest()["export"]["folders"] == {"../export": {"step": 2}}


def test_a_checkpoint_that_training_removes_meanwhile_is_followed_by_the_newest_there_then(
    run: RunFolder, bucket: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The push of a run that is at work removes what it has removed, and brings what is new."""
    get_file, at_work = bucket.get_file, ["/bucket/runs/tiny/checkpoints/00000006/params/array"]

    def get_and_push(source: str, *others: object, **named: object) -> None:
        if at_work == [source]:
            at_work.clear()
            old = step_folder(run.checkpoints, 6)
            step_folder(run.checkpoints, 8).mkdir()
            (step_folder(run.checkpoints, 8) / "array").write_bytes(b"8" * 1000)
            CheckpointStore(run.checkpoints, keep=3)._write_manifest(8, {})
            bucket.rm("/bucket/runs/tiny/checkpoints", recursive=True)
            bucket.put(str(step_folder(run.checkpoints, 8)), "/bucket/runs/tiny/checkpoints/00000008", recursive=True)
            assert old.exists(), "only the bucket's is gone"
        get_file(source, *others, **named)

    monkeypatch.setattr(bucket, "get_file", get_and_push)
    assert list_steps(fetch_run(URL, None).checkpoints) == [8]
    assert "damage" not in caplog.text
    with pytest.raises(InputError, match=r"--step 6: no such checkpoint in memory://.*; there are 8"):
        fetch_run(URL, 6)
