"""What the benchmark of pseudonyms publishes: judgements, and nobody's data."""

from benchmarks.pseudonyms import JUDGED, MEASURED, _scrambled


def test_context_keeps_only_words_that_tell_a_type() -> None:
    scrambled = _scrambled("홍길동 전화번호는 010-4823-7761, abc@x.kr")
    assert scrambled.startswith("○○○ 전화번호○ ")
    assert len(scrambled) == len("홍길동 전화번호는 010-4823-7761, abc@x.kr")
    assert not any(part in scrambled for part in ("010-", "4823", "7761", "abc", "길동"))


def test_judgements_are_complete_and_two_hundred_at_least() -> None:
    rows = [line.split("\t") for line in JUDGED.read_text(encoding="utf-8").splitlines()[1:]]
    assert {row[0] for row in rows} == {"right", "wrong"}
    assert sum(row[1] == MEASURED for row in rows) >= 200
    assert len({tuple(row[1:4]) for row in rows}) == len(rows)
