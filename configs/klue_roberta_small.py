"""KLUE-RoBERTa-small (Park et al. 2021, arXiv 2105.09680): KLUE-RoBERTa-base with 6 layers.

Command:  ./run_tpu.sh configs/klue_roberta_small.py      with the corpora of klue_bert_base.py under corpora/
Size:     67,500,288 parameters without heads (68,090,880 with transformers' pooler, as published); 3.2e14 FLOPs a step.
Memory:   7.4 GiB of a v3 core's 16, with 4 accumulated batches of 64 rows a core (`python -m pretrain plan`; compiled, not run).
Time:     16.8 days on a v3-8 at 45 % MFU (8 cores of 61.5 TFLOP/s), 1.0 day on 8 H100; arithmetic, not a run.
Expect:   no loss is published. KLUE's results after fine-tuning are the measure, and nobody has run this recipe.

Verified: 6 layers, 768 wide, 12 heads (README). Unverified: the feed-forward width 3072; all that klue_roberta_base.py says.
"""

from dataclasses import replace

from configs.klue_roberta_base import data as data
from configs.klue_roberta_base import training as base
from pretrain.models.roberta.config import RobertaConfig

training = replace(
    base,
    model=RobertaConfig(num_hidden_layers=6, attention_probs_dropout_prob=0.1),
    accumulation=4,  # 64 rows a core at a time
    scan_unroll=6,
)
