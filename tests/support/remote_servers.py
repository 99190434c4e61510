"""Servers of this machine: files over HTTP, and the few calls of the Cloud Storage JSON API that we depend on."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], **attributes: Any) -> Iterator[str]:
    """Runs a server whose handlers have these attributes; gives its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (handler,), attributes))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Files(SimpleHTTPRequestHandler):
    """The files of `folder`; one that is named in `cut` breaks off in its middle."""

    folder: Path
    cut: frozenset[str] = frozenset()

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments, directory=str(self.folder))

    def copyfile(self, source: Any, outputfile: Any) -> None:
        content = source.read()
        outputfile.write(content[: len(content) // 2] if Path(self.path).name in self.cut else content)

    def log_message(self, *_: Any) -> None:
        pass


class Bucket:
    """Objects of one bucket: name -> (generation, content). Changed under a lock, as the real one changes atomically."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[int, bytes]] = {}
        self.lock = threading.Lock()
        self._generation = 1700000000000000

    def put(self, name: str, content: bytes, if_generation: str | None = None) -> int | None:
        """The new generation; None where the one that is there is not the one that was asked for (0: none)."""
        with self.lock:
            if if_generation is not None and int(if_generation) != self.objects.get(name, (0, b""))[0]:
                return None
            self._generation += 1
            self.objects[name] = self._generation, content
            return self._generation


class CloudStorage(BaseHTTPRequestHandler):
    """`bucket` as the JSON API shows it: list, stat, read (ranges too), multipart upload with a precondition, delete."""

    protocol_version = "HTTP/1.1"
    bucket: Bucket

    def do_GET(self) -> None:
        place, query = self._place()
        if place is None:
            self._answer(
                200, {"kind": "storage#bucket", "name": "bucket", "storageClass": "STANDARD", "locationType": "region"}
            )
        elif place == "":
            self._answer(200, self._listing(query.get("prefix", ""), query.get("delimiter")))
        elif place not in self.bucket.objects:
            self._answer(404, {"error": {"code": 404, "message": f"No such object: bucket/{place}"}})
        elif query.get("alt") == "media":
            self._media(place)
        else:
            self._answer(200, self._facts(place))

    def do_POST(self) -> None:
        _, query = self._place()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert query["uploadType"] == "multipart", "larger than any test needs"
        separator = re.search(r'boundary="?([^"]+)"?', self.headers["Content-Type"])
        assert separator is not None
        parts = [part for part in body.split(b"--" + separator[1].encode()) if part.strip(b"\r\n-")]
        facts, content = (re.split(rb"\r?\n\r?\n", part, maxsplit=1)[1] for part in parts)
        name = json.loads(facts)["name"]
        if self.bucket.put(name, re.sub(rb"\r?\n\Z", b"", content), query.get("ifGenerationMatch")) is None:
            self._answer(
                412,
                {"error": {"code": 412, "message": "At least one of the pre-conditions you specified did not hold."}},
            )
        else:
            self._answer(200, self._facts(name))

    def do_DELETE(self) -> None:
        place, query = self._place()
        with self.bucket.lock:
            found = self.bucket.objects.get(place or "")
            wanted = query.get("ifGenerationMatch")
            status = 404 if found is None else 412 if wanted and int(wanted) != found[0] else 204
            if status == 204:
                del self.bucket.objects[place or ""]
        self._answer(status, None if status == 204 else {"error": {"code": status, "message": "not deleted"}})

    def _place(self) -> tuple[str | None, dict[str, str]]:
        """The object that a URL names: None for the bucket itself, empty for all of its objects."""
        url = urlsplit(self.path)
        found = re.search(r"/b/bucket(/o(?:/(.*))?)?$", url.path)
        assert found is not None, self.path
        place = None if found[1] is None else unquote(found[2] or "")
        return place, {name: values[0] for name, values in parse_qs(url.query).items()}

    def _facts(self, name: str) -> dict[str, Any]:
        generation, content = self.bucket.objects[name]
        return {
            "kind": "storage#object", "name": name, "bucket": "bucket", "generation": str(generation), "metageneration": "1",
            "size": str(len(content)), "etag": f"etag-{generation}", "contentType": "application/octet-stream",
            "timeCreated": "2026-01-01T00:00:00.000Z", "updated": "2026-01-01T00:00:00.000Z", "storageClass": "STANDARD",
        }  # fmt: skip

    def _listing(self, prefix: str, delimiter: str | None) -> dict[str, Any]:
        names = sorted(name for name in self.bucket.objects if name.startswith(prefix))
        folders = set()
        if delimiter:
            below = {name: name.removeprefix(prefix).partition(delimiter) for name in names}
            folders = {prefix + head + delimiter for head, separator, _ in below.values() if separator}
            names = [name for name in names if not below[name][1]]
        return {"kind": "storage#objects", "items": list(map(self._facts, names)), "prefixes": sorted(folders)}

    def _media(self, name: str) -> None:
        generation, content = self.bucket.objects[name]
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start, end = (int(wanted[1]), int(wanted[2] or len(content) - 1)) if wanted else (0, len(content) - 1)
        part = content[start : end + 1]
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{start + len(part) - 1}/{len(content)}")
        self.send_header("X-Goog-Generation", str(generation))
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)

    def _answer(self, status: int, value: Any) -> None:
        body = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass
