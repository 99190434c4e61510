"""KoBERT (SKT T-Brain 2019, github SKTBrain/KoBERT): 12 layers, 768 wide, 8,002 entries, on Korean Wikipedia and news.

Command:  ./run_tpu.sh configs/kobert.py      with the corpora below under corpora/
Size:     92,186,880 parameters without heads; 7.5e13 FLOPs a step.
Memory:   6.7 GiB of a v3 core's 16, with 32 rows a core (`python -m pretrain plan`; compiled, not run).
Time:     3.9 days on a v3-8 at 45 % MFU (8 cores of 61.5 TFLOP/s); arithmetic, not a run.
Expect:   masked accuracy 0.75, next-sentence accuracy 0.988 (the curves in KoBERT's repository; KR-BERT's page says 0.750 too).
Tried:    three steps of two layers on a CPU, from petition text, and the export (tests/test_published_recipes.py).

Verified (config.json, model files, README and its history, TensorBoard image): sizes and dropouts; the vocabulary (SentencePiece
Unigram at coverage 0.9995, nmt_nfkc, entries by code point behind [UNK] [PAD] [CLS] [SEP] [MASK] = 0..4, so padding is 1); masked-LM with
next-sentence prediction at 512 tokens; 5 million sentences of Wikipedia and 20 million of news; peak learning rate 1e-4, linear.

Unverified, and therefore our choice:
- batch and steps: the authors do not know the steps. 256 and 1,000,000 are Google's. On 32 V100s it took about two months;
- warmup, masking rate (15 % with 80/10/10), weight decay, Adam's betas and epsilon;
- single pieces are hidden, not whole words;
- how the text was filtered.
KoBERT's own entries, and so its ids: --data.vocabulary.given kobert_news_wiki_ko_cased.spiece (docs/vocabulary.md).
"""

from data_pipeline.recipe import (
    KOBERT_VOCABULARY,
    DataRecipe,
    Decontamination,
    KoreanFilter,
    SentencePairs,
    SentenceSplit,
    Source,
)
from pretrain.models.bert.config import BertConfig
from pretrain.objectives.masked_lm.recipe import MaskedLM
from pretrain.recipe import Optimizer, TrainingRecipe

data = DataRecipe(
    sources=(
        Source("wikipedia", "corpora/kowiki/*pages-articles*.xml.bz2", name="kowiki", licence="CC BY-SA 3.0"),
        Source("jsonl", "corpora/news/*.jsonl*", name="news", licence="not public"),
    ),
    evaluation_fraction=0.001,
    decontamination=Decontamination(across_sentences=False, strict_short=False),
    sentences=SentenceSplit(splitter="kss"),
    korean=KoreanFilter(letters="all"),
    vocabulary=KOBERT_VOCABULARY,
    examples=SentencePairs(length=512),
    word_unit="token",
)

training = TrainingRecipe(
    model=BertConfig(attention_probs_dropout_prob=0.1),
    objective=MaskedLM(),
    optimizer=Optimizer(learning_rate=1e-4, warmup_steps=10_000),
    global_batch_size=256,
    max_steps=1_000_000,
    scan_unroll=12,
)
