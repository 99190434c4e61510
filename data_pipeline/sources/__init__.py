"""Corpus formats: each reads a file into documents, streaming."""

from collections.abc import Callable, Iterator
from typing import IO

from data_pipeline.document import Document
from data_pipeline.recipe import Source
from data_pipeline.sources.json_lines import read_json_lines, read_petitions
from data_pipeline.sources.lines import Unreadable
from data_pipeline.sources.plain_text import read_blocks, read_lines

Reader = Callable[[IO[bytes], str, Source], Iterator[Document | Unreadable]]
FORMATS: dict[str, Reader] = {
    "text": read_blocks,
    "lines": read_lines,
    "jsonl": read_json_lines,
    "petitions": read_petitions,
}
"""Name of a format on the command line and in recipes -> reader(stream, file name for locations, source)."""

__all__ = ["FORMATS", "Reader", "Unreadable"]
