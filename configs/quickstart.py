"""A tiny BERT from the sample corpus in a few minutes on two CPU cores: the whole road, end to end.

Command:  ./run_tpu.sh
"""

from pathlib import Path

from data_pipeline.recipe import (
    DataRecipe,
    Decontamination,
    KoreanFilter,
    LengthFilter,
    Packed,
    SentenceSplit,
    Source,
    Vocabulary,
)
from pretrain.models.bert.config import BertConfig
from pretrain.recipe import Checkpoints, Evaluation, Optimizer, TrainingRecipe

SAMPLE = Path(__file__).parent.parent / "data_pipeline" / "sample_corpus"

data = DataRecipe(
    sources=(
        Source("jsonl", str(SAMPLE / "train.jsonl"), name="sample", licence="Apache-2.0", evaluation_fraction=0.0),
        Source(
            "jsonl",
            str(SAMPLE / "held_out.jsonl"),
            name="sample-held-out",
            licence="Apache-2.0",
            evaluation_fraction=1.0,
        ),
    ),
    length=LengthFilter(min_chars=20, unit="document"),
    decontamination=Decontamination(
        benchmarks=(str(SAMPLE / "benchmark.json"),), across_sentences=False, strict_short=False
    ),
    sentences=SentenceSplit(splitter="kss"),
    korean=KoreanFilter(letters="all"),
    # Not the default scheme: what README.md shows was measured with it.
    vocabulary=Vocabulary(size=4000, unused=100, scheme="klue", character_coverage=1.0),
    examples=Packed(length=128),
)

training = TrainingRecipe(
    model=BertConfig(
        num_hidden_layers=2,
        hidden_size=128,
        num_attention_heads=2,
        intermediate_size=512,
        max_position_embeddings=128,
    ),
    optimizer=Optimizer(learning_rate=2e-3, warmup_steps=30),
    checkpoints=Checkpoints(every_steps=100),
    evaluation=Evaluation(every_steps=100),
    global_batch_size=32,
    max_steps=300,
    compute_dtype="float32",
    log_every_steps=50,
)
