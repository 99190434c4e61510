"""KR-ELECTRA (Seoul National University, github snunlp/KR-ELECTRA): an ELECTRA of 12 layers, 768 wide, 30,000 entries, rows of 128, on 34 GB of
text, written and spoken in equal shares.

Command:  ./run_tpu.sh configs/kr_electra.py      with the corpora below under corpora/
Size:     discriminator 108,490,752 parameters without its head; 118,164,736 with the generator, tables once; 2.0e13 FLOPs a step.
Time:     0.7 days on a v3-8 at 45 % MFU (8 cores of 61.5 TFLOP/s); arithmetic, not a run.
Expect:   NSMC 91.17, naver NER 87.90, PAWS 82.05, KorNLI 82.51, KorSTS 85.41, hate speech 74.50 after fine-tuning (README).
Tried:    parameters counted and config.json compared; nothing was trained.

Verified (README): 34 GB of Wikipedia, news, legal texts, news comments and product reviews, as much written as spoken; 30,000 entries of
morphemes by Mecab-ko; sizes, a generator of 0.33333 of the width (256, 4 heads, 12 layers); 128 tokens, batch 256, learning rate 2e-4,
700,000 steps; all else as google-research/electra; TPU v3-8.

Unverified, and therefore our choice:
- how the text was cleaned, and how much of it each source is: their weights here make the shares of written and spoken text equal only
  where the files are as large;
- how morphemes went into the vocabulary (KLUE's way here), its unused rows, whether it is cased;
- rows: Google's hold two stretches of one document's sentences; ours hold sentences of one document in their order;
- 512 positions, as Google's code has for the base size; rows of 128 never train those beyond 127.
"""

from data_pipeline.recipe import (
    DataRecipe,
    Decontamination,
    FullSentences,
    KoreanFilter,
    SentenceSplit,
    Source,
    Vocabulary,
)
from pretrain.models.electra.config import ElectraConfig
from pretrain.objectives.replaced_token.recipe import ReplacedToken
from pretrain.recipe import Optimizer, TrainingRecipe

data = DataRecipe(
    sources=(
        Source("wikipedia", "corpora/kowiki/*pages-articles*.xml.bz2", name="kowiki", licence="CC BY-SA 3.0"),
        Source("news", "corpora/news/*.jsonl*", name="news", licence="not public"),
        Source("text", "corpora/legal/*.txt*", name="legal texts", licence="unknown"),
        Source("text", "corpora/comments/*.txt*", name="news comments", licence="unknown"),
        Source("jsonl", "corpora/reviews/*.jsonl*", name="reviews", licence="not public"),
    ),
    evaluation_fraction=0.001,
    decontamination=Decontamination(across_sentences=False, strict_short=False),
    sentences=SentenceSplit(splitter="kss"),
    korean=KoreanFilter(letters="all"),
    vocabulary=Vocabulary(size=30_000, unused=0, scheme="klue"),
    examples=FullSentences(length=128, cross_documents=False),
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
    max_steps=700_000,
    scan_unroll=12,
)
