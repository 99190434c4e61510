"""KoELECTRA-base-v3 (github monologg/KoELECTRA): an ELECTRA of 12 layers, 768 wide, 35,000 entries, on 34 GB of news, encyclopedias and MODU.

Command:  ./run_tpu.sh configs/koelectra_base_v3.py      with the corpora below under corpora/
Size:     discriminator 112,330,752 parameters without its head; 122,004,736 with the generator, tables once; 8.8e13 FLOPs a step.
Time:     6.9 days on a v3-8 at 45 % MFU (8 cores of 61.5 TFLOP/s); arithmetic, not a run. Its author's run took 14 days.
Expect:   NSMC 90.63, naver NER 88.11, PAWS 84.45, KorNLI 82.24, KorSTS 85.53, KorQuAD 84.83/93.45 after fine-tuning (README).
Tried:    parameters counted and config.json compared; nothing was trained.

Verified (README, docs/preprocessing.md, pretrain/config of monologg/KoELECTRA): 34 GB, 14 of news, Wikipedia and NamuWiki and 20 of MODU;
what is cleaned (other characters, hashtags, all in brackets, repeats beyond 2, noise of news); Mecab and WordPiece, 35,000 entries, cased;
sizes, a generator 256 wide with 4 heads and 12 layers; 512 tokens, batch 256, learning rate 2e-4, 1.5 million steps; TPU v3-8;
15 % of single tokens, of these 85 % [MASK]; weights 1 and 50; all else as in google-research/electra, whose code it runs.

Unverified, and therefore our choice:
- how Mecab's morphemes went into the vocabulary (KLUE's way here, without ##), and its unused rows;
- duplicate documents instead of duplicate sentences; sentences of news dropped by copyright tags alone;
- rows: Google's hold two stretches of one document's sentences; ours hold sentences of one document in their order.
"""

from data_pipeline.recipe import (
    Clean,
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
        Source("news", "corpora/news/*.jsonl*", name="news", licence="not public"),
        Source("modu", "corpora/modu/*.json", name="MODU", licence="NIKL agreement, no redistribution"),
        Source("wikipedia", "corpora/kowiki/*pages-articles*.xml.bz2", name="kowiki", licence="CC BY-SA 3.0"),
        Source("namuwiki", "corpora/namuwiki/*.json", name="NAMUWIKI", licence="CC BY-NC-SA 2.0 KR"),
    ),
    evaluation_fraction=0.001,
    clean=Clean(bylines=True, bracketed_tags=True, copyright_lines=True, foreign_characters=True, max_repeats=2),
    decontamination=Decontamination(across_sentences=False, strict_short=False),
    sentences=SentenceSplit(splitter="kss"),
    korean=KoreanFilter(letters="all"),
    vocabulary=Vocabulary(size=35_000, unused=0, scheme="klue"),
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
    max_steps=1_500_000,
    scan_unroll=12,
)
