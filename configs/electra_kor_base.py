"""electra-kor-base of LMkor (github kiyoungkim1/LMkor): an ELECTRA of 12 layers, 768 wide, 42,000 entries, lower-cased, on 70 GB of reviews
and web text.

Command:  ./run_tpu.sh configs/electra_kor_base.py      with the corpora below under corpora/
Size:     discriminator 117,706,752 parameters without its head; 127,380,736 with the generator, tables once; 8.9e13 FLOPs a step.
Memory:   8.3 GiB of a v3 core's 16 with scan_unroll 1, without accumulation or rematerialisation (`python -m pretrain plan`; compiled,
          not run).
Time:     8.8 days on a v3-8 at 45 % MFU (8 cores of 61.5 TFLOP/s); arithmetic, not a run.
Expect:   NSMC 91.29, naver NER 87.20, PAWS 85.50, KorNLI 83.11, KorSTS 85.46 after fine-tuning (LMkor's README).
Tried:    parameters counted, config.json compared, the step compiled for a v3-8; nothing was trained.

Verified (README and its history, config.json of kykim/electra-kor-base): the text and vocabulary of bert-kor-base: 100 GB
cleaned to 70 GB, all but Hangul, Latin letters, digits and some marks deleted, 40,000 sub-words and 2,000 unused rows; the discriminator's
sizes; 512 tokens, batch 256, learning rate 2e-4, 1.9 million steps (the file on the hub was committed as "model_700000").

Unverified, and therefore our choice:
- the generator, which was not published: Google's base rule, a third of the width; 15 % of single tokens, weights 1 and 50, as in
  KoELECTRA's copy of Google's code;
- warmup of 10,000 steps, weight decay, Adam without bias correction: Google's code, which LMkor is taken to have run;
- rows: Google's hold two stretches of one document's sentences; ours hold sentences of one document in their order.
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
from pretrain.models.electra.config import ElectraConfig
from pretrain.objectives.replaced_token.recipe import ReplacedToken
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
    examples=FullSentences(length=512, cross_documents=False),
    word_unit="token",
)

training = TrainingRecipe(
    model=ElectraConfig(attention_probs_dropout_prob=0.1, initializer="truncated_normal"),
    objective=ReplacedToken(),  # a generator of a third of the width: 256, 4 heads
    optimizer=Optimizer(  # google-research/electra, model/optimization.py
        learning_rate=2e-4,
        warmup_steps=10_000,
        bias_correction=False,
        decay_from="start",
    ),
    global_batch_size=256,
    max_steps=1_900_000,
    scan_unroll=12,
)
