"""A sentence that lacks a part goes with that reason and leaves a break; nothing of the sign for a hole is trained on."""

import pytest

from data_pipeline.corpus.document import HOLE, Document, Dropped
from data_pipeline.corpus.sources.holes import formula, without_lone_holes
from data_pipeline.corpus.steps.clean import cleaner
from data_pipeline.corpus.steps.holes import holes
from data_pipeline.corpus.steps.split_sentences import sentence_splitter
from data_pipeline.pipeline import Clean, Holes, SentenceSplit

TEXT = f"앞의 문장은 온전하다. 산의 높이는 {HOLE}이며, 면적은 {HOLE}이다. 뒤의 문장도 온전하다."


def split(text: str, clean: Clean | None = None) -> Document:
    cleaned = cleaner(clean or Clean())(Document("a:1", "source", text))
    assert isinstance(cleaned, Document)
    found = sentence_splitter(SentenceSplit())(cleaned)
    assert isinstance(found, Document)
    return found


@pytest.mark.parametrize("clean", [Clean(), Clean(foreign_characters=True, max_repeats=2)])
def test_a_sentence_with_a_hole_goes_and_leaves_a_break(clean: Clean) -> None:
    found = holes(Holes())(split(TEXT, clean))
    assert isinstance(found, Document)
    assert [(each.text, each.after_break) for each in found.sentences or ()] == [
        ("앞의 문장은 온전하다.", False),
        ("뒤의 문장도 온전하다.", True),
    ]
    [removed] = found.removed
    assert (removed.text, removed.reason) == ("산의 높이는 [...]이며, 면적은 [...]이다.", "hole")


def test_a_document_of_nothing_else_goes_with_that_reason() -> None:
    found = holes(Holes())(split(f"높이는 {HOLE}이다."))
    assert isinstance(found, Dropped)
    assert found.reason == "hole"


def test_where_they_are_kept_holes_are_closed() -> None:
    found = holes(Holes(drop=False))(split(f"{TEXT}\n{HOLE}"))
    assert isinstance(found, Document)
    assert [each.text for each in found.sentences or ()] == [
        "앞의 문장은 온전하다.",
        "산의 높이는이며, 면적은이다.",
        "뒤의 문장도 온전하다.",
    ]


def test_a_whole_document_stays_as_it_is() -> None:
    document = split("온전한 문장이다. 또 하나.")
    assert holes(Holes())(document) is document


@pytest.mark.parametrize(
    ("source", "shown"),
    [("n", "n"), (" x = 1 ", "x = 1"), ("f(x)", "f(x)"), (r"\frac{1}{2}", HOLE), ("", HOLE), ("x_1", HOLE)],
)
def test_plain_formulae_are_shown(source: str, shown: str) -> None:
    assert formula(source) == shown


@pytest.mark.parametrize(
    ("line", "left"), [(HOLE, ""), (f": {HOLE}{HOLE}.", ""), ("", ""), ("...", "..."), (f"{HOLE}이다.", f"{HOLE}이다.")]
)
def test_a_hole_alone_on_its_line_is_none(line: str, left: str) -> None:
    assert without_lone_holes(line) == left
