"""An export is compared with transformers in all that it holds, and quietly."""

from pathlib import Path

import numpy as np
import pytest
from families import FAMILIES, drawn, stored

from data_pipeline.contract.errors import WorkError
from pretrain.exporting.fine_tuned import PROOF_TEXTS
from pretrain.exporting.proof import difference_of, prove
from pretrain.subject import Subject, load_subject


@pytest.mark.parametrize("name", ["bert", "albert"])
def test_pooler_and_pair_head_are_compared_too(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("transformers")
    folder = stored(tmp_path, *drawn(FAMILIES[name].config, frozenset({"pair", "vocabulary"})))
    capfd.readouterr()
    assert prove(folder, PROOF_TEXTS, 16).endswith(", the pair head's too")
    told = capfd.readouterr()
    assert told.out + told.err == ""
    answer = Subject.pair_logits
    monkeypatch.setattr(Subject, "pair_logits", lambda self, *rows: answer(self, *rows) + np.float32(1e-3))
    with pytest.raises(WorkError, match=r"logits differ from transformers' by 1\.0e-03"):
        prove(folder, PROOF_TEXTS, 16)


def test_a_logit_that_is_no_number_is_a_difference(tmp_path: Path) -> None:
    subject = load_subject(stored(tmp_path, *drawn(FAMILIES["bert"].config, frozenset({"vocabulary"}))))
    ours, attends = np.zeros((1, 2, 3), np.float32), np.array([[1, 0]])
    theirs = ours.copy()
    theirs[0, 1] = np.nan
    assert difference_of(subject, theirs, ours, attends) == 0, "of padding"
    theirs[0, 0, 1] = np.nan
    assert difference_of(subject, theirs, ours, attends) == float("inf")
