"""What is lost is counted by source and reason, and the examples are drawn by hash, whoever counted what."""

import random
import unicodedata

import pytest

from data_pipeline.corpus.document import HOLE, Document, Dropped
from data_pipeline.corpus.sources.lines import Unreadable
from data_pipeline.corpus.steps.clean import cleaner
from data_pipeline.corpus.steps.pseudonyms.step import pseudonymiser
from data_pipeline.corpus.steps.split_sentences import sentence_splitter
from data_pipeline.corpus.tally import EXAMPLES_PER_REASON, Tally, merged
from data_pipeline.recipe import Clean, Pseudonyms, SentenceSplit

DROPS = [Dropped(Document(f"a.txt:{line}", "s", f"짧은 글 {line}"), "too short") for line in range(200)]


def counted(drops: list[Dropped]) -> dict:
    tally = Tally()
    for dropped in drops:
        tally.drop_document(dropped)
    return tally.counts()


def test_examples_are_drawn_from_all_of_a_file_whatever_its_parts_and_their_order() -> None:
    whole = counted(DROPS)["examples"]["documents: too short"]
    assert len(whole) == EXAMPLES_PER_REASON
    assert [each["id"] for each in whole] != [f"a.txt:{line}" for line in range(EXAMPLES_PER_REASON)]
    for seed in range(5):
        draw = random.Random(seed)
        mixed = draw.sample(DROPS, len(DROPS))
        parts = [counted(mixed[start : start + 37]) for start in range(0, len(mixed), 37)]
        assert merged(draw.sample(parts, len(parts)))["examples"]["documents: too short"] == whole


def test_of_unreadable_records_the_first_are_shown() -> None:
    tally = Tally()
    for line in range(20):
        tally.add_bad(Unreadable(f"a.jsonl:{line}", "not JSON"))
    shown = merged([tally.counts(), tally.counts()])["examples"]["records: unreadable"]
    assert [each["id"] for each in shown] == [f"a.jsonl:{line}" for line in range(EXAMPLES_PER_REASON)]


def test_of_damaged_files_the_first_are_told() -> None:
    tallies = [Tally() for _ in range(EXAMPLES_PER_REASON + 2)]
    for number, tally in enumerate(tallies):
        tally.add_damage(Unreadable(f"{number}.json:1", "cut off", ends=True, unread=7))
    counts = merged(tally.counts() for tally in tallies)
    assert [each["place"] for each in counts["damage"]] == [f"{number}.json:1" for number in range(EXAMPLES_PER_REASON)]
    assert (counts["damaged_files"], counts["unread_bytes"]) == (len(tallies), 7 * len(tallies))


def test_examples_of_pseudonyms_are_drawn_alike_one_of_a_document() -> None:
    split, step = sentence_splitter(SentenceSplit()), pseudonymiser(Pseudonyms(), 0)

    def counts(lines: list[int]) -> dict:
        tally = Tally()
        for line in lines:
            text = f"제 번호는 010-4823-{7000 + line} 입니다. 다른 번호는 010-4823-{8000 + line} 입니다."
            before = split(Document(f"a.txt:{line}", "s", text))
            assert isinstance(before, Document)
            after = step(before)
            assert isinstance(after, Document)
            tally.count_replaced(before, after)
        return tally.counts()

    whole = counts(list(range(60)))
    assert whole["replaced"] == {"s": {"mobile": 120}}
    [(heading, shown)] = whole["examples"].items()
    assert len({each["id"] for each in shown}) == len(shown) == EXAMPLES_PER_REASON
    parts = [counts(list(range(start, 60, 7))) for start in reversed(range(7))]
    assert merged(parts)["examples"][heading] == shown


@pytest.mark.parametrize(
    ("raw", "recipe", "rules"),
    [
        ("가나다 라마바 사", Clean(), {}),
        ("가<br>나다 <b>라</b>", Clean(), {"HTML tags": 3 + 3 + 4}),
        ("좋은 곳이다 #맛집 #서울", Clean(), {"hashtags": 7, "blanks": 1}),
        ("가&nbsp;나&lt;다", Clean(), {"entities": 5 + 3}),
        ("가\u200b나\ufeff다\ufffd", Clean(), {"broken characters": 3}),
        ("가() 나", Clean(), {"empty brackets": 2}),
        ("가  나 \n\n 다", Clean(), {"blanks": 4}),
        ("ㅋㅋㅋㅋㅋㅋ 가", Clean(max_repeats=2), {"repeats": 4}),
        (unicodedata.normalize("NFD", "각"), Clean(), {"NFC": 2}),
        ("일본 東京에 갔다", Clean(foreign_characters=True), {"blanks": 1, "foreign characters": 1}),
        ("비가 왔다. ⓒ 신문사", Clean(copyright_lines=True), {"blanks": 2, "copyright lines": 4}),
    ],
)
def test_cleaning_tells_what_each_rule_took(raw: str, recipe: Clean, rules: dict[str, int]) -> None:
    cleaned = cleaner(recipe)(Document("a:1", "s", raw))
    assert isinstance(cleaned, Document)
    assert dict(cleaned.cleaned) == rules
    assert sum(rules.values()) == len(raw) - len(cleaned.text)
    tally = Tally()
    tally.count_cleaned(cleaned)
    expected = {rule: {"documents": 2, "characters": 2 * number} for rule, number in rules.items()}
    assert merged([tally.counts(), tally.counts()])["cleaned"] == ({"s": expected} if rules else {})


def test_what_a_format_leaves_out_is_added_up() -> None:
    tally = Tally()
    tally.skip("wiki", "redirects", 1, 30)
    tally.skip("wiki", "templates", 12, 900)
    both = merged([tally.counts(), tally.counts()])["skipped"]
    assert both == {
        "wiki": {"redirects": {"number": 2, "file_bytes": 60}, "templates": {"number": 24, "file_bytes": 1800}}
    }


def test_holes_are_shown_in_examples() -> None:
    tally = Tally()
    tally.drop_document(Dropped(Document("a:1", "s", f"넓이는 {HOLE}{HOLE}이다"), "short", ""))
    assert [each["text"] for each in tally.counts()["examples"]["documents: short"]] == ["넓이는 [...]이다"]
