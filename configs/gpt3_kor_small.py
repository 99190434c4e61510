"""gpt3-kor-small of LMkor (github kiyoungkim1/LMkor, kykim/gpt3-kor-small_based_on_gpt2): GPT-2's 12 layers, 768 wide, on rows of 2,048.

Command:  ./run_tpu.sh configs/gpt3_kor_small.py      with the corpora below under corpora/
Size:     118,884,864 parameters; 6.8e15 FLOPs a step of 8.4 million tokens.
Memory:   8.9 GiB of a v3 core's 16, with attention's scores computed again (`python -m pretrain plan`; compiled, not run).
Time:     5.8 days on a v3-8 at the 28 % MFU that the compiled program allows at most, for the scores of 2,048 tokens go through memory;
          3.6 days at 45 % (8 cores of 61.5 TFLOP/s). Arithmetic, not a run. LMkor's took about 4 days for 1,800 steps.
Expect:   no loss was published.

Verified (README and its history, a copy of config.json): sizes, positions, dropouts, [SEP] before and behind a text; 42,000 entries of which
2,000 unused, lower-cased without stripping accents; corpora of 70 GB or 12.7 billion tokens, all but Hangul, Latin letters, digits and
some marks deleted; 118.9 million parameters; "batch 4,096", learning rate 1e-2, 10,000 steps: 84 billion tokens, 6.6 epochs.

Unverified, and therefore our choice:
- the optimizer. Adam diverges at 1e-2, which is the default relative step of Adafactor (Shazeer and Stern 2018, arXiv 1804.04235,
  section 8), a fraction of whose memory a v3 likes as well; warmup, weight decay and the shape of the decay;
- that the batch counts rows (1,800 steps in 4 days fit a v3-8 only so);
- which marks stay (KcBERT's class of characters), how short a text may be, how duplicates were found;
- the README's changes "for efficiency": the published model is computed as a plain GPT-2.
"""

from data_pipeline.recipe import (
    LMKOR_VOCABULARY,
    Causal,
    Clean,
    DataRecipe,
    Decontamination,
    KoreanFilter,
    SentenceSplit,
    Source,
)
from pretrain.models.gpt2.config import GPT2Config
from pretrain.objectives.causal_lm.recipe import CausalLM
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
    examples=Causal(length=2048),
)

training = TrainingRecipe(
    model=GPT2Config(n_positions=2048, attn_pdrop=0.1),
    objective=CausalLM(),
    optimizer=Optimizer(name="adafactor", learning_rate=1e-2, warmup_steps=500),
    global_batch_size=4096,
    accumulation=128,  # 4 rows a core
    max_steps=10_000,
    remat="attention",  # one layer's scores of one row are 200 MB
)
