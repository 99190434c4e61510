"""Blue House petitions: JSON Lines of lovit/petitions_archive, or the CSV file of akngs/petitions."""

from collections.abc import Callable, Iterator
from typing import IO

from data_pipeline.corpus.document import Document, Metadata
from data_pipeline.corpus.sources.json_lines import json_lines
from data_pipeline.corpus.sources.lines import Remark, Unreadable
from data_pipeline.corpus.sources.records import documents, metadata_from, text_member
from data_pipeline.corpus.sources.tables import table_rows
from data_pipeline.recipe import Source

EDITED_NOTICE = "[본 게시물의 일부 내용이 국민 청원 요건에 위배되어 관리자에 의해 수정되었습니다]"


def read_petitions(stream: IO[bytes], file: str, source: Source) -> Iterator[Document | Unreadable | Remark]:
    """One document for each petition: its content, with the title as its summary.

    The board's own notice that it edited a petition, which stands under nearly a third of them, is left out.
    """
    texts = (_without_notice("content"), _without_notice("title"))
    return documents(json_lines(stream, file), source, *texts, _opened("begin"))


def read_petitions_csv(stream: IO[bytes], file: str, source: Source) -> Iterator[Document | Unreadable | Remark]:
    """The same from a table with the columns title and content, where `\\n` and `\\t` stand for line ends and tabs."""
    rows = table_rows(stream, file, delimiter=",", quoted=True)

    def column(name: str) -> Callable[[object], str]:
        read = _without_notice(name)
        return lambda row: read(row).replace("\\n", "\n").replace("\\t", "\t")

    return documents(rows, source, column("content"), column("title"), _opened("start"))


def _without_notice(name: str) -> Callable[[object], str]:
    return lambda petition: text_member(petition, name).replace(EDITED_NOTICE, "")


def _opened(field: str) -> Callable[[dict[str, object]], Metadata]:
    """Title and the day on which a petition was opened."""
    return lambda petition: metadata_from(
        str(petition.get("title", "")).replace(EDITED_NOTICE, ""), day=petition.get(field)
    )
