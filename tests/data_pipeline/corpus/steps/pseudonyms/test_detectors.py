"""How many of the labelled lines' values the detectors find, and how little else."""

import re
from collections import Counter
from pathlib import Path
from typing import get_args

from data_pipeline.corpus.steps.pseudonyms.line import Kind
from data_pipeline.corpus.steps.pseudonyms.step import find

_MARK = re.compile(r"\{(\w+):([^{}]+)\}")
Span = tuple[str, int, int]


def labelled() -> list[tuple[str, str, set[Span]]]:
    """Number of the line, its text without marks, and the values marked in it."""
    lines = []
    content = Path(__file__).with_name("labelled.tsv").read_text(encoding="utf-8")
    for number, line in enumerate(content.splitlines(), 1):
        if line.startswith("#"):
            continue
        text, spans, position = "", set(), 0
        marked = line.split("\t")[1]
        for mark in _MARK.finditer(marked):
            text += marked[position : mark.start()]
            spans.add((mark[1], len(text), len(text) + len(mark[2])))
            text += mark[2]
            position = mark.end()
        lines.append((f"labelled.tsv:{number}", text + marked[position:], spans))
    return lines


def found(text: str) -> set[Span]:
    return {(value.found.kind, value.start, value.end) for value in find(text)}


LABELLED = labelled()


def test_labelled_lines_hold_every_type_and_as_many_traps() -> None:
    assert sum(bool(spans) for _, _, spans in LABELLED) >= 200
    assert sum(not spans for _, _, spans in LABELLED) >= 200
    of_type = Counter(kind for _, _, spans in LABELLED for kind, _, _ in spans)
    assert set(of_type) == set(get_args(Kind))
    assert min(of_type.values()) >= 10


def test_precision_is_98_percent_and_recall_95_of_exact_spans() -> None:
    right, false, missed = Counter[str](), Counter[str](), Counter[str]()
    wrong = []
    for place, text, expected in LABELLED:
        actual = found(text)
        right.update(kind for kind, _, _ in actual & expected)
        false.update(kind for kind, _, _ in actual - expected)
        missed.update(kind for kind, _, _ in expected - actual)
        wrong += [f"{place}: found {kind} {text[start:end]!r}" for kind, start, end in sorted(actual - expected)]
        wrong += [f"{place}: missed {kind} {text[start:end]!r}" for kind, start, end in sorted(expected - actual)]
    report = "\n".join(
        f"{kind:17} {right[kind]:3} right {false[kind]:3} false {missed[kind]:3} missed" for kind in get_args(Kind)
    )
    print(report, *wrong, sep="\n")
    assert right.total() / (right.total() + false.total()) >= 0.98, (report, wrong)
    assert right.total() / (right.total() + missed.total()) >= 0.95, (report, wrong)
