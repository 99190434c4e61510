"""KcBERT-base (github Beomi/KcBERT): 12 layers, 768 wide, 30,000 entries, 300 positions, on 12.5 GB of news comments.

Command:  ./run_tpu.sh configs/kcbert.py      with the corpora below under corpora/
Size:     108,918,528 parameters without heads; 4.3e13 FLOPs a step.
Memory:   6.2 GiB of a v3 core's 16, with 32 rows a core (`python -m pretrain plan`; compiled, not run).
Time:     2.2 days on a v3-8 at 45 % MFU (8 cores of 61.5 TFLOP/s); arithmetic, not a run.
Expect:   NSMC 89.87, naver NER 85.00, KorSTS 75.94 after fine-tuning (LMkor's run with KoELECTRA's suite).
Tried:    three steps of two layers on a CPU, from petition text, and the export (tests/test_published_recipes.py).

Verified (README, issue 2, the vocabulary's file, config.json): comments under news, 12.5 GB or 89 million lines after cleaning; runs of one letter cut to two, lines under 10 characters and duplicates dropped; WordPiece of 30,000 entries, cased, without
[unusedN]; 300 positions; masked-LM with next-sentence prediction; 1,000,000 steps in about 2.5 days on a v3-8.

Unverified, and therefore our choice:
- batch, learning rate, warmup, weight decay, Adam's betas and epsilon;
- rows of 296 tokens: the longest multiple of 8 that 300 positions take;
- single pieces are hidden, 15 % with 80/10/10;
- emoji go: the README keeps them, and the clean() that it prints deletes them. Its vocabulary was made of a tenth of the lines;
- which comments make a pair: a line is a document here, and the first of a pair of one sentence is followed by a random one.
"""

from data_pipeline.recipe import (
    Clean,
    DataRecipe,
    Decontamination,
    KoreanFilter,
    LengthFilter,
    NearDuplicates,
    SentencePairs,
    SentenceSplit,
    Source,
    Vocabulary,
)
from pretrain.models.bert.config import BertConfig
from pretrain.objectives.masked_lm.recipe import MaskedLM
from pretrain.recipe import Optimizer, TrainingRecipe

data = DataRecipe(
    sources=(
        Source(
            "lines", "corpora/comments/*.txt*", name="comments", licence="terms of its data set", vocabulary_weight=0.1
        ),
    ),
    evaluation_fraction=0.001,
    clean=Clean(foreign_characters=True, max_repeats=2),
    near_duplicates=NearDuplicates(enabled=False),  # the README names exact ones
    length=LengthFilter(min_chars=10, unit="document"),
    decontamination=Decontamination(across_sentences=False, strict_short=False),
    sentences=SentenceSplit(splitter="kss"),
    korean=KoreanFilter(letters="all"),
    vocabulary=Vocabulary(size=30_000, unused=0, scheme="plain"),
    examples=SentencePairs(length=296),
    word_unit="token",
)

training = TrainingRecipe(
    model=BertConfig(max_position_embeddings=300, attention_probs_dropout_prob=0.1),
    objective=MaskedLM(),
    optimizer=Optimizer(learning_rate=1e-4, warmup_steps=10_000),
    global_batch_size=256,
    max_steps=1_000_000,
    scan_unroll=12,
)
