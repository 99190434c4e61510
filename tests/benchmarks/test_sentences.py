"""The model of kss_repaired can be made again, byte for byte; splitters are measured by what the field measures them by."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.sentences.labels import LABELS, labelled
from benchmarks.sentences.scores import boundary_counts, normalised_f1
from benchmarks.sentences.training import FRACTION_BITS, HIGHEST_LOGIT, TABLE_BITS, logistic_table, made_weights
from data_pipeline.corpus.steps.kss_repaired import scanner


def corpus(folder: Path) -> Path:
    (folder / "corpus").mkdir(parents=True)
    text = "집에 왔습니다. 밥을 먹었습니다. 잠을 잤습니다. 우리는 학교에 갔습니다. 비가 많이 왔습니다."
    with gzip.open(folder / "corpus/petitions_1.jsonl.gz", "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps({"content": f"{number} {text}"}) + "\n" for number in range(50))
    with gzip.open(folder / "corpus/reviews_train.jsonl.gz", "wt", encoding="utf-8") as lines:
        lines.writelines(
            json.dumps({"text": f"정말 재미있는 영화 {number}번째. 또 보고 싶다"}) + "\n" for number in range(20)
        )
    return folder


def test_the_same_text_gives_the_same_weights_which_find_ends_without_marks(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    data = corpus(tmp_path)
    made = made_weights(data)
    assert made.dtype == np.int8
    np.testing.assert_array_equal(made, made_weights(data))
    text = "밥을 먹었습니다 잠을 잤습니다"
    monkeypatch.setattr(scanner, "load_weights", lambda: made)
    assert scanner.repaired_starts(text) == [0, text.index("잠을")]
    monkeypatch.setattr(scanner, "load_weights", lambda: np.full_like(made, -1))
    assert scanner.repaired_starts(text) == [0]


def test_the_logistic_table_is_that_of_the_function() -> None:
    table = logistic_table()
    middle, one = HIGHEST_LOGIT << TABLE_BITS, 1 << FRACTION_BITS
    assert table[middle] == one // 2
    np.testing.assert_array_equal(table + table[::-1], one)
    assert table[middle + (1 << TABLE_BITS)] == round(one / (1 + np.exp(-1)))


DATA = Path(__file__).resolve().parents[2] / "../shared/data"


def test_normalised_f1_is_that_of_the_published_comparisons() -> None:
    text = "가나 다라. 마바 사아."
    labelled, middle = [0, 7], text.index("사")
    assert normalised_f1(text, labelled, labelled) == 1
    assert normalised_f1(text, labelled, [0]) == pytest.approx((2 * 5 / 15 + 0) / 2), (
        "one sentence counts for one label"
    )
    # Two of three are right for the first label and, the longer half, 3 of 5 letters for the second; one too many was found.
    assert normalised_f1(text, labelled, [0, 7, middle]) == pytest.approx((1 + 2 * 3 / 8) / 2 * 2 / 3)
    assert boundary_counts([0, 7, 9], [0, 9, 11]) == (1, 1, 1)


@pytest.mark.skipif(not DATA.is_dir(), reason="the labelled texts are not at ../shared/data")
def test_labels_are_of_the_texts_that_are_there() -> None:
    texts = labelled(DATA)
    assert sum(len(each.starts) for each in texts) >= 600
    assert {(each.kind, each.half) for each in texts} == {
        (kind, half) for kind in ("petitions", "reviews", "comments") for half in ("dev", "test")
    }
    for each in texts:
        assert not any(each.text[start].isspace() for start in (*each.starts, *each.second))
        assert each.starts[0] == 0
        assert list(each.starts) == sorted(set(each.starts))
    score = sum(
        normalised_f1(each.text, each.starts, scanner.repaired_starts(each.text)) * len(each.starts) for each in texts
    )
    assert score / sum(len(each.starts) for each in texts) >= 0.9


def test_labels_hold_no_text() -> None:
    assert not any("가" <= letter <= "힣" for letter in LABELS.read_text(encoding="utf-8"))
