"""Machines that share nothing but a bucket do one run together, and no task of it twice."""

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from prepared_runs import done_records, results, run
from remote_servers import Bucket

from data_pipeline.contract.errors import WorkError
from data_pipeline.contract.storage import read_json
from data_pipeline.prepare.flow import Stages
from data_pipeline.recipe import DataRecipe
from data_pipeline.tasks.engines.local import LocalEngine
from data_pipeline.tasks.shard_task import Done, ShardTask, finished, run_task

MakeRecipe = Callable[..., DataRecipe]
FOLDER = "gs://bucket/runs/tiny"


@pytest.fixture(scope="module")
def recipe(corpus: Path, tiny_recipe: MakeRecipe) -> DataRecipe:
    return tiny_recipe(corpus / "part-*.jsonl")


def task(machine: Path, text: str = "안녕", *inputs: Done) -> ShardTask:
    """A task on a machine whose run folder is `machine`; with inputs, one of the next stage."""
    files = tuple(output for done in inputs for output in done.outputs.values())
    parameters = {"text": text, "calls": str(machine.parent / "calls")}
    stage = "second" if inputs else "first"
    operation = "shard_operations:write_text"
    return ShardTask(stage, "one", operation, str(machine / "corpus"), {"text": files}, parameters, bucket=FOLDER)


def calls(folder: Path) -> int:
    return len((folder / "calls").read_text(encoding="utf-8").splitlines())


def attempts_named(bucket: Bucket, stage: str) -> set[str]:
    return {name.split("/")[-2] for name in bucket.objects if f"/{stage}/data/" in name}


def test_a_run_goes_on_on_another_machine_with_the_same_bytes(
    bucket: Bucket, recipe: DataRecipe, tmp_path: Path
) -> None:
    alone = run(tmp_path / "alone", recipe)
    first = run(tmp_path / "first", recipe, bucket=FOLDER)
    written = dict(bucket.objects)
    second = run(tmp_path / "second", recipe, workers=2, bucket=FOLDER)
    assert results(first.path) == results(second.path) == results(alone.path)
    assert bucket.objects == written  # the second did nothing again
    assert done_records(second.path).keys() == done_records(first.path).keys()  # and its report knows what all cost
    assert {path.parent.name for path in second.corpus.glob("*/data/*")} == {"data"}
    assert {path.parent.parent.name for path in second.corpus.glob("*/data/*")} == {"vocabulary", "records"}


def test_what_a_lost_machine_committed_is_kept(bucket: Bucket, recipe: DataRecipe, tmp_path: Path) -> None:
    from data_pipeline.contract.run_folder import RunFolder

    Stages(RunFolder(tmp_path / "lost"), recipe, LocalEngine(1), bucket=FOLDER).documents()
    shutil.rmtree(tmp_path / "lost")
    documents = {name: version for name, version in bucket.objects.items() if "/documents/" in name}
    assert len(documents) == 3 * 3  # a part, its keys and a done-record for each file
    folder = run(tmp_path / "other", recipe, bucket=FOLDER)
    assert results(folder.path) == results(run(tmp_path / "alone", recipe).path)
    assert {name: version for name, version in bucket.objects.items() if "/documents/" in name} == documents


def test_of_two_machines_at_one_task_one_wins_and_both_name_its_files(bucket: Bucket, tmp_path: Path) -> None:
    done: list[Done] = []
    held = [replace(task(tmp_path / name), operation="shard_operations:hold") for name in ("a", "b")]
    threads = [threading.Thread(target=lambda each=each: done.append(run_task(each))) for each in held]
    for thread in threads:
        thread.start()
    mark = tmp_path / "callsone"
    while not mark.exists() or len(mark.read_text(encoding="utf-8").splitlines()) < 2:
        time.sleep(0.05)
    (tmp_path / "calls-let-go").touch()
    for thread in threads:
        thread.join()
    [one, other] = done
    assert calls(tmp_path) == 2
    assert Path(one.outputs["text.txt"].path).parent.name == Path(other.outputs["text.txt"].path).parent.name
    for each in done:
        local = read_json(each.task.done_path)
        assert local["attempt"] == Path(each.outputs["text.txt"].path).parent.name
        run_task(
            task(tmp_path / Path(each.task.root).parent.name, "danach", each)
        )  # its input is fetched where it is not


def test_an_upload_that_fails_leaves_nothing_trusted(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(
            "data_pipeline.tasks.shared_files.commit_object", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        with pytest.raises(KeyboardInterrupt):
            run_task(task(tmp_path / "a"))
    assert len(attempts_named(bucket, "first")) == 1
    for machine in ("a", "b"):
        assert finished(task(tmp_path / machine)) is None
    done = run_task(task(tmp_path / "b"))
    assert finished(task(tmp_path / "a")) == replace(
        done,
        task=task(tmp_path / "a"),
        outputs={
            name: replace(output, path=output.path.replace("/b/", "/a/")) for name, output in done.outputs.items()
        },
    )


def test_a_stale_record_is_replaced_and_another_run_is_refused(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_task(task(tmp_path / "a", "früher"))
    run_task(task(tmp_path / "a"))
    assert finished(task(tmp_path / "b")) is not None
    with monkeypatch.context() as patch:  # as if both had looked before either committed
        patch.setattr("data_pipeline.tasks.shared_files.read_object", lambda url: None)
        with pytest.raises(
            WorkError, match=r"one\.json: another command with other inputs, recipe or code works there"
        ):
            run_task(task(tmp_path / "c", "anders"))
    assert finished(task(tmp_path / "b")) is not None


def test_what_arrives_damaged_is_refused_and_named(bucket: Bucket, tmp_path: Path) -> None:
    first = run_task(task(tmp_path / "a"))
    [name] = [name for name in bucket.objects if name.endswith("text.txt")]
    content = bytearray(bucket.objects[name][1])
    content[0] ^= 1
    bucket.put(name, bytes(content))
    found = finished(task(tmp_path / "b"))
    assert found is not None
    with pytest.raises(
        WorkError, match=rf"gs://bucket/{name}: not what was written there; delete {FOLDER}/first/done/one\.json"
    ):
        run_task(task(tmp_path / "b", "danach", found))
    assert not Path(found.outputs["text.txt"].path).exists()
    assert first.outputs.keys() == found.outputs.keys()
