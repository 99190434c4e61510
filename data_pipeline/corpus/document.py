"""The one type that flows through the corpus steps."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

HOLE = "\U0010fffd"
"""Stands in a text for what a reader left out and a sentence is not whole without: a template's value, a formula, a masked name.
The last character for private use, which no text has; the step `holes` takes it out."""
HOLE_SHOWN = "[...]"
"""How people see one, or several in a row."""
_HOLES = re.compile(f"{HOLE}+")


def with_holes_shown(text: str) -> str:
    """The text as people see it."""
    return _HOLES.sub(HOLE_SHOWN, text) if HOLE in text else text


class Sentence(NamedTuple):
    """A sentence and the blanks that followed it in its document; a tuple, for nothing else is made so fast, and so often.

    - `text`: the sentence, without blanks at its ends.
    - `blanks`: the blanks between it and the next sentence, as they stood (may be empty; "\\n" ends a paragraph).
    - `after_break`: something was removed between this sentence and the one before it, so that no sentence pair and
      no attention segment may cross.
    """

    text: str
    blanks: str = ""
    after_break: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """The benchmark text that a sentence was found to be, or nearly so, and the score of the two (1 for a copy)."""

    benchmark: str
    location: str
    text: str
    score: float

    def __str__(self) -> str:
        return f"{self.score:.2f} {self.benchmark} {self.location}: {self.text}"


@dataclass(frozen=True, slots=True)
class Removed:
    """A sentence that a step took out of a document that lives on."""

    text: str
    reason: str
    detail: str = ""
    match: Match | None = None


class Metadata(NamedTuple):
    """What a source tells of a document beside its text, empty where it tells nothing. All that is kept: authors, speakers, publishers and
    other fields are not."""

    title: str = ""
    url: str = ""
    date: str = ""


class Given(NamedTuple):
    """What an earlier run found out about a document that export-text wrote.

    - `starts`: where its sentences start in the text, in code points; `gaps`: which of them follow a removal.
    - `split`: train or evaluation. `key`: as of SplitDocument.
    """

    starts: tuple[int, ...]
    gaps: tuple[int, ...]
    split: str
    key: str


NO_METADATA = Metadata()


@dataclass(frozen=True, slots=True)
class Document:
    """A document on its way through the steps.

    - `id`: where it came from, `FILE:LINE` or `FILE:LINE-LINE`, with the name of the file alone; for people.
    - `source`: the name of its source in the recipe.
    - `text`: the whole text; `None` for `sentences` means that it was not split yet. Once it was,
      `"".join(s.text + s.blanks for s in sentences)` is the text as long as no sentence was removed.
    - `removed`: the sentences taken out so far, with their reasons.
    - `replaced`: the type of each value of personal data that a pseudonym stands for (email, mobile, ...).
    - `category`: what kind of text its source says it is; empty where it says nothing.
    - `cleaned`: the rules by which cleaning changed it, and how many characters it has fewer by each.
    - `summary`: what its source says is to be written from it, a title or a summary; None where it says nothing. Cleaning makes it the
      first paragraph of `text`.
    - `metadata`: title, url and date.
    - `given`: its sentences and split, where it is read back from an export; steps that shape text do nothing to it.
    """

    id: str
    source: str
    text: str
    sentences: tuple[Sentence, ...] | None = None
    removed: tuple[Removed, ...] = ()
    replaced: tuple[str, ...] = ()
    category: str = ""
    summary: str | None = None
    cleaned: tuple[tuple[str, int], ...] = field(default=(), compare=False)
    metadata: Metadata = field(default=NO_METADATA, compare=False)
    given: Given | None = field(default=None, compare=False)

    @property
    def whole(self) -> str:
        """The text, with the summary as its first paragraph."""
        return self.text if self.summary is None else f"{self.summary}\n{self.text}"


@dataclass(frozen=True, slots=True)
class Dropped:
    """A document that ends here, and why. `detail` is for people: the value that fell under the threshold, the match."""

    document: Document
    reason: str
    detail: str = ""


Step = Callable[[Document], Document | Dropped]
