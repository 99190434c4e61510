"""The table of the corpus formats that a source may have. Outside corpus/, so that a new row redoes nobody's work: a task names its reader."""

from collections.abc import Iterator
from dataclasses import dataclass

from data_pipeline.contract.named_functions import named_function
from data_pipeline.corpus.document import Document
from data_pipeline.corpus.sources.lines import Remark, Skipped, Unreadable
from data_pipeline.corpus.sources.reading import READERS, Reader, read_file
from data_pipeline.recipe import Source


@dataclass(frozen=True)
class Format:
    """How files of a format are read.

    - `reader`: `module:function` below data_pipeline.corpus.sources, reader(stream, file name for locations, source).
    - `opens`: the reader opens files itself, reader(path, source).
    - `text_field`: the text is in a field that a source may name.
    - `fields`: whether its records have fields, one of which may tell the category.
    - `separator`: regular expression between two documents, where a file can be read from its middle.
    - `in_order`: its reader goes through a file from front to back, so that the position tells how much is read.
    - `binary`: its files hold no text in an encoding that a source may name; tables, and XML, which names its own.
    - `packages`: what it needs beyond the standard library.
    - `prepared`: its documents went through the steps in the run that wrote them: they are taken with their sentences and splits as they are.
    """

    reader: str
    opens: bool = False
    text_field: bool = False
    fields: bool = True
    separator: bytes | None = None
    in_order: bool = True
    binary: bool = False
    packages: tuple[str, ...] = ()
    prepared: bool = False


LINE = rb"\n"
BLANK_LINE = rb"\n(?:[ \t\r]|\xe2\x80[\x8b-\x8f]|\xe2\x81\xa0|\xef\xbb\xbf|\xc2[\xa0\xad]|\xe3\x80\x80)*\n"
TITLE = rb"\n(?= ?= [^=\s])"
FORMATS = {
    "text": Format("plain_text:read_blocks", fields=False, separator=BLANK_LINE),
    "lines": Format("plain_text:read_lines", fields=False, separator=LINE),
    "jsonl": Format("json_lines:read_json_lines", text_field=True, separator=LINE),
    "json": Format("json_files:read_json", text_field=True, packages=("ijson",)),
    "csv": Format("tables:read_csv", text_field=True),
    "tsv": Format("tables:read_tsv", text_field=True),
    "news": Format("json_lines:read_news", separator=LINE),
    "pairs": Format("json_lines:read_pairs", text_field=True),
    "petitions": Format("petitions:read_petitions", separator=LINE),
    "petitions_csv": Format("petitions:read_petitions_csv"),
    "lm_dataformat": Format("lm_dataformat:read_lm_dataformat", text_field=True, separator=LINE),
    "modu": Format("modu:read_modu", packages=("ijson",)),
    "kowikitext": Format("wikitext_articles:read_wikitext", fields=False, separator=TITLE),
    "namuwikitext": Format("wikitext_articles:read_wikitext", fields=False, separator=TITLE),
    "wikipedia": Format("wikipedia:read_wikipedia", binary=True, packages=("mwparserfromhell",)),
    "namuwiki": Format("namuwiki:read_namuwiki", packages=("ijson",)),
    "parquet": Format("arrow:read_parquet", text_field=True, in_order=False, binary=True, packages=("pyarrow",)),
    "arrow": Format("arrow:read_arrow", text_field=True, in_order=False, binary=True, packages=("pyarrow",)),
    "export": Format("exported:read_export", in_order=False, binary=True, packages=("pyarrow",), prepared=True),
    "tfds": Format("tfds:read_tfds", opens=True, text_field=True, binary=True),
}
"""Name of a format on the command line and in recipes -> how it is read."""
WITH_TEXT_FIELD = tuple(name for name, of in FORMATS.items() if of.text_field)


def reader_of(format_name: str) -> Reader:
    """The reader of a format whose files are opened for it; without what is no document by the format's design."""
    found: Reader = named_function(FORMATS[format_name].reader, READERS)
    return lambda stream, file, source: (item for item in found(stream, file, source) if not isinstance(item, Skipped))


def read_source_file(path: str, source: Source) -> Iterator[Document | Unreadable | Remark]:
    """The records of one file of a source, in order. What is wrong with the file as a whole is an InputError or WorkError."""
    of = FORMATS[source.format]
    return read_file(path, source, of.reader, of.opens, of.binary)
