"""The model of kss_repaired can be made again, byte for byte, and learns ends from marked text."""

import gzip
import json
from pathlib import Path

import numpy as np

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
    monkeypatch.setattr(scanner, "load_weights", lambda: np.zeros_like(made))
    assert scanner.repaired_starts(text) == [0]


def test_the_logistic_table_is_that_of_the_function() -> None:
    table = logistic_table()
    middle, one = HIGHEST_LOGIT << TABLE_BITS, 1 << FRACTION_BITS
    assert table[middle] == one // 2
    np.testing.assert_array_equal(table + table[::-1], one)
    assert table[middle + (1 << TABLE_BITS)] == round(one / (1 + np.exp(-1)))
