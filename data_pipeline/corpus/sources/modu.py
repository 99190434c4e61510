"""MODU (NIKL) corpora: newspaper, written, web, spoken and messenger, each file a JSON object with a list of documents."""

from collections.abc import Iterator
from itertools import groupby
from typing import IO, Any

from data_pipeline.corpus.document import Document
from data_pipeline.corpus.sources.json_arrays import array_members
from data_pipeline.corpus.sources.lines import Unreadable
from data_pipeline.corpus.sources.records import BadRecordError, documents, text_member
from data_pipeline.recipe import Source


def read_modu(stream: IO[bytes], file: str, source: Source) -> Iterator[Document | Unreadable]:
    """One document for each member of `document`.

    `paragraph[].form` are its paragraphs (newspaper, written, web). Of `utterance[]` (spoken, messenger), what one
    speaker says in a row is a paragraph; `form` is taken, or `original_form` of utterances that have no `form`.
    """
    return documents(array_members(stream, file, "document"), source, _text)


def _text(document: Any) -> str:
    if not isinstance(document, dict):
        raise BadRecordError(f"not a JSON object but {type(document).__name__}")
    if "paragraph" in document:
        return "\n".join(text_member(paragraph, "form") for paragraph in _list(document, "paragraph"))
    if "utterance" in document:
        utterances = _list(document, "utterance")
        turns = groupby(utterances, key=_speaker)
        return "\n".join(" ".join(filter(None, map(_form, turn))) for _, turn in turns)
    raise BadRecordError(f'neither "paragraph" nor "utterance" (found: {", ".join(document)})')


def _list(document: dict[str, Any], name: str) -> list[Any]:
    members = document[name]
    if not isinstance(members, list):
        raise BadRecordError(f'field "{name}" is not a list but {type(members).__name__}')
    return members


def _speaker(utterance: object) -> object:
    return utterance.get("speaker_id") if isinstance(utterance, dict) else None


def _form(utterance: object) -> str:
    has_form = not isinstance(utterance, dict) or "form" in utterance or "original_form" not in utterance
    return text_member(utterance, "form" if has_form else "original_form").strip()
