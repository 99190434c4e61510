"""A small tied encoder-decoder (4 layers, 256 wide) that learns to write a petition's title from its text, on a few CPU cores or any
accelerator.

Command:  ./run_tpu.sh configs/mini/bert_shared.py --source 'petitions:PATH/petitions_*.jsonl.gz'
Then:     python -m pretrain fill RUN_DIR --text '청원의 본문'

Made for the Blue House petitions (3,052 in five months), whose documents begin with their titles; so do `pairs` (docs/data.md) and
`news`. Cut from bertshared_kor_base: sources of 128 tokens, targets of 32; without dropout, for few steps, and from nothing. With a
BERT of the same sizes and vocabulary (mini/bert's run) it begins better: --training.start-from RUN_DIR.
"""

from data_pipeline.recipe import (
    DataRecipe,
    Decontamination,
    KoreanFilter,
    LengthFilter,
    SentenceSplit,
    SourceTarget,
    Vocabulary,
)
from pretrain.models.bert_shared.config import BertSharedConfig
from pretrain.objectives.sequence_to_sequence.recipe import SequenceToSequence
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
    examples=SourceTarget(length=128, target_length=32, target="first_paragraph"),
    part_megabytes=4,
)

training = TrainingRecipe(
    model=BertSharedConfig(
        num_hidden_layers=4,
        hidden_size=256,
        num_attention_heads=4,
        intermediate_size=1024,
        max_position_embeddings=128,
        hidden_dropout_prob=0.0,
    ),
    objective=SequenceToSequence(),
    optimizer=Optimizer(learning_rate=1e-3, warmup_steps=100, beta2=0.98),
    checkpoints=Checkpoints(every_steps=250, every_minutes=10),
    evaluation=Evaluation(every_steps=100, rows=512),
    global_batch_size=16,
    max_steps=500,
    compute_dtype="float32",
    scan_unroll=4,
    log_every_steps=25,
)
