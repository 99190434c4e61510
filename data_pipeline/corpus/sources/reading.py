"""The records of a source's file, by the reader that a task names."""

from collections.abc import Callable, Iterator
from typing import IO

from data_pipeline.contract.named_functions import named_function
from data_pipeline.contract.storage import damage_named, name_of, open_input
from data_pipeline.corpus.document import Document
from data_pipeline.corpus.sources.lines import Unreadable
from data_pipeline.recipe import Source

READERS = "data_pipeline.corpus.sources"
Reader = Callable[[IO[bytes], str, Source], Iterator[Document | Unreadable]]


def read_file(path: str, source: Source, name: str, opens: bool) -> Iterator[Document | Unreadable]:
    """The records of one file of a source, in order. What is wrong with the file as a whole is an InputError or WorkError.

    - `name`, `opens`: the reader of its format, `module:function` below READERS, and whether it opens files itself
      (`data_pipeline.source_formats.Format`).
    """
    reader = named_function(name, READERS)
    with damage_named(path):
        if opens:
            yield from reader(path, source)
        else:
            with open_input(path) as stream:
                yield from reader(stream, name_of(path), source)
