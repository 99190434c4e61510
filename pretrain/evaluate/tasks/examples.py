"""What a task's files hold, whatever their format: examples with their gold answers.

`name` is what predictions are kept under, unique in its file: a guid, or the line. Examples of one `group` share a text, and
a random split keeps them on one side.
"""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class TextExample:
    """A text or a pair of texts with a class or a score.

    - `second`: None where the task reads single texts.
    - `label`: the name of a class, or a score.
    """

    name: str
    first: str
    second: str | None
    label: str | float

    @property
    def group(self) -> str:
        return self.first


@dataclass(frozen=True)
class TagExample:
    """A sentence with a tag for each of its units.

    - `units`: characters, blanks among them (KLUE-NER), or words.
    - `tags`: as many names of tags.
    - `separator`: what stood between the units in the sentence: nothing for characters, a blank for words.
    """

    name: str
    units: tuple[str, ...]
    tags: tuple[str, ...]
    separator: str

    @property
    def group(self) -> str:
        return self.separator.join(self.units)


class GoldAnswer(NamedTuple):
    """An answer as it is written in the context, and where it starts there, in characters from 0."""

    text: str
    start: int


@dataclass(frozen=True)
class SpanExample:
    """A question about a passage.

    - `answers`: every gold answer; training takes the first. Empty where `impossible`.
    - `impossible`: the passage holds no answer.
    - `title`: the passage's, or "".
    """

    name: str
    question: str
    context: str
    answers: tuple[GoldAnswer, ...]
    impossible: bool
    title: str

    @property
    def group(self) -> str:
        return self.context


@dataclass(frozen=True)
class DependencyExample:
    """A sentence as a dependency tree of its eojeols.

    - `heads`: for each eojeol the number of its head, from 1; 0 for the root.
    - `relations`: the name of each eojeol's relation to its head.
    - `parts_of_speech`: for each eojeol the tags of its morphemes, `NNG+JKS`.
    """

    name: str
    eojeols: tuple[str, ...]
    heads: tuple[int, ...]
    relations: tuple[str, ...]
    parts_of_speech: tuple[str, ...]

    @property
    def group(self) -> str:
        return " ".join(self.eojeols)


class Entity(NamedTuple):
    """An entity in a sentence: its characters from `start` up to, but without, `end`, and its type."""

    start: int
    end: int
    type: str


@dataclass(frozen=True)
class RelationExample:
    """A sentence with two entities that do not overlap, and the name of the relation between them."""

    name: str
    sentence: str
    subject: Entity
    object: Entity
    label: str

    @property
    def group(self) -> str:
        return self.sentence


class Turn(NamedTuple):
    """What the user ("user") or the system ("sys") said."""

    role: str
    text: str


@dataclass(frozen=True)
class DialogueExample:
    """A dialogue up to one of the user's turns, and what the user wants by then.

    - `dialogue`: the guid of the whole dialogue, which its examples share.
    - `turns`: all turns so far; the last one is the user's.
    - `state`: `domain-slot-value` strings in the file's order.
    """

    name: str
    dialogue: str
    turns: tuple[Turn, ...]
    state: tuple[str, ...]

    @property
    def group(self) -> str:
        return self.dialogue


Example = TextExample | TagExample | SpanExample | DependencyExample | RelationExample | DialogueExample
