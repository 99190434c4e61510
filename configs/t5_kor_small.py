"""t5-kor-small of LMkor (github kiyoungkim1/LMkor, kykim/t5-kor-small): T5-small's sizes, 42,000 entries, span corruption of 512 tokens.

Command:  ./run_tpu.sh configs/t5_kor_small.py      with the corpora below under corpora/
Size:     65,561,088 parameters; 1.4e13 FLOPs a step.
Time:     9.4 hours on a v3-8 at 45 % MFU (8 cores of 61.5 TFLOP/s); arithmetic, not a run.
Expect:   no score was published.
Tried:    60 steps of version 1.1 with 2 + 2 layers, 64 wide, from petitions to an export that transformers 4 and 5 load; this one not.

Verified (README): the name, June 2021, "small (60M)"; LMkor's corpora, cleaning and vocabulary, as for bert_kor_base. 65 million
parameters are T5-small's with 42,000 entries.

Unverified, and therefore our choice:
- everything else, for its config was not seen: version 1.0 (Raffel et al. 2019, arXiv 1910.10683; 1.1 is
  --training.model.feed-forward-proj gated-gelu --training.model.no-tie-word-embeddings, and has other sizes), and its objective;
- span corruption as published: 15 %, spans of 3 in the mean, sources of 512 tokens and targets of 120; rows of 568 tokens make these;
  [unused0] and so on are the sentinels, up to 28 a row;
- a batch of 128 rows, Adafactor, dropout 0.1 (section 3.1.2 of the same); the relative step 1e-2 with linear decay for its inverse
  root, 524,288 steps, warmup of 10,000; no weight decay.
"""

from data_pipeline.recipe import (
    LMKOR_VOCABULARY,
    Clean,
    DataRecipe,
    Decontamination,
    FullSentences,
    KoreanFilter,
    SentenceSplit,
    Source,
)
from pretrain.models.t5.config import T5Config
from pretrain.objectives.span_corruption.recipe import SpanCorruption
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
    examples=FullSentences(length=568),
)

training = TrainingRecipe(
    model=T5Config(),
    objective=SpanCorruption(),
    optimizer=Optimizer(name="adafactor", learning_rate=1e-2, warmup_steps=10_000, weight_decay=0.0),
    global_batch_size=128,
    max_steps=524_288,
    scan_unroll=6,
)
