"""What each step does to the documents of a sample: text before, text after."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from data_pipeline.corpus.document import Document, Dropped, with_holes_shown
from data_pipeline.corpus.steps.clean import cleaner
from data_pipeline.corpus.steps.pseudonyms.masked import masked
from data_pipeline.corpus.steps.repair import repairer
from data_pipeline.corpus.steps.split_sentences import sentence_splitter
from data_pipeline.corpus.tally import REPLACED
from data_pipeline.pipeline import ROWS
from data_pipeline.recipe import DataRecipe

LOOKED_AT = 1000
"""Documents that are searched for one that a step changes."""
BEFORE_CHANGE, EXCERPT = 30, 160
"""Characters shown before the first difference, and in all."""


@dataclass(frozen=True)
class Example:
    """A text before and after a step; personal data in both is masked."""

    step: str
    id: str
    before: str
    after: str


ORDER = [heading for row in ROWS for heading in row.reasons]
"""Headings in the order of the steps; what is not among them comes after."""


def examples(recipe: DataRecipe, documents: Sequence[Document], stages: dict[str, Any], number: int) -> list[Example]:
    """Up to `number` examples of every step that did something, in the order of the steps.

    - `stages`: counts by stage, which hold examples of what was dropped and replaced.
    """
    found = [_with_holes_shown(each) for each in _examples(recipe, documents, stages, number)]
    place = {step: index for index, step in enumerate(ORDER)}
    return sorted(found, key=lambda example: place.get(example.step, len(ORDER)))


def _with_holes_shown(example: Example) -> Example:
    return replace(example, before=with_holes_shown(example.before), after=with_holes_shown(example.after))


def _examples(
    recipe: DataRecipe, documents: Sequence[Document], stages: dict[str, Any], number: int
) -> Iterator[Example]:
    clean = cleaner(recipe.clean, targets=recipe.targets_are_summaries)
    repair = repairer(recipe.repair)
    repaired = ((document, repair(document)) for document in documents[:LOOKED_AT])
    cleaned = [(one, other if isinstance(other, Dropped) else clean(other)) for one, other in repaired]
    # Blanks alone, as at the end of a line, are nothing to see.
    changed = [
        (one, other)
        for one, other in cleaned
        if isinstance(other, Document) and one.whole.split() != other.text.split()
    ]
    for before, after in changed[:number]:
        yield Example("clean", before.id, *_excerpts(before.whole, after.text))
    for stage in ("documents", "survivors"):
        yield from _dropped(stages.get(stage, {}), number)
    split = sentence_splitter(recipe.sentences)
    several = (document for _, document in cleaned if isinstance(document, Document) and len(document.text) > EXCERPT)
    for document, _ in zip(several, range(number), strict=False):
        result = split(document)
        if not isinstance(result, Dropped):
            sentences = "\n".join(sentence.text for sentence in result.sentences or ())
            yield Example("split", document.id, masked(document.text)[:EXCERPT], masked(sentences)[:EXCERPT])
    yield from _dropped(stages["sentences"], number)


def _excerpts(before: str, after: str) -> tuple[str, str]:
    """Both texts around their first difference."""
    before, after = masked(before), masked(after)
    alike = zip(before, after, strict=False)
    first = next((place for place, (one, other) in enumerate(alike) if one != other), min(len(before), len(after)))
    start = max(0, first - BEFORE_CHANGE)
    return before[start : start + EXCERPT], after[start : start + EXCERPT]


def _dropped(counts: dict[str, Any], number: int) -> Iterator[Example]:
    for heading, found in counts.get("examples", {}).items():
        replaced = heading.startswith(REPLACED)
        for example in found[:number]:
            before, after = example["text"], example["detail"]
            if not replaced:
                before, after = masked(before), f"dropped; {masked(after)}".removesuffix("; ")
            yield Example(heading, example["id"], before[:EXCERPT], after[:EXCERPT])
