"""funnel-kor-base of LMkor (github kiyoungkim1/LMkor): a Funnel of three blocks of 6 layers and a decoder of 2, 768 wide, 42,000 entries,
lower-cased, on 70 GB of reviews and web text.

Command:  ./run_tpu.sh configs/funnel_kor_base.py      with the corpora below under corpora/
Size:     discriminator 185,872,896 parameters without its head; 224,345,856 with the generator, the table once; 5.2e13 FLOPs a step.
Memory:   not compiled for a v3-8 yet: python -m benchmarks.plan --recipes funnel_kor_base --on v3-8
Time:     2.4 days on a v3-8 at 45 % MFU (8 cores of 61.5 TFLOP/s); arithmetic, not a run. The products with distances that no query
          needs, half of theirs, are not in it.
Expect:   NSMC 91.36, naver NER 88.02, PAWS 83.90, KorSTS 84.52, question pairs 95.51, hate speech 68.18 after fine-tuning (LMkor's
          README, its own settings; it has no KorNLI); no loss was published.
Tried:    parameters counted, config.json compared, logits and gradients of a small one equal to transformers'; nothing was trained.

Verified (README; config.json of a copy, jiiyy/funnel): the text and vocabulary of bert-kor-base: 100 GB cleaned to 70 GB, all but
Hangul, Latin letters, digits and some marks deleted, 40,000 sub-words and 2,000 unused rows; the sizes, 512 tokens, batch 128, learning
rate 8e-5, 0.9 million steps; replaced-token detection with a generator that was not published.

Unverified, and therefore our choice:
- the generator: a quarter of heads and feed-forward layers and all layers, the default of the authors' code (laiguokun/Funnel-Transformer,
  tensorflow/pretrain.py), which narrows its hidden states too; here they are as wide as the table that it shares, because transformers'
  FunnelForMaskedLM has no map between them. 15 % of single tokens, weights 1 and 50, as for ELECTRA;
- warmup of 10,000 steps, weight decay 0.01, Adam without bias correction, decay counted from step 0: Google's ELECTRA;
- rows: sentences of one document in their order, without a second text; all initial values within two deviations of 0.02, as the
  authors' code draws them.
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
from pretrain.models.funnel.config import FunnelConfig
from pretrain.objectives.replaced_token.recipe import Generator, ReplacedToken
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
    model=FunnelConfig(),
    objective=ReplacedToken(generator=Generator(hidden_share=0.25)),
    optimizer=Optimizer(
        learning_rate=8e-5,
        warmup_steps=10_000,
        bias_correction=False,
        decay_from="start",
    ),
    global_batch_size=128,
    max_steps=900_000,
    scan_unroll=6,
)
