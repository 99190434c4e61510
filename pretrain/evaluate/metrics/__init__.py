"""The official metrics of KLUE and of the Korean suite that KoELECTRA's tables use, quirks included.

Sources, as their docstrings abbreviate them: KLUE is github.com/KLUE-benchmark/KLUE-baseline at 8a03c94,
klue_baseline/metrics/functional.py, with scikit-learn 0.24.1; KoELECTRA is github.com/monologg/KoELECTRA at 024fbdd,
finetune/src/. What both compute oddly is said at each function, and where a corrected figure is meaningful, it stands beside
under another name. KLUE's and KorQuAD's values are percentages, KoELECTRA's others are fractions, as their own code returns them.
A value that is not defined (the mean of nothing, the correlation of a constant) is NaN.
"""

from pretrain.evaluate.metrics.table import METRICS, golden_value

__all__ = ["METRICS", "golden_value"]
