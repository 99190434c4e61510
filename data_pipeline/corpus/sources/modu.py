"""MODU (NIKL) corpora: newspaper, written, web, spoken, messenger and parliament minutes, each file a JSON object with its documents."""

from collections.abc import Iterator
from itertools import groupby
from typing import IO, Any

from data_pipeline.corpus.document import Document
from data_pipeline.corpus.sources.json_places import members_at
from data_pipeline.corpus.sources.lines import Remark, Unreadable
from data_pipeline.corpus.sources.modu_marks import written
from data_pipeline.corpus.sources.records import BadRecordError, documents, text_member
from data_pipeline.recipe import Source

TYPED = "M"
"""What the ids of corpora begin with whose utterances were typed (MDRW, MMRW); others with utterances are transcripts (SDRW, SBRW, ...)."""


def read_modu(stream: IO[bytes], file: str, source: Source) -> Iterator[Document | Unreadable | Remark]:
    """One document for each member of `document`, or for `document` itself where it is one object (parliament minutes).

    `paragraph[].form` are its paragraphs (newspaper, written, web). Of `utterance[]` (spoken, messenger, minutes), what one speaker says
    in a row is a paragraph; `form` is taken, or `original_form` of utterances that have no `form`. Marks of the transcript go, and a
    masked name or what nobody understood leaves a hole.
    """
    return documents(members_at(stream, file, "document"), source, _text)


def _text(document: Any) -> str:
    if not isinstance(document, dict):
        raise BadRecordError(f"not a JSON object but {type(document).__name__}")
    if "paragraph" in document:
        paragraphs = _list(document, "paragraph")
        return "\n".join(written(text_member(paragraph, "form"), spoken=False) for paragraph in paragraphs)
    if "utterance" in document:
        spoken = not str(document.get("id", "")).startswith(TYPED)
        turns = groupby(_list(document, "utterance"), key=_speaker)
        texts = (" ".join(filter(None, (written(_form(each), spoken=spoken) for each in turn))) for _, turn in turns)
        return "\n".join(filter(None, texts))
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
