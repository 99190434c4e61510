"""KLUE-RE: sentences with two entities and the relation between them."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pretrain.evaluate.tasks.examples import Entity, Example, RelationExample
from pretrain.evaluate.tasks.readers.rows import Row, checked, json_rows, shown


def klue_re_reader(labels: Sequence[str]) -> Callable[[Path], list[Example]]:
    """Reads KLUE-RE.

    Parts of train that were put together from several copies repeat guids for different sentences; the second row of a guid
    is named `GUID#2`, and so on.
    """

    def examples(path: Path) -> Iterator[Example]:
        seen = Counter[str]()
        for row in json_rows(path):
            example = RelationExample(row.name, *entities_of(row), row.label("label", labels))
            seen[row.name] += 1
            yield example if seen[row.name] == 1 else replace(example, name=f"{row.name}#{seen[row.name]}")

    return lambda path: checked(path, examples(path))


def entities_of(row: Row) -> tuple[str, Entity, Entity]:
    """The sentence of a row, its subject and its object."""
    sentence = row.raw("sentence")
    subject, object_ = (_entity(row.inside(field), sentence) for field in ("subject_entity", "object_entity"))
    if subject.start < object_.end and object_.start < subject.end:
        raise row.wrong("object_entity", "overlaps subject_entity; correct the row")
    return sentence, subject, object_


def _entity(row: Row, sentence: str) -> Entity:
    """An entity whose `end_idx` names its last character."""
    start, end = row.whole("start_idx"), row.whole("end_idx") + 1
    if not 0 <= start < end <= len(sentence):
        raise row.wrong(
            "start_idx",
            f"and end_idx are {start} and {end - 1}, outside the sentence of {len(sentence)} characters; correct the row",
        )
    word = row.fields.get("word")
    if word is not None and sentence[start:end] != word:
        raise row.wrong(
            "word", f"is {shown(word)}, but the sentence has {shown(sentence[start:end])} there; correct the row"
        )
    return Entity(start, end, row.text("type"))
