from pathlib import Path

import pytest

from data_pipeline.contract.records import Records
from data_pipeline.contract.run_folder import RunFolder
from pretrain.input.batches import STAGES
from pretrain.planning.bench_input import measure, print_speed, records_eaten


def test_the_stages_of_making_batches_are_measured(records_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measured = measure(Records(records_folder, "train"), rows=16, seconds=0.2)
    assert measured.records % 16 == 0
    assert 0 < sum(measured.stages.values()) < 2
    assert all(measured.stages[stage] > 0 for stage in STAGES)
    print_speed(RunFolder(records_folder.parent), 32, 16, 0.1)
    printed = capsys.readouterr().out
    assert "50 records of 32 tokens, in batches of 16" in printed
    assert "times what a v3-8 eats" in printed


def test_a_v3_8_at_45_percent_eats_what_the_plan_says(records_folder: Path) -> None:
    """docs/plan.md: 375,930 tokens/s of klue_bert_base's rows."""
    header = Records(records_folder, "train").header
    klue = type(header)(**{**vars(header), "length": 512, "vocabulary_size": 32_000})
    assert records_eaten(klue) == pytest.approx(375_930 / 512, rel=1e-3)
