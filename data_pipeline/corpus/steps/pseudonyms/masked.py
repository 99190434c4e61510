"""Personal data made unreadable, for pages and examples that other people read."""

from collections.abc import Iterator

from data_pipeline.corpus.document import Document
from data_pipeline.corpus.steps.pseudonyms.line import Kind
from data_pipeline.corpus.steps.pseudonyms.step import Value, find
from data_pipeline.corpus.steps.removal import sentences_of

MASK = "•"


def masked(text: str) -> str:
    """The text with `MASK` for every letter and digit of the personal data in it, of every type; line by line."""
    return "\n".join(_masked(line, find(line)) for line in text.split("\n"))


def replacements(before: Document, after: Document) -> Iterator[tuple[set[Kind], str, str]]:
    """The sentences that pseudonyms changed: types of what was replaced, the sentence masked, and with its pseudonyms.

    What was not replaced, because its type is switched off, is masked in both.
    """
    previous = ""
    for old, new in zip(sentences_of(before), sentences_of(after), strict=True):
        if old.text != new.text:
            values = find(old.text, previous)
            left = [value for value in values if old.text[value.start : value.end] == new.text[value.start : value.end]]
            kinds = {value.found.kind for value in values if value not in left}
            yield kinds, _masked(old.text, values), _masked(new.text, left)
        previous = old.text


def _masked(text: str, values: list[Value]) -> str:
    pieces, position = [], 0
    for value in values:
        body = value.start + value.found.body - value.found.start
        hidden = "".join(MASK if character.isalnum() else character for character in text[body : value.end])
        pieces += [text[position:body], hidden]
        position = value.end
    return "".join((*pieces, text[position:]))
