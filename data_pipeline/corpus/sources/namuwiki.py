"""NamuWiki's JSON dumps: one array of {namespace, title, text, contributors}, gigabytes long."""

from collections import Counter
from collections.abc import Iterator
from typing import IO, Any

from data_pipeline.corpus.document import Document
from data_pipeline.corpus.sources.json_places import members_at
from data_pipeline.corpus.sources.lines import Remark, Skipped, Unreadable
from data_pipeline.corpus.sources.namumark import namumark_to_text
from data_pipeline.corpus.sources.records import documents, member, text_member
from data_pipeline.recipe import Source

ARTICLES = ("0", "", "문서")
"""How dumps of several years name the name space of articles."""
REDIRECTS = ("#redirect", "#넘겨주기")


def read_namuwiki(stream: IO[bytes], file: str, source: Source) -> Iterator[Document | Unreadable | Remark]:
    """One document for each article that is no redirect. A record's number is the page's place in the dump.

    Other pages are Skipped one by one; what is left out of the articles, at the end, for each kind of construct.
    """
    hidden: Counter[str] = Counter()
    hidden_bytes: Counter[str] = Counter()

    def text_of(page: object) -> str:
        text = text_member(page, "text")
        member(page, "namespace")
        return namumark_to_text(text, hidden, hidden_bytes)

    for record in members_at(stream, file, ""):
        skipped = None if isinstance(record, Unreadable) else _skipped(record[1])
        if skipped:
            yield skipped
        else:
            yield from documents([record], source, text_of)
    for what, number in sorted(hidden.items()):
        yield Skipped(what, number, hidden_bytes[what])


def _skipped(page: Any) -> Skipped | None:
    """What a page is that is no article; None also of a page that is damaged, which `documents` tells."""
    if not isinstance(page, dict) or not isinstance(page.get("text"), str) or "namespace" not in page:
        return None
    size = len(page["text"].encode(errors="surrogatepass"))
    if str(page["namespace"]) not in ARTICLES:
        return Skipped("pages of other name spaces", size=size)
    return Skipped("redirects", size=size) if page["text"].lstrip().lower().startswith(REDIRECTS) else None
