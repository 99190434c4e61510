import logging

import pytest

from pretrain.input.batches import STAGES, StageSeconds
from pretrain.monitoring.data_wait import DataWait


def test_waiting_for_data_is_told_once_with_the_slowest_stage(caplog: pytest.LogCaptureFixture) -> None:
    spent = StageSeconds()
    watch = DataWait(spent)

    def look(step: int, waited: float) -> None:
        spent.seconds.update(order=2.0, reading=1.0, decoding=6.0, transfer=1.0)
        watch.look(step, waited, 10.0)

    with caplog.at_level(logging.WARNING):
        look(50, 5.0)  # the first batches have to be made before the first step
        look(100, 0.1)
        assert not caplog.records
        look(150, 0.5)
        look(200, 0.5)
        assert len(caplog.records) == 1
        words = caplog.records[0].getMessage()
        assert "step 150: 5.0% of the time is waiting for data (2% is borne); most of their making is decoding" in words
        assert "order 20%, reading 10%, decoding 60%, transfer 10%" in words
        look(250, 0.1)
        look(300, 0.3)
    assert len(caplog.records) == 2
    assert spent.seconds == dict.fromkeys(STAGES, 0.0)
