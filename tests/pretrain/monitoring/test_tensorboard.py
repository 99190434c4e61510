from pathlib import Path

import pytest
from tensorboardX.proto.event_pb2 import SessionLog
from tiny_run import read_events

from pretrain.monitoring.metrics import MetricsWriter
from pretrain.monitoring.tensorboard import preformatted


def test_scalars_and_texts_come_back_from_the_event_file(tmp_path: Path) -> None:
    writer = MetricsWriter(tmp_path, 40)
    writer.write_text(40, "recipe", preformatted({"seed": 3}))
    writer.write(41, {"loss": 0.5, "mfu": None, "grad_norm": float("inf")})
    writer.close()
    version, start, text, scalars = read_events(tmp_path)
    assert version.file_version == "brain.Event:2"
    assert (start.step, start.session_log.status) == (41, SessionLog.START)
    assert (text.step, text.summary.value[0].tag) == (40, "recipe/text_summary")
    assert text.summary.value[0].tensor.string_val[0].decode() == '    {\n      "seed": 3\n    }\n'
    assert [(value.tag, value.simple_value) for value in scalars.summary.value] == [("loss", 0.5)]
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 41, "loss": 0.5, "mfu": null, "grad_norm": null}\n'


@pytest.mark.parametrize("value", [0.0, 1e-30, 1e30])
def test_a_scalar_keeps_its_size(tmp_path: Path, value: float) -> None:
    writer = MetricsWriter(tmp_path, 0)
    writer.write(1, {"loss": value})
    writer.close()
    assert read_events(tmp_path)[-1].summary.value[0].simple_value == pytest.approx(value)
