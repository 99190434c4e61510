"""NamuWiki's JSON dumps: one array of {namespace, title, text, contributors}, gigabytes long."""

from collections.abc import Iterator
from typing import IO

from data_pipeline.corpus.document import Document
from data_pipeline.corpus.sources.json_places import members_at
from data_pipeline.corpus.sources.lines import Remark, Unreadable
from data_pipeline.corpus.sources.namumark import namumark_to_text
from data_pipeline.corpus.sources.records import documents, member, text_member
from data_pipeline.recipe import Source

ARTICLES = ("0", "", "문서")
"""How dumps of several years name the name space of articles."""
REDIRECTS = ("#redirect", "#넘겨주기")


def read_namuwiki(stream: IO[bytes], file: str, source: Source) -> Iterator[Document | Unreadable | Remark]:
    """One document for each article that is no redirect. A record's number is the page's place in the dump."""
    return documents(members_at(stream, file, ""), source, _text)


def _text(page: object) -> str | None:
    text = text_member(page, "text")
    if str(member(page, "namespace")) not in ARTICLES or text.lstrip().lower().startswith(REDIRECTS):
        return None
    return namumark_to_text(text)
