"""The official values: those that the original functions gave, and the corrected ones that their README names."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from data_pipeline.contract.errors import InputError
from pretrain.evaluate.metrics import METRICS, golden_value

ROOT = Path(__file__).resolve().parents[4]
GOLDEN = ROOT / "../shared/golden_metrics/golden_open.json"
CASES = json.loads(GOLDEN.read_text(encoding="utf-8")) if GOLDEN.exists() else []
golden = pytest.mark.skipif(not CASES, reason="the golden values are not at ../shared/golden_metrics")


def inputs_of(metric: str, case: str) -> dict[str, Any]:
    return next(found["inputs"] for found in CASES if (found["metric"], found["case"]) == (metric, case))


@golden
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['metric']}-{case['case']}")
def test_a_metric_has_the_value_of_the_original_function(case: dict[str, Any]) -> None:
    expected = math.nan if case["expected"] is None else case["expected"]
    assert golden_value(case["metric"], case["inputs"]) == pytest.approx(expected, abs=1e-9, nan_ok=True)
    if "expected_recent" in case:
        recent = golden_value(f"{case['metric']}_recent", case["inputs"])
        assert recent == pytest.approx(case["expected_recent"], abs=1e-9)


@golden
@pytest.mark.parametrize(
    ("corrected", "official", "case", "value"),
    [
        ("klue_ner_char_macro_f1_without_o", "klue_ner_char_macro_f1", "edge", 63.28),
        ("wos_slot_pooled_f1", "wos_slot_micro_f1", "edge", 58.82),
        ("klue_mrc_em_normalized", "klue_mrc_em", "unicode", 61.54),
        ("klue_mrc_rouge_w_without_autojunk", "klue_mrc_rouge_w", "edge", 43.53),
    ],
)
def test_a_corrected_metric_stands_beside_under_a_name_of_its_own(
    corrected: str, official: str, case: str, value: float
) -> None:
    inputs = inputs_of(official, case)
    assert golden_value(corrected, inputs) == pytest.approx(value, abs=0.005)
    assert golden_value(official, inputs) != pytest.approx(value, abs=0.1)


@golden
def test_every_golden_metric_is_tried() -> None:
    assert len({case["metric"] for case in CASES}) == 22
    assert {case["metric"] for case in CASES} < set(METRICS)


def test_an_unknown_metric_and_a_missing_input_are_named() -> None:
    with pytest.raises(InputError, match=r"there is no metric klue_nli_acu; did you mean klue_nli_acc\?"):
        golden_value("klue_nli_acu", {})
    with pytest.raises(InputError, match="klue_re_auprc needs the inputs probs, labels; missing: labels"):
        golden_value("klue_re_auprc", {"probs": []})


@pytest.mark.parametrize(("module", "package"), [("sklearn", "scikit-learn"), ("seqeval", "seqeval")])
def test_a_missing_package_is_named_with_its_extra(module: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from pretrain.evaluate.metrics.libraries import check_libraries

    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        InputError, match=f"evaluation needs the package {package},.*run_tpu.sh --install-only evaluate`"
    ):
        check_libraries()


def test_the_room_is_imported_without_its_packages_and_without_jax() -> None:
    code = (
        "import sys, pretrain.evaluate.metrics, pretrain.evaluate.leaderboard.statistics; "
        "print([m for m in ('sklearn', 'scipy', 'seqeval', 'jax') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
