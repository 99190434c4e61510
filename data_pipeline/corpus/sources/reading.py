"""The records of a source's file, by the reader that a task names."""

from collections.abc import Callable, Iterator
from typing import IO

from data_pipeline.contract.named_functions import named_function
from data_pipeline.contract.storage import DamagedFileError, damage_named, name_of, open_input
from data_pipeline.corpus.document import Document
from data_pipeline.corpus.sources.encodings import as_utf8, mojibake
from data_pipeline.corpus.sources.lines import Remark, Unreadable
from data_pipeline.recipe import Source

SPOILT = (
    "take the file as it was before it was converted, or turn it back: iconv -f utf-8 -t ENCODING_IT_WAS_READ_AS, then iconv -f "
    "ITS_ENCODING -t utf-8 (iconv calls them latin1, cp949, utf-8)"
)
READERS = "data_pipeline.corpus.sources"
Reader = Callable[[IO[bytes], str, Source], Iterator[Document | Unreadable | Remark]]


def read_file(
    path: str, source: Source, name: str, opens: bool, binary: bool = False
) -> Iterator[Document | Unreadable | Remark]:
    """The records of one file of a source, in order. What is wrong with the file as a whole is an InputError or WorkError; damage behind
    which it cannot be read on is its last Unreadable.

    - `name`, `opens`, `binary`: the reader of its format, `module:function` below READERS, whether it opens files itself, and whether they hold no text
      (`data_pipeline.source_formats.Format`).
    """
    try:
        with damage_named(path):
            yield from _read(path, source, name, opens, binary)
    except DamagedFileError as error:
        problem = str(error).removeprefix(f"{path}: ").removesuffix(f"; {error.mend}")
        yield Unreadable(name_of(path), problem, error.mend, ends=True)


def _read(path: str, source: Source, name: str, opens: bool, binary: bool) -> Iterator[Document | Unreadable | Remark]:
    if opens:
        yield from named_function(name, READERS)(path, source)
        return
    with open_input(path) as stream:
        yield from read_stream(stream, path, name_of(path), source, name, binary)


def read_stream(
    stream: IO[bytes], path: str, called: str, source: Source, name: str, binary: bool
) -> Iterator[Document | Unreadable | Remark]:
    """The records of an open file, which ids call `called`."""
    text = stream if binary else as_utf8(stream, source.encoding, path)
    yield from map(_told, named_function(name, READERS)(text, called, source))


def _told(item: Document | Unreadable | Remark) -> Document | Unreadable | Remark:
    """The item, or what is wrong with a document whose text was spoilt before it came here."""
    if isinstance(item, Document) and not item.given and (problem := mojibake(item.whole)):
        return Unreadable(item.id, problem, SPOILT)
    return item
