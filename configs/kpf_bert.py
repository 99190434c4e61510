"""KPF-BERT (Korea Press Foundation, github KPFBERT/kpfbert): 12 layers, 768 wide, 36,440 entries, on 125 GB of news.

Command:  ./run_tpu.sh configs/kpf_bert.py      with the corpora below under corpora/
Size:     114,027,264 parameters with the pooler that it is published with, 113,436,672 without; 7.8e13 FLOPs a step.
Memory:   6.8 GiB of a v3 core's 16, with 32 rows a core (`python -m pretrain plan`; compiled, not run).
Time:     4.1 days on a v3-8 at 45 % MFU (8 cores of 61.5 TFLOP/s); arithmetic, not a run.
Expect:   on dev sets KLUE-NLI 87.67, KLUE-STS 92.95, NSMC 91.29, KorQuAD 86.42/94.95 after fine-tuning (KPF-BERT's README).
Tried:    three steps of two layers on a CPU, from petition text, and the export (tests/test_published_recipes.py).

Verified (README, build report, the vocabulary's file): 90.8 million articles of BigKinds cleaned to 125 GB, MODU beside them; what is
removed from an article, and that articles of at most 400 syllables go; 36,440 entries made by KLUE's method, 32,000 of all text and 4,440 of news
alone, with [unused0..499] as ids 5..504; whole words and n-grams of them hidden; single segments of 512 tokens, no next-sentence prediction.

Unverified, and therefore our choice:
- batch, steps, learning rate, warmup, weight decay, Adam's betas and epsilon; the weights of n-grams (1/n for n up to 3, ALBERT's); 15 % with 80/10/10 a word;
- one training of 36,440 entries instead of two vocabularies joined; the character coverage;
- near duplicates instead of its rule (an article goes of which three sentences, the title or the body were seen before), and no rule
  for titles (인사, 부고, 사진, stock reports).
"""

from data_pipeline.recipe import (
    Clean,
    DataRecipe,
    Decontamination,
    FullSentences,
    KoreanFilter,
    LengthFilter,
    SentenceSplit,
    Source,
    Vocabulary,
)
from pretrain.models.bert.config import BertConfig
from pretrain.objectives.corruption.recipe import ZIPF
from pretrain.objectives.masked_lm.recipe import MaskedLM
from pretrain.recipe import Masking, Optimizer, TrainingRecipe

data = DataRecipe(
    sources=(
        Source(
            "news",
            "corpora/bigkinds/*.jsonl*",
            name="BigKinds",
            licence="not public",
            length=LengthFilter(min_chars=401, unit="document"),
        ),
        Source("modu", "corpora/modu/*.json", name="MODU", licence="NIKL agreement, no redistribution"),
    ),
    evaluation_fraction=0.001,
    clean=Clean(bylines=True, bracketed_tags=True, captions=True, copyright_lines=True),
    decontamination=Decontamination(across_sentences=False, strict_short=False),
    sentences=SentenceSplit(splitter="kss"),
    korean=KoreanFilter(letters="all"),
    vocabulary=Vocabulary(size=36_440, unused=500, scheme="klue"),
    examples=FullSentences(length=512, cross_documents=False),
    word_unit="bert_word",
)

training = TrainingRecipe(
    model=BertConfig(attention_probs_dropout_prob=0.1),
    objective=MaskedLM(masking=Masking(replace_unit="word", ngrams=ZIPF)),
    optimizer=Optimizer(learning_rate=1e-4, warmup_steps=10_000),
    global_batch_size=256,
    max_steps=1_000_000,
    scan_unroll=12,
)
