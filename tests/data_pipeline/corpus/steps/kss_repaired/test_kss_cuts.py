"""The feature is what KSS 1.3.1 does."""

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from data_pipeline.corpus.steps.kss_repaired.characters import character_classes
from data_pipeline.corpus.steps.kss_repaired.kss_cuts import kss_rules, mark_kss_cuts

kss = pytest.importorskip("kss", reason="KSS 1.3.1 is not installed: run_tests.sh installs it")

SYLLABLES = "했갔이하싶서면고는라를며해도가만죠있않네데세요다요다요다ㅋㅎㅠ^;)~, 가나마"


def ours(text: str) -> list[str]:
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    cuts = np.zeros(len(codes), np.uint8)
    mark_kss_cuts(codes, character_classes(), kss_rules(), 0, len(codes), cuts)
    starts = [0, *np.flatnonzero(cuts).tolist(), len(text)]
    return [text[start:end].strip() for start, end in itertools.pairwise(starts)]


@settings(max_examples=1000, deadline=None)
@example("가요하")
@given(st.text(st.sampled_from(SYLLABLES), max_size=30))
def test_text_without_stops_and_quotes_is_cut_as_kss_cuts_it(text: str) -> None:
    assert [each for each in ours(text) if each] == [each for each in kss.split_sentences(text) if each]


def test_stops_are_not_seen() -> None:
    assert ours("집에 갔다. 일을 했다! 또 왔다") == ["집에 갔다.", "일을 했다!", "또 왔다"]
