"""Corpus formats: each reads a file into documents, streaming."""

from collections.abc import Callable, Iterator
from typing import IO

from data_pipeline.document import Document
from data_pipeline.recipe import Source
from data_pipeline.sources.json_lines import read_json_lines, read_news
from data_pipeline.sources.lines import Unreadable
from data_pipeline.sources.lm_dataformat import read_lm_dataformat
from data_pipeline.sources.modu import read_modu
from data_pipeline.sources.namuwiki import read_namuwiki
from data_pipeline.sources.parquet import read_parquet
from data_pipeline.sources.petitions import read_petitions, read_petitions_csv
from data_pipeline.sources.plain_text import read_blocks, read_lines
from data_pipeline.sources.tables import read_csv, read_tsv
from data_pipeline.sources.wikipedia import read_wikipedia

Reader = Callable[[IO[bytes], str, Source], Iterator[Document | Unreadable]]
FORMATS: dict[str, Reader] = {
    "text": read_blocks,
    "lines": read_lines,
    "jsonl": read_json_lines,
    "csv": read_csv,
    "tsv": read_tsv,
    "news": read_news,
    "petitions": read_petitions,
    "petitions_csv": read_petitions_csv,
    "lm_dataformat": read_lm_dataformat,
    "modu": read_modu,
    "wikipedia": read_wikipedia,
    "namuwiki": read_namuwiki,
    "parquet": read_parquet,
}
"""Name of a format on the command line and in recipes -> reader(stream, file name for locations, source)."""
WITH_TEXT_FIELD = ("jsonl", "csv", "tsv", "lm_dataformat", "parquet")
"""The formats whose text stands in a field that a source may name."""

__all__ = ["FORMATS", "WITH_TEXT_FIELD", "Reader", "Unreadable"]
