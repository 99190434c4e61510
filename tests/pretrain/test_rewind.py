"""A step whose gradient norm is far above its running mean: skipped, or left behind by going back to the last checkpoint."""

import json
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from compiled_once import once
from tiny_run import TINY, changed, record_read_at, untimed

from data_pipeline.contract.errors import UnfinishedError, WorkError
from data_pipeline.contract.run_folder import RunFolder
from pretrain import loop
from pretrain.checkpoints.store import CheckpointStore
from pretrain.checkpoints.verify import facts_of, fault, list_steps, step_folder
from pretrain.devices.preemption import Notice
from pretrain.monitoring.inspect import print_batch
from pretrain.objectives.masked_lm.objective import MaskedLanguageModelling
from pretrain.objectives.protocols import Batch, Prepared, Sums
from pretrain.optimization.step import CompiledSteps, make_steps
from pretrain.recipe import SpikeGuard
from pretrain.train import train

pytestmark = pytest.mark.usefixtures("shared_programs")
REWIND = changed(TINY, spikes=SpikeGuard("rewind", threshold=2.0, mean_steps=2))
SKIP = changed(REWIND, spikes={"action": "skip"})
NewRun = Callable[..., RunFolder]


@once
def spiking_steps(record_ids: tuple[int, ...], *arguments: Any) -> CompiledSteps:
    """Programs of the runs in which these records spike; they are not those of other runs."""
    return make_steps(*arguments)


@pytest.fixture
def spiking(new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> Callable[..., RunFolder]:
    """Makes a run of one epoch in which the batches of some steps spike: the losses of a record and its neighbour count a hundredfold."""
    of_steps = set[int]()
    prepare, loss_sums = MaskedLanguageModelling.prepare, MaskedLanguageModelling.loss_sums

    def prepare_loud(self: MaskedLanguageModelling, batch: Batch, step: jax.Array | None) -> Prepared:
        loud = jnp.isin(batch["record_ids"], jnp.array([-1, *sorted(of_steps)]))
        return {**prepare(self, batch, step), "loud": loud & (step is not None)}

    def loud_sums(self: MaskedLanguageModelling, params: Any, microbatch: Prepared, key: Any) -> Sums:
        factor = jnp.where(microbatch["loud"], 100.0, 1.0).max()
        sums = loss_sums(self, params, microbatch, key)
        return {name: {**of_loss, "loss_sum": factor * of_loss["loss_sum"]} for name, of_loss in sums.items()}

    monkeypatch.setattr(MaskedLanguageModelling, "prepare", prepare_loud)
    monkeypatch.setattr(MaskedLanguageModelling, "loss_sums", loud_sums)

    def make(name: str, *steps: int) -> RunFolder:
        run = new_run(name, train=400)
        of_steps.clear()
        of_steps.update(record_read_at(run, step) for step in steps)
        monkeypatch.setattr(loop, "make_steps", partial(spiking_steps, tuple(sorted(of_steps))))
        return run

    return make


def leaving_out(run: RunFolder, *ranges: list[int], **fields: Any) -> RunFolder:
    """A run of the same records that leaves batches out from its second step on by hand, and spikes nowhere."""
    train(run, "tiny", changed(REWIND, stop_at_step=2, **fields))
    store = CheckpointStore(run.checkpoints, 3)
    store.amend(2, {"left_out": list(ranges)})
    train(run, "tiny", changed(REWIND, **fields))
    return run


def test_training_goes_back_before_a_spike_and_reads_on_behind_it(
    spiking: Callable[..., RunFolder], caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    run = spiking("run", 4)
    with caplog.at_level(logging.INFO):
        train(run, "tiny", REWIND)
    assert "a spike; its batch is in" in caplog.text
    assert "going back to step 2; the batches of steps 3 to 4 are left out (1 of at most 10 times)" in caplog.text
    assert (run.metrics / "rejected" / "step-00000004.npz").exists()
    facts = {step: facts_of(step_folder(run.checkpoints, step)) for step in list_steps(run.checkpoints)}
    assert {step: each["left_out"] for step, each in facts.items()} == {2: [[2, 4]], 4: [[2, 4]], 6: [[2, 4]]}
    assert all(fault(step_folder(run.checkpoints, step)) is None for step in facts)
    assert facts[6]["rejected_updates"] == 0, "the spike was left behind"
    assert [line["step"] for line in untimed(run) if "loss" in line] == [1, 2, 3, 4, 5, 6]
    assert not any(line.get("rejected") for line in untimed(run))
    starts = json.loads((run.metrics / "goodput.json").read_text())
    assert [start["from_step"] for start in starts] == [0, 2]
    assert starts[1]["lost"] > 0

    by_hand = leaving_out(spiking("by hand"), [2, 4])
    assert untimed(run) == untimed(by_hand)
    elsewhere = leaving_out(spiking("elsewhere"), [2, 4], mesh={"data": 2, "fsdp": 4}, accumulation=2)
    for one, other in zip(untimed(run), untimed(elsewhere), strict=True):
        assert one == pytest.approx(other, rel=1e-4, abs=1e-4)
    assert [line["loss"] for line in untimed(run) if "loss" in line] != [
        line["loss"] for line in untimed(leaving_out(spiking("all read"))) if "loss" in line
    ]

    capsys.readouterr()
    print_batch(run, 3, 2)
    behind = capsys.readouterr().out.partition("\n")[2]
    print_batch(RunFolder(run.path.parent / "all read"), 5, 2)
    assert capsys.readouterr().out.partition("\n")[2] == behind, "inspect shows what the step reads"


def test_steps_that_were_taken_before_the_spike_was_noticed_are_taken_again(spiking: Callable[..., RunFolder]) -> None:
    """Without log lines between, the spike of step 3 is noticed when step 4 is to be saved, which it is not then."""
    run, quiet = spiking("run", 3), {"log_every_steps": 100}
    train(run, "tiny", changed(REWIND, **quiet))
    assert facts_of(step_folder(run.checkpoints, 4))["left_out"] == [[2, 3]]
    by_hand = leaving_out(spiking("by hand"), [2, 3], **quiet)
    found, expected = ([line for line in untimed(each) if "evaluation_loss" in line] for each in (run, by_hand))
    assert found == expected
    (line,) = (line for line in untimed(run) if "loss" in line)
    assert (line["step"], line["rejected"]) == (6, 0), "the line tells of the steps that count"


class Killed(BaseException):
    """As kill -9: nothing catches it."""


@pytest.fixture
def unbroken(spiking: Callable[..., RunFolder]) -> RunFolder:
    run = spiking("unbroken", 4, 7)
    train(run, "tiny", REWIND)
    last = facts_of(step_folder(run.checkpoints, 6))
    assert last["left_out"] == [[2, 4], [4, 5]], (
        "step 5 reads what step 7 would have, were two steps' batches not left out"
    )
    return run


@pytest.mark.parametrize("moment", ["before it is kept", "after it is kept", "by SIGTERM"])
def test_a_run_stopped_while_it_goes_back_is_the_run_that_was_not(
    spiking: Callable[..., RunFolder], unbroken: RunFolder, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    amend = CheckpointStore.amend

    def amend_and_die(self: CheckpointStore, step: int, facts: dict[str, Any]) -> None:
        if moment.startswith("after"):
            amend(self, step, facts)
        raise Killed

    run = spiking("run", 4, 7)
    with monkeypatch.context() as patch:
        if moment == "by SIGTERM":
            patch.setattr(Notice, "stops_after", lambda self, done: done == 4)
        else:
            patch.setattr(CheckpointStore, "amend", amend_and_die)
        with pytest.raises(UnfinishedError if moment == "by SIGTERM" else Killed):
            train(run, "tiny", REWIND)
    kept = [] if moment.startswith("before") else [[2, 4]]
    assert facts_of(step_folder(run.checkpoints, 2))["left_out"] == kept
    train(run, "tiny", REWIND)
    assert untimed(run) == untimed(unbroken)
    facts = [facts_of(step_folder(each.checkpoints, 6)) for each in (run, unbroken)]
    assert facts[0]["left_out"] == facts[1]["left_out"]


def test_a_run_goes_back_so_often_and_no_more(spiking: Callable[..., RunFolder]) -> None:
    run = spiking("run", 4, 7)
    with pytest.raises(
        WorkError, match=r"step 5 is a spike.* gone back 1 times already; --training.spikes.max-rewinds allows 1"
    ):
        train(run, "tiny", changed(REWIND, spikes={"max_rewinds": 1}))


def test_a_spike_is_skipped_where_that_is_wanted_or_there_is_no_checkpoint_yet(
    spiking: Callable[..., RunFolder],
) -> None:
    run = spiking("skip", 4)
    train(run, "tiny", SKIP)
    assert [line["rejected"] for line in untimed(run) if "loss" in line] == [0, 0, 0, 1, 0, 0]
    facts = facts_of(step_folder(run.checkpoints, 6))
    assert (facts["left_out"], facts["rejected_updates"]) == ([], 1)
    early = spiking("early", 4)
    train(early, "tiny", changed(REWIND, checkpoints={"every_steps": 0}))
    assert untimed(early) == untimed(run)


def test_a_guard_may_come_and_go_when_a_run_is_resumed(new_run: NewRun) -> None:
    """A threshold that no step reaches: the guard only watches."""
    watched, alone = new_run("watched"), new_run("alone")
    guarded = changed(SKIP, spikes={"threshold": 1e6})
    for recipe, stop in ((TINY, 2), (guarded, 4), (TINY, 6)):
        train(watched, "tiny", changed(recipe, stop_at_step=stop))
    train(alone, "tiny", TINY)
    for one, other in zip(untimed(watched), untimed(alone), strict=True):
        assert one == pytest.approx(other, rel=1e-5)
