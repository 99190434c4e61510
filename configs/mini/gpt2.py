"""A small GPT-2 (4 layers, 256 wide, rows of 128) that learns to continue one's own text on a few CPU cores or any accelerator.

Command:  ./run_tpu.sh configs/mini/gpt2.py --source 'petitions:PATH/petitions_*.jsonl.gz'
Then:     python -m pretrain fill RUN_DIR --text '존경하는 대통령님'
Expect:   a held-out loss of 5.12 (petitions, two seeds); 6.73 is the best without context.

Made for the Blue House petitions (11 MB in five months), but any source does. Cut from gpt3_kor_small: rows as there, one stream of
texts that [SEP] ends; without dropout, for few steps; AdamW instead of a guess.
"""

from data_pipeline.recipe import (
    Causal,
    DataRecipe,
    Decontamination,
    KoreanFilter,
    LengthFilter,
    SentenceSplit,
    Vocabulary,
)
from pretrain.models.gpt2.config import GPT2Config
from pretrain.objectives.causal_lm.recipe import CausalLM
from pretrain.recipe import Checkpoints, Evaluation, Optimizer, TrainingRecipe

data = DataRecipe(
    sources=(),
    evaluation_fraction=0.03,
    length=LengthFilter(min_chars=30, unit="document"),
    decontamination=Decontamination(across_sentences=False, strict_short=False),
    sentences=SentenceSplit(splitter="kss"),
    korean=KoreanFilter(letters="all"),
    # Not the default scheme: that of mini/bert, so that the small recipes compare.
    vocabulary=Vocabulary(size=8_000, unused=100, scheme="klue"),
    examples=Causal(length=128),
    part_megabytes=4,
)

training = TrainingRecipe(
    model=GPT2Config(n_layer=4, n_embd=256, n_head=4, n_positions=128, embd_pdrop=0.0, resid_pdrop=0.0),
    objective=CausalLM(),
    optimizer=Optimizer(learning_rate=1e-3, warmup_steps=100, beta2=0.98),
    checkpoints=Checkpoints(every_steps=250, every_minutes=10),
    evaluation=Evaluation(every_steps=100, rows=512),
    global_batch_size=16,
    max_steps=500,
    compute_dtype="float32",
    scan_unroll=4,
    log_every_steps=25,
)
