"""Sources behind https:// and gs:// are found, read as a stream, and known again by size and stamp."""

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest
from prepared_runs import done_records, results, run
from remote_servers import Bucket, Files, serving

from data_pipeline.contract.errors import InputError, WorkError
from data_pipeline.contract.storage import find_input_files, open_input
from data_pipeline.recipe import DataRecipe, Source
from data_pipeline.source_formats import read_source_file

pytest.importorskip("aiohttp", reason="the extra [gcs] is not installed")
LINES = ["하나입니다.", "둘입니다.", "셋입니다."]
CONTENT = "".join(json.dumps({"text": line}, ensure_ascii=False) + "\n" for line in LINES).encode()


def test_files_behind_http_are_read_and_known_again(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(CONTENT)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(CONTENT))
    with serving(Files, folder=tmp_path) as address:
        for name in ("a.jsonl", "b.jsonl.gz"):
            [file] = find_input_files(f"{address}/{name}")
            assert (file.path, file.size) == (f"{address}/{name}", (tmp_path / name).stat().st_size)
            with open_input(file.path) as stream:
                assert stream.read() == CONTENT
        [before] = find_input_files(f"{address}/a.jsonl")
        os.utime(tmp_path / "a.jsonl", (1, 1))  # another version of the same size
        [after] = find_input_files(f"{address}/a.jsonl")
        assert before.stamp != after.stamp


def test_a_server_that_breaks_off_or_knows_no_such_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(CONTENT * 1000)
    with serving(Files, folder=tmp_path, cut=frozenset({"a.jsonl"})) as address:
        with pytest.raises(WorkError, match=rf"{address}/a\.jsonl: cannot be read .*run the same command again"):
            list(read_source_file(f"{address}/a.jsonl", Source("jsonl", "")))
        with pytest.raises(InputError, match=rf"{address}/absent\.jsonl: (no such file|cannot be reached)"):
            find_input_files(f"{address}/absent.jsonl")
    with pytest.raises(InputError, match=rf"{address}/a\.jsonl: cannot be reached"):
        find_input_files(f"{address}/a.jsonl")


def test_files_in_a_bucket_are_found_by_glob_and_read(bucket: Bucket) -> None:
    for number in range(2):
        bucket.put(f"text/part-{number}.jsonl", CONTENT)
    bucket.put("text/c.jsonl.gz", gzip.compress(CONTENT))
    files = find_input_files("gs://bucket/text/part-*.jsonl")
    assert [file.path for file in files] == ["gs://bucket/text/part-0.jsonl", "gs://bucket/text/part-1.jsonl"]
    assert {file.size for file in files} == {len(CONTENT)}
    [compressed] = find_input_files("gs://bucket/text/c.jsonl.gz")
    for file in (*files, compressed):
        assert [item.text for item in read_source_file(file.path, Source("jsonl", ""))] == LINES
    with pytest.raises(InputError, match=r"gs://bucket/absent/\*\.jsonl: no such file"):
        find_input_files("gs://bucket/absent/*.jsonl")


def test_a_corpus_in_a_bucket_gives_the_bytes_of_a_local_one(
    bucket: Bucket, corpus: Path, tiny_recipe: Callable[..., DataRecipe], tmp_path: Path
) -> None:
    for path in corpus.iterdir():
        bucket.put(f"corpus/{path.name}", path.read_bytes())
    local = run(tmp_path / "local", tiny_recipe(corpus / "part-*.jsonl"))
    recipe = tiny_recipe("gs://bucket/corpus/part-*.jsonl")
    remote = run(tmp_path / "remote", recipe)  # in this process: a pool that another test started has no such bucket
    assert results(remote.path) == results(local.path)
    before = done_records(remote.path)
    bucket.put("corpus/part-1.jsonl", bucket.objects["corpus/part-1.jsonl"][1])  # the same bytes, another generation
    fsspec.get_filesystem_class("gs").clear_instance_cache()
    run(remote.path, recipe)
    redone = {path.parts[1] for path, stamp in done_records(remote.path).items() if before[path] != stamp}
    assert redone == {"documents"}  # which left what it had left before
