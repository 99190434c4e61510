"""Against a stub of the package on the path: what is sent, and what a second start of a run sends."""

import json
import sys
from pathlib import Path

import pytest

from data_pipeline.contract.errors import InputError
from pretrain.monitoring.metrics import MetricsWriter
from pretrain.monitoring.weights_and_biases import WandbRun

STUB = '''
import json, pathlib

class Run:
    """Like wandb's: it counts the steps that it has got, over all processes that resumed it by its id."""
    def __init__(self, options):
        self.path = pathlib.Path(options["dir"]) / f"sent-{options['id']}.jsonl"
        self._tell({"init": options})
        self.step = max([line["step"] + 1 for line in self._lines() if "step" in line], default=0)
    def _lines(self):
        return [json.loads(line) for line in self.path.read_text().splitlines()]
    def _tell(self, value):
        with open(self.path, "a") as stream:
            stream.write(json.dumps(value) + "\\n")
    def log(self, values, step):
        self._tell({"step": step, "values": values})
    def finish(self):
        self._tell({"finished": True})

def init(**options):
    return Run(options)
'''


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "packages" / "wandb").mkdir(parents=True)
    (tmp_path / "packages" / "wandb" / "__init__.py").write_text(STUB)
    monkeypatch.syspath_prepend(tmp_path / "packages")
    monkeypatch.delitem(sys.modules, "wandb", raising=False)


@pytest.mark.usefixtures("stub")
def test_two_starts_of_a_run_are_one_run_that_gets_each_step_once(tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    folder.mkdir()
    for start, steps in ((0, (1, 2, 3)), (1, (2, 3, 4))):
        writer = MetricsWriter(folder, start, [WandbRun("korean", folder, "run", {"seed": 0})])
        for step in steps:
            writer.write(step, {"loss": 1.0 / step, "mfu": None})
        writer.close()
    (sent,) = folder.glob("sent-*.jsonl")
    lines = [json.loads(line) for line in sent.read_text().splitlines()]
    assert [line["step"] for line in lines if "step" in line] == [1, 2, 3, 4]
    assert [line["values"] for line in lines if "step" in line][1] == {"loss": 0.5}
    assert sum("finished" in line for line in lines) == 2
    options = lines[0]["init"]
    assert (options["project"], options["name"], options["resume"]) == ("korean", "run", "allow")
    assert options["config"] == {"seed": 0}


def test_a_missing_package_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(InputError, match=r"--training.wandb-project needs the package wandb.*install-only wandb"):
        WandbRun("korean", tmp_path, "run", {})
