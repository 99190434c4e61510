"""ko_lm_dataformat (and lm_dataformat): JSON Lines of {text, meta}, the text often split into sentences already."""

from collections.abc import Iterator
from typing import IO

from data_pipeline.corpus.document import Document
from data_pipeline.corpus.sources.json_lines import json_lines
from data_pipeline.corpus.sources.lines import Remark, Unreadable
from data_pipeline.corpus.sources.records import BadRecordError, documents, value_at
from data_pipeline.recipe import Source


def read_lm_dataformat(stream: IO[bytes], file: str, source: Source) -> Iterator[Document | Unreadable | Remark]:
    """One document for each line, from its field `source.text_field`: text, a list of sentences, or a list of such
    lists, one for each paragraph. Sentences are joined by blanks, paragraphs by line ends; the sentence splitter cuts
    them again, as it cuts every other source."""
    return documents(
        json_lines(stream, file), source, lambda value: _joined(value_at(value, source.text_field), source)
    )


def _joined(text: object, source: Source) -> str:
    if isinstance(text, str):
        return text
    paragraphs = text if isinstance(text, list) and text and all(isinstance(each, list) for each in text) else [text]
    return "\n".join(_paragraph(sentences, source) for sentences in paragraphs)


def _paragraph(sentences: object, source: Source) -> str:
    if not isinstance(sentences, list) or not all(isinstance(each, str) for each in sentences):
        raise BadRecordError(f'field "{source.text_field}" is neither text nor a list of sentences')
    return " ".join(sentences)
