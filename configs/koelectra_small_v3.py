"""KoELECTRA-small-v3 (github monologg/KoELECTRA): an ELECTRA of 12 layers, 256 wide, 35,000 entries, on 34 GB of news, encyclopedias and MODU.

Command:  ./run_tpu.sh configs/koelectra_small_v3.py      with the corpora below under corpora/
Size:     discriminator 14,056,192 parameters without its head; 23,566,336 with the generator, tables once; 4.1e13 FLOPs a step.
Memory:   5.0 GiB of a v3 core's 16, with 64 rows a core (`python -m pretrain plan`; compiled, not run).
Time:     1.7 days on a v3-8 at 45 % MFU (8 cores of 61.5 TFLOP/s), which so narrow a model will not reach; arithmetic, not a run.
Expect:   NSMC 89.36, naver NER 85.40, PAWS 77.45, KorNLI 78.60, KorSTS 80.79, KorQuAD 82.11/91.13 after fine-tuning (README).
Tried:    parameters counted and config.json compared; nothing was trained.

Verified (README, docs/preprocessing.md, pretrain/config of monologg/KoELECTRA): 34 GB, 14 of news, Wikipedia and NamuWiki and 20 of MODU;
what is cleaned (other characters, hashtags, all in brackets, repeats beyond 2, noise of news); Mecab and WordPiece, 35,000 entries, cased;
sizes, a generator as large as the discriminator; 512 tokens, batch 512, learning rate 5e-4, 800,000 steps (its config file, of v1, says
375,000);
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
from pretrain.objectives.replaced_token.recipe import Generator, ReplacedToken
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
    model=ElectraConfig(
        embedding_size=128,
        hidden_size=256,
        num_attention_heads=4,
        intermediate_size=1024,
        attention_probs_dropout_prob=0.1,
        initializer="truncated_normal",
    ),
    objective=ReplacedToken(generator=Generator(hidden_share=1.0)),
    optimizer=Optimizer(  # google-research/electra, model/optimization.py
        learning_rate=5e-4,
        warmup_steps=10_000,
        bias_correction=False,
        decay_from="start",
    ),
    global_batch_size=512,
    max_steps=800_000,
    scan_unroll=12,
)
