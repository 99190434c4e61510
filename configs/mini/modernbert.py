"""A small ModernBERT (4 layers, 256 wide, packed rows of 128) for one's own text on two CPU cores: text to a proven export.

Command:  ./run_tpu.sh configs/mini/modernbert.py --source 'petitions:PATH/petitions_*.jsonl.gz'

Its first and last layer see all positions, the two between them 16 to each side. What makes it learn from the context within minutes is
configs/mini/bert.py's: 40 % of the tokens hidden (Wettig et al. 2023, arXiv 2202.08005), many small steps, no dropout.
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
from pretrain.models.modernbert.config import ModernBertConfig
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
    examples=Packed(length=128),
    part_megabytes=4,
)

training = TrainingRecipe(
    model=ModernBertConfig(
        num_hidden_layers=4,
        hidden_size=256,
        num_attention_heads=4,
        intermediate_size=640,
        local_attention=32,
        global_rope_theta=10_000.0,
        max_position_embeddings=128,
        attention_out_dropout=0.0,
    ),
    objective=MaskedLM(masking=Masking(rate=0.4)),
    optimizer=Optimizer(learning_rate=1e-3, warmup_steps=100, beta2=0.98, schedule="warmup_stable_decay"),
    checkpoints=Checkpoints(every_steps=250, every_minutes=10),
    evaluation=Evaluation(every_steps=250, rows=512),
    global_batch_size=16,
    max_steps=1000,
    compute_dtype="float32",
    scan_unroll=4,
    log_every_steps=25,
)
