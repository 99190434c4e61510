"""Without --data an official file is fetched once, and what cannot be fetched is named with where to get it."""

import functools
import http.server
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from data_pipeline.contract.errors import InputError
from pretrain.evaluate.tasks.files import find_file, read_split
from pretrain.evaluate.tasks.registry import TASKS

REVIEWS = "id\tdocument\tlabel\n1\t좋다\t1\n2\t싫다\t0\n"


class Counting(http.server.SimpleHTTPRequestHandler):
    """Counts what it is asked for; `short.txt` it promises longer than it is."""

    asked: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path.endswith("short.txt"):
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"id")
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server of official files; this user's cache and data/ are empty."""
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "ratings_test.txt").write_text(REVIEWS, encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.chdir(tmp_path)
    Counting.asked.clear()
    handler = functools.partial(Counting, directory=tmp_path / "web")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_file_is_fetched_once_into_the_cache(address: str, tmp_path: Path) -> None:
    task = replace(TASKS["nsmc"], url=address)
    for _ in range(2):
        found = read_split(task, None, "test")
        assert [example.group for example in found.examples] == ["좋다", "싫다"]
        assert found.path == tmp_path / "cache" / "korean-pretrain" / "tasks" / "nsmc" / "ratings_test.txt"
    assert Counting.asked == ["/ratings_test.txt"]
    (tmp_path / "data" / "nsmc").mkdir(parents=True)
    (tmp_path / "data" / "nsmc" / "ratings_test.txt").write_text(REVIEWS, encoding="utf-8")
    assert find_file(task, None, "test") == Path("data/nsmc/ratings_test.txt"), "what is at hand comes first"
    with pytest.raises(InputError, match=r"ratings_train\.txt of NSMC is missing .*; get it from"):
        find_file(task, tmp_path / "data", "train")
    assert len(Counting.asked) == 1, "with --data nothing is fetched"


def test_what_cannot_be_fetched_is_one_sentence_and_leaves_nothing(address: str, tmp_path: Path) -> None:
    nsmc = replace(TASKS["nsmc"], url=address, files={"train": ("ratings_train.txt",), "test": ("short.txt",)})
    get_it = r"; get it from https://github.com/e9t/nsmc, and say with --data in which folder it is$"
    with pytest.raises(
        InputError, match=rf"could not be fetched from {address}/ratings_train.txt \(HTTP.*404.*{get_it}"
    ):
        find_file(nsmc, None, "train")
    with pytest.raises(InputError, match=rf"short.txt of NSMC could not be fetched .*2 of 100 bytes.*{get_it}"):
        find_file(nsmc, None, "test")
    with pytest.raises(InputError, match=rf"could not be fetched from http://127.0.0.1:1/.*refused.*{get_it}"):
        find_file(replace(nsmc, url="http://127.0.0.1:1"), None, "train")
    with pytest.raises(InputError, match=r"KorQuAD_v1.0_dev.json of KorQuAD 1.0 is not in data/, and is not fetched"):
        find_file(TASKS["korquad"], None, "dev")
    assert not list(tmp_path.glob("cache/**/*.*"))


def test_an_address_is_below_the_source_that_is_told() -> None:
    for task in TASKS.values():
        if task.url:
            repository = "/".join(task.url.removeprefix("https://raw.githubusercontent.com/").split("/")[:2])
            assert task.source.startswith(f"https://github.com/{repository}")
            assert task.url.endswith(task.source.rpartition("folder ")[2].split("/")[-1]) or task.url.endswith("/HEAD")
    assert {name for name, task in TASKS.items() if not task.url} == {"pawsx", "korquad"}
