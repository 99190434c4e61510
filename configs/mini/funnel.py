"""A small Funnel (discriminator of blocks of 1, 1 and 1 layers and a decoder of 1, 256 wide; rows of 128) for one's own text on two CPU
cores: text to two proven exports.

Command:  ./run_tpu.sh configs/mini/funnel.py --source 'petitions:PATH/petitions_*.jsonl.gz'

Tried:    109 of its steps on one month of petitions, and both exports, within 8e-6 of transformers' logits. The held-out AUC at step 100
          is 0.55; what configs/mini/electra.py says of a discriminator in ten minutes is to be expected here too.

The generator has as many layers, and a quarter of the heads and of the feed-forward layers; the table is one.
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
from pretrain.models.funnel.config import FunnelConfig
from pretrain.objectives.replaced_token.recipe import Generator, ReplacedToken
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
    examples=FullSentences(length=128, cross_documents=False),
    word_unit="token",  # as google-research/electra
    part_megabytes=4,
)

training = TrainingRecipe(
    model=FunnelConfig(
        block_sizes=(1, 1, 1),
        num_decoder_layers=1,
        d_model=256,
        n_head=4,
        d_inner=1024,
        hidden_dropout=0.0,
        attention_dropout=0.0,
    ),
    objective=ReplacedToken(generator=Generator(hidden_share=0.25)),
    optimizer=Optimizer(learning_rate=1e-3, warmup_steps=100, beta2=0.98),
    checkpoints=Checkpoints(every_steps=250, every_minutes=10),
    evaluation=Evaluation(every_steps=250, rows=512),
    global_batch_size=16,
    max_steps=1_500,
    compute_dtype="float32",
    log_every_steps=25,
)
