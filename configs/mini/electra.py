"""A small ELECTRA (discriminator of 4 layers, 256 wide; rows of 128) for one's own text on two CPU cores: text to two proven exports.

Command:  ./run_tpu.sh configs/mini/electra.py --source 'petitions:PATH/petitions_*.jsonl.gz'

Tried:    1,000 of its steps on petitions. The generator learns; the discriminator does not yet: its held-out AUC is 0.54 at step 250 and
          0.50 at 1,000, where its hidden states have nearly one direction. Lower learning rates delay that; Muon (2e-3 to 4e-3), 1,500
          or 3,000 entries, rows of 64, a bias that begins at the share of replacements and wider initial values end at 0.55, which
          is what the token alone tells. There is more to know: where replacements are drawn by frequency, the two neighbours' counts
          have an AUC of 0.89. A discriminator of two layers alone on these stays at 0.50 for 600 steps of 2,048 tokens, and was first seen to
          leave it, with Muon and 1,500 entries, after 700 (0.59 at 900). With its generator, the same (Muon 3e-3, 1,500 entries) stays
          between 0.521 and 0.529 to step 1,250; positions that begin as sinusoids change nothing in 300.

The generator is small, a quarter of the width and two layers. The AUC is high in the first hundred steps, because the generator does not
know yet which tokens are common: `python -m benchmarks.context_free_detection RUN_DIR` prints what the token alone tells.
"""

from data_pipeline.recipe import (
    DataRecipe,
    Decontamination,
    KoreanFilter,
    LengthFilter,
    Packed,
    SentenceSplit,
    Vocabulary,
)
from pretrain.models.electra.config import ElectraConfig
from pretrain.objectives.replaced_token.recipe import Generator, ReplacedToken
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
    examples=Packed(length=128),
    word_unit="token",  # as google-research/electra
    part_megabytes=4,
)

training = TrainingRecipe(
    model=ElectraConfig(
        num_hidden_layers=4,
        hidden_size=256,
        embedding_size=256,
        num_attention_heads=4,
        intermediate_size=1024,
        max_position_embeddings=128,
        hidden_dropout_prob=0.0,
    ),
    objective=ReplacedToken(generator=Generator(hidden_share=0.25, layers_share=0.5)),
    optimizer=Optimizer(learning_rate=1e-3, warmup_steps=100, beta2=0.98),
    checkpoints=Checkpoints(every_steps=250, every_minutes=10),
    evaluation=Evaluation(every_steps=250, rows=512),
    global_batch_size=16,
    max_steps=1500,
    compute_dtype="float32",
    scan_unroll=4,  # a tenth faster on CPUs
    log_every_steps=25,
)
