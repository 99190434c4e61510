"""The cleaned text as others read it: one schema, every key always present (docs/export_text.md)."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from typing import Any

from data_pipeline.contract.packages import needed
from data_pipeline.corpus.corpus_files import Split, SplitDocument
from data_pipeline.corpus.steps.scripts import count_scripts

FIELDS = (
    "id", "text", "source", "created", "added", "category", "licence", "split", "sentence_starts", "gaps", "duplicates", "weight",
    "signals", "metadata",
)  # fmt: skip
"""The keys of a row, in order."""
SIGNALS = ("hangul_share", "mean_sentence_chars", "repeated_sentence_share")
METADATA = ("title", "url", "date", "location")
SPLITS: dict[Split, str] = {"train": "train", "evaluation": "validation"}
"""What the corpus calls a split -> what an export calls it."""
DOCUMENTS_PER_BATCH = 256
_NUMERIC_DAY = re.compile(r"(\d{4})[-./]? ?(\d{1,2})[-./]? ?(\d{1,2})\.?")


@dataclass(frozen=True)
class Described:
    """What a row says of its document's source, and of the export.

    - `added`: when the text came into the collection, ISO 8601 or empty.
    - `weight`: of the source; `categories`: factors on it, by category.
    """

    licence: str
    weight: float
    categories: Mapping[str, float]
    added: str


def arrow_schema() -> Any:
    """The Arrow schema of a row."""
    arrow = needed("pyarrow", "Parquet")
    kinds: dict[str, Any] = dict.fromkeys(FIELDS, arrow.string())
    kinds |= {"sentence_starts": arrow.list_(arrow.int32()), "gaps": arrow.list_(arrow.int32())}
    kinds |= {"duplicates": arrow.int32(), "weight": arrow.float32()}
    kinds["signals"] = arrow.struct([arrow.field(name, arrow.float32()) for name in SIGNALS])
    kinds["metadata"] = arrow.struct([arrow.field(name, arrow.string()) for name in METADATA])
    nullable = ("signals", "metadata")
    return arrow.schema([arrow.field(name, kinds[name], nullable=name in nullable) for name in FIELDS])


def rows_of(
    documents: Iterable[SplitDocument], described: Described, duplicates: Mapping[str, int]
) -> Iterator[dict[str, Any]]:
    """A row for each document, in order.

    - `duplicates`: key of a document -> how many others had its cleaned text; 0 for keys that are absent.
    """
    waiting = iter(documents)
    while batch := list(islice(waiting, DOCUMENTS_PER_BATCH)):
        texts = ["".join(each.text + each.blanks for each in document.sentences).rstrip() for document in batch]
        scripts = count_scripts(texts).tolist()
        for document, text, (hangul, _, letters) in zip(batch, texts, scripts, strict=True):
            values = (
                document.key,
                text,
                document.source,
                iso_date(document.metadata.date),
                described.added,
                document.category,
                described.licence,
                SPLITS[document.split],
                _starts(document),
                [number for number, sentence in enumerate(document.sentences) if sentence.after_break],
                duplicates.get(document.key, 0),
                described.weight * described.categories.get(document.category, 1.0),
                _signals(document, hangul, letters),
                dict(zip(METADATA, [each or None for each in (*document.metadata, document.id)], strict=True)),
            )
            yield dict(zip(FIELDS, values, strict=True))


def _starts(document: SplitDocument) -> list[int]:
    starts, position = [], 0
    for sentence in document.sentences:
        starts.append(position)
        position += len(sentence.text) + len(sentence.blanks)
    return starts


def _signals(document: SplitDocument, hangul: int, letters: int) -> dict[str, float | None]:
    sentences: Sequence[str] = [sentence.text for sentence in document.sentences]
    values = (
        hangul / letters if letters else None,
        sum(map(len, sentences)) / len(sentences),
        1 - len(set(sentences)) / len(sentences),
    )
    return dict(zip(SIGNALS, values, strict=True))


def iso_date(day: str) -> str:
    """A date or time as ISO 8601, empty where it is none or might be read in two ways (13.11.24)."""
    try:
        return datetime.fromisoformat(day).isoformat().removesuffix("T00:00:00") if day else ""
    except ValueError:
        numbers = _NUMERIC_DAY.fullmatch(day)
    if numbers is None:
        return ""
    year, month, of_month = map(int, numbers.groups())
    try:
        return date(year, month, of_month).isoformat()
    except ValueError:
        return ""
