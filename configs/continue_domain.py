"""A published BERT continued on one category of text, its [unusedN] entries filled with that category's words, as LMkor's domain models.

Command:  ./run_tpu.sh configs/continue_domain.py      with models/base/ and the corpora below; docs/continue.md walks through it
Size:     that of models/base; this file leaves it. A base of 12 layers, 768 wide, takes 3.1e11 FLOPs a row of 512.
Time:     2.0 hours on a v3-8 at 45 % MFU (8 cores of 61.5 TFLOP/s) for a base of that size; arithmetic, not a run.
Tried:    on two cores with a base of 4 layers, 256 wide, and rows of 128, as docs/continue.md has it.

By LMkor's README: its models of one domain continue the general one on a single category of the corpus (cosmetics, 8 GB; food, 6;
electronics, 13; pets, 2), in the vocabulary of 42,000 entries of which 2,000 are [unused] for that purpose.

Unverified, and therefore our choice: learning rate, batch and steps; and that a new word begins as the mean of its pieces.
"""

from data_pipeline.recipe import (
    DataRecipe,
    Decontamination,
    KoreanFilter,
    LengthFilter,
    Packed,
    SentenceSplit,
    Source,
    Vocabulary,
)
from pretrain.models.bert.config import BertConfig
from pretrain.recipe import Evaluation, Optimizer, TrainingRecipe

data = DataRecipe(
    sources=(
        Source("petitions", "corpora/petitions/petitions_*", name="PETITION", category_field="category", licence="CC0"),
    ),
    categories=("육아/교육",),
    evaluation_fraction=0.02,
    length=LengthFilter(min_chars=30, unit="document"),
    decontamination=Decontamination(across_sentences=False, strict_short=False),
    sentences=SentenceSplit(splitter="kss"),
    korean=KoreanFilter(letters="all"),
    vocabulary=Vocabulary(given="vocabularies/domain"),
    examples=Packed(length=512),
)

training = TrainingRecipe(
    model=BertConfig(),
    start_from=("models/base",),
    optimizer=Optimizer(learning_rate=5e-5, warmup_steps=1_000),
    evaluation=Evaluation(every_steps=500, rows=2048),
    global_batch_size=256,
    max_steps=20_000,
)
