"""A small KoBERT (4 layers, 256 wide, sentence pairs of 128) for one's own text on two CPU cores: text to a proven export.

Command:  ./run_tpu.sh configs/mini/kobert.py --source 'petitions:PATH/petitions_*.jsonl.gz'

KoBERT's kind throughout: a Unigram vocabulary of 8,002 entries in KoBERT's order, single pieces hidden, masked-LM with next-sentence
prediction. What makes it learn from the context within minutes is configs/mini/bert.py's: 40 % of the tokens hidden (Wettig et
al. 2023, arXiv 2202.08005), many small steps, no dropout. And Muon: with AdamW (1e-3) 1,000 steps end above what is known without
context, for pairs have fewer tokens a row than packed rows.
"""

from data_pipeline.recipe import (
    KOBERT_VOCABULARY,
    DataRecipe,
    Decontamination,
    KoreanFilter,
    LengthFilter,
    SentencePairs,
    SentenceSplit,
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
    vocabulary=KOBERT_VOCABULARY,
    examples=SentencePairs(length=128),
    word_unit="token",
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
    optimizer=Optimizer(name="muon", learning_rate=2e-3, warmup_steps=100, beta2=0.98),
    checkpoints=Checkpoints(every_steps=250, every_minutes=10),
    evaluation=Evaluation(every_steps=250, rows=512),
    global_batch_size=16,
    max_steps=1500,
    compute_dtype="float32",
    scan_unroll=4,
    log_every_steps=25,
)
