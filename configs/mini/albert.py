"""A small ALBERT (one layer run 4 times, 256 wide, embeddings of 128; sentence pairs of 128) for one's own text on two CPU cores.

Command:  ./run_tpu.sh configs/mini/albert.py --source 'petitions:PATH/petitions_*.jsonl.gz'
Expect:   not run to its end yet; 100 of its steps on one month of petitions give a proven export.

Masked LM with sentence order. What makes the other small recipes learn from the context within minutes is taken over from
configs/mini/bert.py: 40 % of the tokens hidden (Wettig et al. 2023, arXiv 2202.08005), many small steps, no dropout; AdamW, for LAMB is
made for batches of thousands of rows.
"""

from data_pipeline.recipe import (
    DataRecipe,
    Decontamination,
    KoreanFilter,
    LengthFilter,
    SentenceOrder,
    SentenceSplit,
    Vocabulary,
)
from pretrain.models.albert.config import AlbertConfig
from pretrain.objectives.masked_lm.recipe import MaskedLM
from pretrain.recipe import Checkpoints, Evaluation, Masking, Optimizer, TrainingRecipe

data = DataRecipe(
    sources=(),
    evaluation_fraction=0.03,
    length=LengthFilter(min_chars=30, unit="document"),
    decontamination=Decontamination(across_sentences=False, strict_short=False),
    sentences=SentenceSplit(splitter="kss"),
    korean=KoreanFilter(letters="all"),
    # Not the default scheme: that of mini/bert, so that the small recipes compare.
    vocabulary=Vocabulary(size=8_000, unused=100, scheme="klue"),
    examples=SentenceOrder(length=128),
    part_megabytes=4,
)

training = TrainingRecipe(
    model=AlbertConfig(
        num_hidden_layers=4,
        hidden_size=256,
        embedding_size=128,
        num_attention_heads=4,
        intermediate_size=1024,
        max_position_embeddings=128,
    ),
    objective=MaskedLM(masking=Masking(rate=0.4)),
    optimizer=Optimizer(learning_rate=1e-3, warmup_steps=100, beta2=0.98),
    checkpoints=Checkpoints(every_steps=250, every_minutes=10),
    evaluation=Evaluation(every_steps=250, rows=512),
    global_batch_size=16,
    max_steps=1000,
    compute_dtype="float32",
    scan_unroll=4,
    log_every_steps=25,
)
