"""A small T5 (4 + 4 layers, 256 wide, version 1.1's layers) that learns to fill in spans of text, on a few CPU cores or any accelerator.

Command:  ./run_tpu.sh configs/mini/t5.py --source 'petitions:PATH/petitions_*.jsonl.gz'
Then:     python -m pretrain fill RUN_DIR --text '청와대는 [unused0] 답변을 [unused1] 바랍니다.'

Cut from t5_kor_small: rows of 128 tokens, whose 126 of text become sources of 120 and targets of 32; without dropout, for few steps.
"""

from data_pipeline.recipe import (
    DataRecipe,
    Decontamination,
    FullSentences,
    KoreanFilter,
    LengthFilter,
    SentenceSplit,
    Vocabulary,
)
from pretrain.models.t5.config import T5Config
from pretrain.objectives.span_corruption.recipe import SpanCorruption
from pretrain.recipe import Checkpoints, Evaluation, Optimizer, TrainingRecipe

data = DataRecipe(
    sources=(),
    evaluation_fraction=0.03,
    length=LengthFilter(min_chars=30, unit="document"),
    decontamination=Decontamination(across_sentences=False, strict_short=False),
    sentences=SentenceSplit(splitter="kss"),
    korean=KoreanFilter(letters="all"),
    # Not the default scheme: that of mini/bert, so that the small recipes compare.
    vocabulary=Vocabulary(size=8_000, unused=100, scheme="klue"),
    examples=FullSentences(length=128),
    part_megabytes=4,
)

training = TrainingRecipe(
    model=T5Config(
        num_layers=4,
        num_decoder_layers=4,
        d_model=256,
        d_kv=64,
        num_heads=4,
        d_ff=512,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
        dropout_rate=0.0,
    ),
    objective=SpanCorruption(),
    optimizer=Optimizer(name="adafactor", learning_rate=1e-2, warmup_steps=100, weight_decay=0.0),
    checkpoints=Checkpoints(every_steps=250, every_minutes=10),
    evaluation=Evaluation(every_steps=100, rows=512),
    global_batch_size=16,
    max_steps=1_000,
    compute_dtype="float32",
    scan_unroll=4,
    log_every_steps=25,
)
