"""600 sentences and more of petitions, reviews and news comments, labelled by hand: where each starts, without the text.

A sentence ends where a reader would say so, with a mark or without. Marks, ㅋㅋ and emoji end the sentence before them; a quotation inside a sentence,
and several sentences in brackets, are not parted; the number of a list goes with what it numbers; a headline is a sentence of its own. The first
reading corrected what an early kss_repaired had made of the texts, which favours it; the second was of the text as it is (of petitions, of the
sentences of the first), and `second` keeps what it says otherwise. Thresholds were set on the half `dev`. Reviews are among those that the model
did not learn from, petitions are not.
"""

import csv
import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.sentences.training import petitions, reviews
from data_pipeline.contract.errors import InputError

LABELS = Path(__file__).parent / "labels.tsv"


@dataclass(frozen=True)
class Labelled:
    """A text and where its sentences start.

    - `kind`: petitions, reviews or comments; `half`: dev or test.
    - `starts`: of the first reading; `second`: starts that one reading has and the other has not.
    """

    id: str
    kind: str
    half: str
    text: str
    starts: tuple[int, ...]
    second: tuple[int, ...]

    def starts_at_marks(self) -> tuple[int, ...]:
        """Those behind a blank or a mark; sentences written together without either are one."""
        return tuple(start for start in self.starts if start == 0 or not "가" <= self.text[start - 1] <= "힣")


def labelled(data: Path) -> list[Labelled]:
    """All labelled texts; an InputError where one is not the text that was labelled."""
    with LABELS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    wanted = {row["id"] for row in rows}
    texts = {name: text for name, text in _texts(data) if name in wanted}
    found = []
    for row in rows:
        text = texts.get(row["id"], "")[: int(row["end"])]
        if hashlib.sha256(text.encode()).hexdigest() != row["sha256"]:
            raise InputError(
                f"{row['id']}: not the text that was labelled; give the data folder of MANIFEST.md by --data"
            )
        starts, second = (tuple(map(int, row[column].split())) for column in ("starts", "second"))
        found.append(Labelled(row["id"], row["kind"], row["half"], text, starts, second))
    return found


def _texts(data: Path) -> Iterator[tuple[str, str]]:
    yield from petitions(data)
    yield from reviews(data)
    with gzip.open(data / "corpus/news_comments.txt.gz", "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            yield f"news_comments.txt.gz:{number}", line.strip()
