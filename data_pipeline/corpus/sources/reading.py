"""The records of a source's file, by the reader that a task names."""

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import IO, Any

from data_pipeline.contract.storage import damage_named, name_of, open_input
from data_pipeline.corpus.document import Document
from data_pipeline.corpus.sources.lines import Unreadable
from data_pipeline.recipe import Source

READERS = "data_pipeline.corpus.sources"
Reader = Callable[[IO[bytes], str, Source], Iterator[Document | Unreadable]]


def reader(name: str) -> Any:
    """What `module:function` below READERS names."""
    module, function = name.split(":")
    return getattr(import_module(f"{READERS}.{module}"), function)


def read_file(path: str, source: Source, name: str, opens: bool) -> Iterator[Document | Unreadable]:
    """The records of one file of a source, in order. What is wrong with the file as a whole is an InputError or WorkError.

    - `name`, `opens`: the reader of its format, and whether it opens files itself (`data_pipeline.source_formats.Format`).
    """
    with damage_named(path):
        if opens:
            yield from reader(name)(path, source)
        else:
            with open_input(path) as stream:
                yield from reader(name)(stream, name_of(path), source)
