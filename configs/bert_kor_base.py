"""bert-kor-base of LMkor (github kiyoungkim1/LMkor): 12 layers, 768 wide, 42,000 entries, lower-cased, on 70 GB of reviews and web text.

Command:  ./run_tpu.sh configs/bert_kor_base.py      with the corpora below under corpora/
Size:     118,297,344 parameters without heads; 7.8e13 FLOPs a step.
Memory:   7.0 GiB of a v3 core's 16, with 32 rows a core (`python -m pretrain plan`; compiled, not run).
Time:     7.8 days on a v3-8 at 45 % MFU (8 cores of 61.5 TFLOP/s); arithmetic, not a run.
Expect:   NSMC 90.87, KorNLI 82.32, KorSTS 84.31, naver NER 87.27 after fine-tuning (LMkor's README, its own settings).
Tried:    three steps of two layers on a CPU, from petition text, and the export (tests/test_published_recipes.py).

Verified (README and its history, copies of config.json, a log of the checkpoint's heads): 100 million reviews and 20 million pages, MODU,
Wikipedia and NamuWiki, 100 GB cleaned to 70 GB or 12.7 billion tokens; all but Hangul, Latin letters, digits and some marks deleted;
40,000 sub-words and 2,000 unused rows, lower-cased without stripping accents; sizes; whole words hidden; a next-sentence head; batch 256,
learning rate 1e-4, 1.9 million steps. That is 19.6 epochs of its text at 512 tokens.

Unverified, and therefore our choice:
- which marks stay (KcBERT's class of characters), how short a sentence may be, how duplicates were found;
- the word (BertPreTokenizer's), 15 % with 80/10/10 a piece, masks new in each epoch;
- warmup of 10,000 steps, weight decay, Adam's betas and epsilon; that next-sentence pairs are Google's.
The README's history has the learning rate at 5e-5 first, corrected as a typo.
"""

from data_pipeline.recipe import (
    LMKOR_VOCABULARY,
    Clean,
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
        Source("jsonl", "corpora/reviews/*.jsonl*", name="reviews", licence="not public", category_field="category"),
        Source("jsonl", "corpora/blogs/*.jsonl*", name="blogs", licence="not public", category_field="category"),
        Source("modu", "corpora/modu/*.json", name="MODU", licence="NIKL agreement, no redistribution"),
        Source("wikipedia", "corpora/kowiki/*pages-articles*.xml.bz2", name="kowiki", licence="CC BY-SA 3.0"),
        Source("namuwiki", "corpora/namuwiki/*.json", name="NAMUWIKI", licence="CC BY-NC-SA 2.0 KR"),
    ),
    evaluation_fraction=0.001,
    clean=Clean(foreign_characters=True),
    decontamination=Decontamination(across_sentences=False, strict_short=False),
    sentences=SentenceSplit(splitter="kss"),
    korean=KoreanFilter(letters="all"),
    vocabulary=LMKOR_VOCABULARY,
    examples=SentencePairs(length=512),
    word_unit="bert_word",
)

training = TrainingRecipe(
    model=BertConfig(attention_probs_dropout_prob=0.1),
    objective=MaskedLM(),
    optimizer=Optimizer(learning_rate=1e-4, warmup_steps=10_000),
    global_batch_size=256,
    max_steps=1_900_000,
    scan_unroll=12,
)
