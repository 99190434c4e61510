"""albert-kor-base of LMkor (github kiyoungkim1/LMkor): an ALBERT of 12 layers, 768 wide, 42,000 entries, lower-cased, on 70 GB of reviews
and web text.

Command:  ./run_tpu.sh configs/albert_kor_base.py      with the corpora below under corpora/
Size:     13,186,816 parameters with its pooler, for the 12 layers share one layer's; 1.4e14 FLOPs a step, as many as a BERT's.
Memory:   not compiled for a v3-8 yet: python -m benchmarks.plan --recipes albert_kor_base --on v3-8
Time:     6.7 days on a v3-8 at 45 % MFU (8 cores of 61.5 TFLOP/s); arithmetic, not a run.
Expect:   NSMC 89.45, naver NER 82.66, PAWS 81.20, KorNLI 79.42, KorSTS 81.76, question pairs 94.59, hate speech 65.44 after
          fine-tuning (LMkor's README, its own settings); no loss was published.
Tried:    three steps of two layers on a CPU, from petition text, and the export (tests/test_published_recipes.py).

Verified (README and its history, tokenizer_config.json): the text and vocabulary of bert-kor-base: 100 GB cleaned to 70 GB, all but Hangul, Latin
letters, digits and some marks deleted, 40,000 sub-words and 2,000 unused rows; 256 tokens, batch 1,024, learning rate 5e-4, 0.9 million
steps (0.25 million at first): 236 billion tokens. Secondary (config.json of smartmind/albert-kor-base-tweak, made of it): sizes, tables 128
wide, 256 positions, one group of one layer, no dropout.

Unverified, and therefore our choice, which is Google's code (google-research/albert) that LMkor is taken to have run:
- sentence order, which ALBERT has by default and the README does not mention;
- LAMB without bias correction, 3,125 steps of warmup, weight decay 0.01, Adam's betas and epsilon; decay counted from step 0;
- n-grams of 1 to 3 whole words (BertPreTokenizer's) with weights 1/n, 15 % with 80/10/10 by piece, drawn again in each epoch;
- kernels and tables drawn within two deviations;
- which marks stay (KcBERT's class of characters), how short a sentence may be, how duplicates were found.
"""

from data_pipeline.recipe import (
    LMKOR_VOCABULARY,
    Clean,
    DataRecipe,
    Decontamination,
    KoreanFilter,
    SentenceOrder,
    SentenceSplit,
    Source,
)
from pretrain.models.albert.config import AlbertConfig
from pretrain.objectives.corruption.recipe import ZIPF
from pretrain.objectives.masked_lm.recipe import MaskedLM
from pretrain.recipe import Masking, Optimizer, TrainingRecipe

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
    examples=SentenceOrder(length=256),
    word_unit="bert_word",
)

training = TrainingRecipe(
    model=AlbertConfig(max_position_embeddings=256, initializer="truncated_normal"),
    objective=MaskedLM(masking=Masking(ngrams=ZIPF)),
    optimizer=Optimizer(  # google-research/albert, optimization.py and lamb_optimizer.py
        name="lamb",
        learning_rate=5e-4,
        warmup_steps=3_125,
        bias_correction=False,
        decay_from="start",
    ),
    global_batch_size=1024,
    max_steps=900_000,
    scan_unroll=12,
)
