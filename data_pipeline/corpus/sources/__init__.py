"""Corpus formats: each reads a file into documents, streaming."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from data_pipeline.contract.storage import damage_named, open_input
from data_pipeline.corpus.document import Document
from data_pipeline.corpus.sources.arrow import read_arrow, read_parquet
from data_pipeline.corpus.sources.json_lines import read_json_lines, read_news, read_pairs
from data_pipeline.corpus.sources.lines import Unreadable
from data_pipeline.corpus.sources.lm_dataformat import read_lm_dataformat
from data_pipeline.corpus.sources.modu import read_modu
from data_pipeline.corpus.sources.namuwiki import read_namuwiki
from data_pipeline.corpus.sources.petitions import read_petitions, read_petitions_csv
from data_pipeline.corpus.sources.plain_text import read_blocks, read_lines
from data_pipeline.corpus.sources.tables import read_csv, read_tsv
from data_pipeline.corpus.sources.tfds import read_tfds
from data_pipeline.corpus.sources.wikipedia import read_wikipedia
from data_pipeline.recipe import Source

Reader = Callable[[IO[bytes], str, Source], Iterator[Document | Unreadable]]
FORMATS: dict[str, Reader] = {
    "text": read_blocks,
    "lines": read_lines,
    "jsonl": read_json_lines,
    "csv": read_csv,
    "tsv": read_tsv,
    "news": read_news,
    "pairs": read_pairs,
    "petitions": read_petitions,
    "petitions_csv": read_petitions_csv,
    "lm_dataformat": read_lm_dataformat,
    "modu": read_modu,
    "wikipedia": read_wikipedia,
    "namuwiki": read_namuwiki,
    "parquet": read_parquet,
    "arrow": read_arrow,
}
"""Name of a format on the command line and in recipes -> reader(stream, file name for locations, source)."""
FILE_FORMATS: dict[str, Callable[[str, Source], Iterator[Document | Unreadable]]] = {"tfds": read_tfds}
"""The same for formats whose library opens files itself -> reader(path, source)."""
FORMAT_NAMES = (*FORMATS, *FILE_FORMATS)
WITH_TEXT_FIELD = ("jsonl", "pairs", "csv", "tsv", "lm_dataformat", "parquet", "arrow", "tfds")
"""The formats whose text stands in a field that a source may name."""

WITHOUT_FIELDS = ("text", "lines")
"""The formats whose records have no field that could tell a category."""


def read_source_file(path: str, source: Source) -> Iterator[Document | Unreadable]:
    """The records of one file of a source, in order. What is wrong with the file as a whole is an InputError or WorkError."""
    with damage_named(path):
        if source.format in FILE_FORMATS:
            yield from FILE_FORMATS[source.format](path, source)
        else:
            with open_input(path) as stream:
                yield from FORMATS[source.format](stream, Path(path).name, source)


__all__ = ["FORMATS", "FORMAT_NAMES", "WITHOUT_FIELDS", "WITH_TEXT_FIELD", "Reader", "Unreadable", "read_source_file"]
