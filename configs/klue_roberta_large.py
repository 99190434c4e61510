"""KLUE-RoBERTa-large (Park et al. 2021, arXiv 2105.09680): KLUE-RoBERTa-base with 24 layers, 1,024 wide, and half the steps.

Command:  ./run_tpu.sh configs/klue_roberta_large.py      with the corpora of klue_bert_base.py under corpora/
Size:     335,606,784 parameters without heads (336,656,384 with transformers' pooler, as published); 2.1e15 FLOPs a step.
Memory:   13.3 GiB of a v3 core's 16, with 32 accumulated batches of 8 rows a core; 16 of 16 rows take 16.8 and do not fit
          (`python -m pretrain plan`; compiled, not run).
Time:     55 days on a v3-8 at 45 % MFU (8 cores of 61.5 TFLOP/s), 3.4 days on 8 H100; arithmetic, not a run.
Expect:   no loss is published. KLUE's results after fine-tuning are the measure, and nobody has run this recipe.

Verified: 24 layers, 1,024 wide, 16 heads, 4,096 in the feed-forward layer (config.json). Unverified: 500,000 steps; all that
klue_roberta_base.py says.
"""

from dataclasses import replace

from configs.klue_roberta_base import data as data
from configs.klue_roberta_base import training as base
from pretrain.models.roberta.config import RobertaConfig

training = replace(
    base,
    model=RobertaConfig(
        num_hidden_layers=24,
        hidden_size=1024,
        num_attention_heads=16,
        intermediate_size=4096,
        attention_probs_dropout_prob=0.1,
    ),
    accumulation=32,  # 8 rows a core at a time
    max_steps=500_000,
    scan_unroll=1,
)
