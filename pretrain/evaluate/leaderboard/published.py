"""Published scores, in points, one run each. What a table leaves out stays out.

Sources: github.com/KLUE-benchmark/KLUE at 3efd987; kakaobank/KF-DeBERTa; monologg/KoELECTRA at 024fbdd, with the rows of
kiyoungkim1/LMkor at a0212cd, Beomi/KcELECTRA, snunlp/KR-ELECTRA and team-lucid/deberta-v3-base-korean.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pretrain.evaluate.tasks.task import Split, Task


@dataclass(frozen=True)
class Published:
    """A row of a published table.

    - `split`: what was scored; None where that is `Task.scored` of each task.
    - `scores`: points by metric.
    """

    model: str
    source: str
    split: Split | None
    scores: Mapping[str, float]


def best_on_scored(row: Published, task: Task) -> bool:
    """Whether a score is that of the epoch which is best on the very file that was scored."""
    return row.split in (None, task.scored) and task.select == "best_on_scored"


def _rows(source: str, split: Split | None, metrics: str, lines: str) -> Iterator[Published]:
    """The rows of a table: a name, a colon, and for each metric a number or `-`."""
    for line in lines.strip().splitlines():
        model, _, values = line.partition(":")
        scores = dict(zip(metrics.split(), values.split(), strict=True))
        found = {metric: float(value) for metric, value in scores.items() if value != "-"}
        yield Published(model.strip(), source, split, found)


KLUE_METRICS = """
ynat_macro_f1 klue_sts_pearsonr klue_sts_f1 klue_nli_acc klue_ner_entity_macro_f1 klue_ner_char_macro_f1 klue_re_micro_f1 klue_re_auprc
klue_dp_uas_macro_f1 klue_dp_las_macro_f1 klue_mrc_em klue_mrc_rouge_w wos_jga wos_slot_micro_f1
"""
"""Which average the tables' UAS and LAS are is not stated; the macro average is what the baseline selects by."""

KOREAN_METRICS = "nsmc_acc naver_ner_f1 paws_acc kornli_acc korsts_spearman question_pair_acc korquad_em korquad_f1 hate_speech_macro_f1"

KLUE_TEST = """
mBERT-base:          81.55 84.66 76.00 73.20 76.50 89.23 57.88 53.82 90.30 86.66 44.66 55.92 35.46 88.63
XLM-R-base:          83.52 89.16 82.01 77.33 80.37 92.12 57.46 54.98 89.20 87.69 27.48 53.93 39.82 89.61
XLM-R-large:         86.06 92.97 85.86 85.93 82.27 93.22 58.39 61.15 92.71 88.70 35.99 66.77 41.20 89.80
KR-BERT-base:        84.58 88.61 81.07 77.17 74.58 90.13 62.74 60.94 89.92 87.48 48.28 58.54 45.33 90.70
KoELECTRA-base v3:   84.59 92.46 84.84 85.63 86.11 92.56 62.85 58.94 92.90 87.77 59.82 66.05 41.58 89.60
KLUE-BERT-base:      85.73 90.85 82.84 81.63 83.97 91.39 66.44 66.17 89.96 88.05 62.32 68.51 46.64 91.61
KLUE-RoBERTa-small:  84.98 91.54 85.16 79.33 83.65 91.14 60.89 58.96 90.04 88.14 57.32 62.70 46.62 91.44
KLUE-RoBERTa-base:   85.07 92.50 85.40 84.83 84.60 91.44 67.65 68.55 93.04 88.32 68.67 73.98 47.49 91.64
KLUE-RoBERTa-large:  85.69 93.35 86.63 89.17 85.00 91.86 71.13 72.98 93.48 88.36 75.58 80.59 50.22 92.23
"""

KLUE_DEV = """
mBERT-base:          82.64 82.97 75.93 72.90 75.56 88.81 58.39 56.41 88.53 86.04 49.96 55.57 35.27 88.60
KR-BERT-base:        85.36 87.50 77.92 77.10 74.97 90.46 62.83 65.42 92.87 87.13 48.95 58.38 45.60 90.82
KoELECTRA-base v3:   85.99 93.14 85.89 86.87 86.06 92.75 62.67 57.46 90.93 87.07 59.54 65.64 39.83 88.91
KLUE-BERT-base:      86.95 91.01 83.44 79.87 83.71 91.17 65.58 68.11 93.07 87.25 62.42 68.15 46.72 91.59
KLUE-RoBERTa-small:  85.95 91.70 85.42 81.00 83.55 91.20 61.26 60.89 93.47 87.50 58.25 63.56 46.65 91.50
KLUE-RoBERTa-base:   86.19 92.91 86.78 86.30 83.81 91.09 66.73 68.11 93.75 87.77 69.56 74.64 47.41 91.60
KLUE-RoBERTa-large:  85.88 93.20 86.13 89.50 84.54 91.45 71.06 73.33 93.84 87.93 75.26 80.30 49.39 92.19
KF-DeBERTa-base:     87.51 93.24 87.73 88.37 89.17 93.30 69.70 75.07 94.05 87.97 72.59 78.08 50.21 92.59
"""

KOREAN = """
KoBERT:                       89.59 87.92 81.25 79.62 81.59 94.85 51.75 79.15 66.21
XLM-R-base:                   89.03 86.65 82.80 80.23 78.45 93.80 64.70 88.94 64.06
HanBERT:                      90.06 87.70 82.95 80.32 82.73 94.72 78.74 92.02 68.32
KcBERT-base:                  89.87 85.00 67.40 75.57 75.94 93.93 60.25 84.39 68.78
KcELECTRA-base-v2022:         91.97 87.35 76.50 82.12 83.67 95.12 69.00 90.40 -
KoELECTRA-base v1:            90.33 87.18 81.70 80.64 82.00 93.54 60.86 89.28 66.09
KoELECTRA-base v2:            89.56 87.16 80.70 80.72 82.30 94.85 84.01 92.40 67.45
KoELECTRA-base v3:            90.63 88.11 84.45 82.24 85.53 95.25 84.83 93.45 67.61
KoELECTRA-small v3:           89.36 85.40 77.45 78.60 80.79 94.85 82.11 91.13 63.07
KR-ELECTRA (tuned settings):  91.17 87.90 82.05 82.51 85.41 95.51 84.93 93.04 74.50
team-lucid DeBERTa-v3-base:   91.22 -     85.5  82.81 84.46 95.77 -     -     -
albert-kor-base:              89.45 82.66 81.20 79.42 81.76 94.59 -     -     65.44
bert-kor-base:                90.87 87.27 82.80 82.32 84.31 95.25 -     -     68.45
electra-kor-base:             91.29 87.20 85.50 83.11 85.46 95.78 -     -     66.03
funnel-kor-base:              91.36 88.02 83.90 -     84.52 95.51 -     -     68.18
"""
"""KoELECTRA's table and those of later models in its manner. KorQuAD is scored on dev. KcBERT's are LMkor's run, but KorQuAD's its own."""

PUBLISHED = (
    *_rows("KLUE's README", "test", KLUE_METRICS, KLUE_TEST),
    *_rows("KF-DeBERTa's README", "dev", KLUE_METRICS, KLUE_DEV),
    *_rows("KoELECTRA's README and later ones", None, KOREAN_METRICS, KOREAN),
)
