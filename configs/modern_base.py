"""A ModernBERT-base for Korean (Warner et al. 2024, arXiv 2412.13663): 22 layers, 768 wide, 50,000 entries, rows of 1,024 tokens, then of 8,192.

Command:  ./run_tpu.sh configs/modern_base.py      on a TPU from v4 on, with the corpora below under corpora/
Size:     148,731,648 parameters without heads (ModernBERT-base has 149,014,272, with 50,368 entries); 100 billion tokens.
Memory:   9.8 GiB of 16 a chip with rows of 1,024 tokens, compiled for a v5e-8; rows of 8,192 are not compiled yet. v2 and v3 are refused:
          such a row has 3.2 GB of scores in each of the 8 layers that see all of it, and they have no kernel that does without.
Time:     36.1 hours on a v5e-8 at 45 % MFU (8 chips of 197 TFLOP/s); arithmetic, not a run.
Expect:   no loss is published. A.X-Encoder-base, of this family and size with rows of 16,384 tokens, has a mean of 86.1 over KLUE after
          fine-tuning (its card); nobody has run this recipe.

Verified (configs of AnswerDotAI/ModernBERT's successors Ettin and mmBERT, and ModernBERT's config.json): all sizes, every third layer global and
the others in a window of 128, no biases, dropout 0.1 behind attention's output alone; global base of rotary positions 10,000 for rows
of 1,024 and 160,000 for 8,192; 30 % of the tokens hidden, then 15 %, then 5 %; a batch that grows; warmup, a constant rate and 1 - sqrt
down to a fiftieth; betas 0.9 and 0.98, epsilon 1e-6; held-out rows at 15 %.

Unverified, and therefore our choice:
- 100 billion tokens where the published ones saw 1,700 and more: Korean text is fewer; a tenth of the steps each for extension and decay;
- batches of 1,024 x 1,024 tokens for 4,608 x 1,024, and by the root of that the rate 4e-4 for 8e-4; AdamW for StableAdamW;
- weight decay 0.1, which is mmBERT's 8e-5 a step at its peak rate, for ours is multiplied by the rate;
- the text, KLUE's, with encyclopedias and petitions twice and web text half as often in the last phase;
- whole words are hidden, documents are packed by best fit and do not see each other.
"""

from configs.klue_bert_base import LONG_DOCUMENTS
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
from pretrain.models.modernbert.config import ModernBertConfig
from pretrain.objectives.masked_lm.recipe import MaskedLM
from pretrain.recipe import BatchWarmup, Masking, Optimizer, Phase, TrainingRecipe

data = DataRecipe(
    sources=(
        Source(
            "jsonl",
            "corpora/modu/*.jsonl*",
            name="MODU",
            licence="NIKL agreement, no redistribution",
            category="written",
        ),
        Source(
            "text",
            "corpora/cc100/ko.txt.xz",
            name="CC-100-Kor",
            licence="Common Crawl terms",
            category="web",
            length=LONG_DOCUMENTS,
        ),
        Source(
            "jsonl", "corpora/namuwiki/*.jsonl*", name="NAMUWIKI", licence="CC BY-NC-SA 2.0 KR", category="encyclopedia"
        ),
        Source(
            "wikipedia",
            "corpora/kowiki/*pages-articles*.xml.bz2",
            name="kowiki",
            licence="CC BY-SA 3.0",
            category="encyclopedia",
        ),
        Source("petitions", "corpora/petitions/petitions_*", name="PETITION", licence="CC0", category="petition"),
    ),
    evaluation_fraction=0.001,
    length=LengthFilter(min_chars=30, unit="document"),
    decontamination=Decontamination(across_sentences=False, strict_short=False),
    sentences=SentenceSplit(splitter="kss"),
    korean=KoreanFilter(letters="all"),
    vocabulary=Vocabulary(size=50_000),
    examples=Packed(length=1024),
    other_lengths=(8192,),
    rows_by_category=True,
)

training = TrainingRecipe(
    model=ModernBertConfig(),
    objective=MaskedLM(masking=Masking(rate=0.3, evaluation_rate=0.15)),
    optimizer=Optimizer(
        learning_rate=4e-4,
        warmup_steps=3_000,
        schedule="warmup_stable_decay",
        decay_steps=10_000,
        final_share=0.02,
        weight_decay=0.1,
        beta2=0.98,
    ),
    global_batch_size=1024,
    batch_warmup=BatchWarmup(first_rows=64, steps=10_000),
    accumulation=16,  # 8 rows of 1,024 tokens, or one of 8,192, a chip of eight at a time
    max_steps=100_000,
    phases=(
        Phase(1024, 0.8, settings=("model.global-rope-theta=10000",)),
        Phase(8192, 0.1, global_batch_size=128, settings=("objective.masking.rate=0.15",)),
        Phase(
            8192,
            0.1,
            global_batch_size=128,
            settings=("objective.masking.rate=0.05",),
            category_weights=(("encyclopedia", 2.0), ("petition", 2.0), ("web", 0.5)),
        ),
    ),
)
