"""A small ModernBERT for Korean, of mmBERT-small's layers: 22 of them, 384 wide, 50,000 entries, rows of 1,024 tokens, then of 8,192.

Command:  ./run_tpu.sh configs/modern_small.py      with the corpora of modern_base.py under corpora/
Size:     61,389,696 parameters without heads, 42 million of them in layers, as mmBERT-small.
Memory:   see python -m pretrain plan modern_small --on v5e-8. A v3 takes it: its 6 heads have 1.6 GB of scores a row of 8,192 tokens, of
          which remat attention keeps none.
Time:     15.0 hours on a v5e-8, 48.1 on a v3-8, at 45 % MFU; arithmetic, not a run.
Expect:   no loss is published, and nobody has run this recipe.

Verified (mmBERT-small.yaml): sizes. Everything else is modern_base.py's, its unverified choices too; mmBERT trains both sizes alike.
"""

from dataclasses import replace

from configs.modern_base import data as base_data
from configs.modern_base import training as base
from pretrain.models.modernbert.config import ModernBertConfig

data = base_data

training = replace(base, model=ModernBertConfig(hidden_size=384, num_attention_heads=6))
