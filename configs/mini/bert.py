"""A small BERT (4 layers, 256 wide, sequences of 128) for one's own text on a few CPU cores or any accelerator.

Command:  ./run_tpu.sh configs/mini/bert.py --source 'petitions:PATH/petitions_*.jsonl.gz'
Made for the Blue House petitions (11 MB in five months), but any source does.

What BERT's published settings need tens of millions of tokens for, these begin in the first two epochs of petitions: to look at
the context instead of the frequency. They hide 40 % of the tokens (Wettig et al. 2023, arXiv 2202.08005: more predictions from
each token), take many small steps, and have a small vocabulary. For many epochs of much text, go back to 15 %, 32,000 and dropout 0.1.
"""

from data_pipeline.recipe import (
    DataRecipe,
    Decontamination,
    KoreanFilter,
    LengthFilter,
    Packed,
    SentenceSplit,
    Vocabulary,
)
from pretrain.models.bert.config import BertConfig
from pretrain.objectives.masked_lm.recipe import MaskedLM
from pretrain.recipe import Checkpoints, Evaluation, Masking, Optimizer, TrainingRecipe

data = DataRecipe(
    sources=(),
    evaluation_fraction=0.03,
    length=LengthFilter(min_chars=30, unit="document"),
    decontamination=Decontamination(across_sentences=False, strict_short=False),
    sentences=SentenceSplit(splitter="kss"),
    korean=KoreanFilter(letters="all"),
    # Not the default scheme: benchmarks/results/mini_curves.md was measured with it.
    vocabulary=Vocabulary(size=8_000, unused=100, scheme="klue"),
    examples=Packed(length=128),
    part_megabytes=4,
)

training = TrainingRecipe(
    model=BertConfig(
        num_hidden_layers=4,
        hidden_size=256,
        num_attention_heads=4,
        intermediate_size=1024,
        max_position_embeddings=128,
        hidden_dropout_prob=0.0,
    ),
    objective=MaskedLM(masking=Masking(rate=0.4)),
    optimizer=Optimizer(learning_rate=1e-3, warmup_steps=100, beta2=0.98),
    checkpoints=Checkpoints(every_steps=250, every_minutes=10),
    evaluation=Evaluation(every_steps=250, rows=512),
    global_batch_size=16,
    max_steps=1000,
    compute_dtype="float32",
    scan_unroll=4,  # a tenth faster on CPUs
    log_every_steps=25,
)
