import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike
from tiny_run import write_records

from data_pipeline.contract.records import Records
from data_pipeline.contract.run_folder import RunFolder
from pretrain.input.batches import READERS, STAGES
from pretrain.planning.bench_input import measure, print_speed, records_eaten


def test_the_stages_of_making_batches_are_measured(records_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measured = measure(Records(records_folder, "train"), rows=16, seconds=0.2)
    assert measured.rows % 16 == 0
    assert 0.2 <= measured.seconds < 2
    assert all(measured.stages[stage] > 0 for stage in STAGES)
    assert sum(measured.stages.values()) < READERS * measured.seconds
    print_speed(RunFolder(records_folder.parent), 32, 16, 0.1)
    printed = capsys.readouterr().out
    assert "50 records of 32 tokens, in batches of 16" in printed
    assert re.search(r"^made +[\d,]+ rows/s, ", printed, re.MULTILINE)
    assert "times what a v3-8 eats" in printed
    assert "several times" not in printed


@pytest.mark.parametrize("corpus", [1, 3, 17])
def test_a_corpus_of_fewer_rows_than_a_batch_is_measured_as_any_other(
    tmp_path: Path, corpus: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each row of a batch is read and counted, also where it is one of the batch before."""
    write_records(tmp_path / "examples", train=corpus)
    read: list[int] = []
    fetch = Records.fetch

    def counted(self: Records, indices: ArrayLike) -> np.ndarray:
        read.append(np.size(indices))
        return fetch(self, indices)

    monkeypatch.setattr(Records, "fetch", counted)
    records = Records(tmp_path / "examples", "train")
    measured = measure(records, rows=64, seconds=0.1)
    assert measured.rows == sum(read[2:])  # after those that open the shards and warm up
    print_speed(RunFolder(tmp_path), None, 64, 0.1)
    assert "a batch holds records several times: fewer than --rows 64" in capsys.readouterr().out


def test_one_batch_is_measured_however_short_the_time(records_folder: Path) -> None:
    measured = measure(Records(records_folder, "train"), rows=16, seconds=1e-9)
    assert measured.rows >= 16
    assert measured.seconds > 1e-9


def test_a_v3_8_at_45_percent_eats_what_the_plan_says(records_folder: Path) -> None:
    """docs/plan.md, before rounding: 375,930 tokens/s of klue_bert_base's rows."""
    header = Records(records_folder, "train").header
    klue = type(header)(**{**vars(header), "length": 512, "vocabulary_size": 32_000})
    assert records_eaten(klue) == pytest.approx(375_930 / 512, rel=1e-3)
