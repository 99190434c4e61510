"""A small RoBERTa (4 layers, 256 wide, packed rows of 128) for one's own text on two CPU cores: text to a proven export.

Command:  ./run_tpu.sh configs/mini/roberta.py --source 'petitions:PATH/petitions_*.jsonl.gz'

No sentence pairs, other masks in each epoch, positions from pad_token_id + 1 on, in each segment of a row. What makes it learn from
the context within minutes is configs/mini/bert.py's: 40 % of the tokens hidden (Wettig et al. 2023, arXiv 2202.08005), many
small steps, no dropout.
"""

from dataclasses import replace

from data_pipeline.recipe import (
    KLUE_ROBERTA_VOCABULARY,
    DataRecipe,
    Decontamination,
    KoreanFilter,
    LengthFilter,
    Packed,
    SentenceSplit,
)
from pretrain.models.roberta.config import RobertaConfig
from pretrain.objectives.masked_lm.recipe import MaskedLM
from pretrain.recipe import Checkpoints, Evaluation, Masking, Optimizer, TrainingRecipe

data = DataRecipe(
    sources=(),
    evaluation_fraction=0.03,
    length=LengthFilter(min_chars=30, unit="document"),
    decontamination=Decontamination(across_sentences=False, strict_short=False),
    sentences=SentenceSplit(splitter="kss"),
    korean=KoreanFilter(letters="all"),
    vocabulary=replace(KLUE_ROBERTA_VOCABULARY, size=8_000, unused=100),
    examples=Packed(length=128),
    part_megabytes=4,
)

training = TrainingRecipe(
    model=RobertaConfig(
        num_hidden_layers=4,
        hidden_size=256,
        num_attention_heads=4,
        intermediate_size=1024,
        max_position_embeddings=130,  # 128, and one for each id up to [PAD]'s, which is 1
        hidden_dropout_prob=0.0,
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
