"""What conversions, fonts and line widths did to a text is put right, or counted, before it is cleaned."""

from pathlib import Path
from typing import Any

import pytest

from data_pipeline.contract.errors import InputError
from data_pipeline.corpus.document import Document, Dropped
from data_pipeline.corpus.steps.join_lines import join_lines
from data_pipeline.corpus.steps.repair import damage_counts, repairer
from data_pipeline.prepare.packages import require_packages
from data_pipeline.recipe import DataRecipe, Repair, Source

OLD = "나랏\u302e말\u302f\uebd4미\u302e"


def repaired(text: str, **fields: Any) -> str | Dropped:
    result = repairer(Repair(**fields))(Document("a:1", "s", text))
    return result if isinstance(result, Dropped) else result.text


def counts(text: str, **fields: Any) -> dict[str, int]:
    return damage_counts(text, text.encode(), Repair(**fields))


def test_a_document_goes_where_too_much_of_it_was_lost() -> None:
    text = "글" * 95 + "\ufffd" * 5
    assert repaired(text) == text
    assert repaired(text, max_lost_share=0.0499) == Dropped(
        Document("a:1", "s", text), "lost characters", "5.0% of its characters are U+FFFD"
    )
    assert isinstance(repaired("글\ufffd", max_lost_share=0), Dropped)
    assert repaired("글", max_lost_share=0) == "글"
    assert repaired("\ufffd", max_lost_share=1) == "\ufffd"


def test_damaged_characters_are_counted_where_there_are_any() -> None:
    assert counts("한국어 글, 漢字, 😀 １２") == {}
    assert counts("a\ufffd\ufffd\ue283") == {"lost_characters": 2, "private_use": 1}
    assert counts("\uf072 a bullet of Word's symbol font") == {}


def test_hanyang_is_mapped_on_demand_and_counted() -> None:
    assert repaired(OLD) == OLD
    assert counts(OLD) == {"private_use": 1}
    pytest.importorskip("hypua2jamo", reason="the extra [hanyang] is not installed")
    assert repaired(OLD, hanyang=True) == "나랏\u302e말\u302f\u110a\u119e미\u302e"
    assert counts(f"{OLD}\uf072", hanyang=True) == {"hanyang": 1}


def test_hanyang_without_its_package_is_told_before_the_work_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "hypua2jamo", None)
    with pytest.raises(
        InputError, match=r"--data\.repair\.hanyang needs the package hypua2jamo.*--install-only hanyang"
    ):
        require_packages(DataRecipe(sources=(Source("lines", "a"),), repair=Repair(hanyang=True)))


@pytest.mark.parametrize(
    ("wrapped", "joined"),
    [
        # At a width, inside words, with the blanks kept and without.
        ("서울특별시는 대한민국의 \n수도이자 최대 도시로서 \n한강을 끼고 발달한 정치\n와 경제의 중심지이다.", "서울특별시는 대한민국의 수도이자 최대 도시로서 한강을 끼고 발달한 정치와 경제의 중심지이다."),
        ("우리 회사는 내년 상반기에 신\n규 공장을 착공하여 고용을 많\n이 늘릴 계획이라고 밝혔다.", "우리 회사는 내년 상반기에 신규 공장을 착공하여 고용을 많이 늘릴 계획이라고 밝혔다."),
        # Between words.
        ("우리 회사는 내년 상반기에\n신규 공장을\n착공하여 고용을 두 배로\n늘린다.", "우리 회사는 내년 상반기에 신규 공장을 착공하여 고용을 두 배로 늘린다."),
        ("우리는 학교에 갔다.\r\n비가 와서 우산을\r\n들고 갔다.", "우리는 학교에 갔다.\n비가 와서 우산을 들고 갔다."),
        # What ends, and what begins anew.
        ("그는 “네.”\n하고 말했다.", "그는 “네.”\n하고 말했다."),
        ("우리가 사야 할 것은 다음과 같다\n- 사과와 배\n- 빵과 우유", "우리가 사야 할 것은 다음과 같다\n- 사과와 배\n- 빵과 우유"),
        ("차례\n우리는 오늘 아침 일찍 학교에 걸어서 갔다.", "차례\n우리는 오늘 아침 일찍 학교에 걸어서 갔다."),
        ("첫 글이 여기 있고\n\n둘째 글이 여기 있다", "첫 글이 여기 있고\n\n둘째 글이 여기 있다"),
        ("한 줄", "한 줄"),
        ("", ""),
    ],
)  # fmt: skip
def test_hard_wrapped_lines_are_joined(wrapped: str, joined: str) -> None:
    assert join_lines(wrapped) == joined
    assert repaired(wrapped, join_lines=True) == joined
    assert repaired(wrapped) == wrapped


def test_joining_keeps_every_character_but_line_ends() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert "".join(join_lines(text).split()) == "".join(text.split())
