"""A small BERT (4 layers, 256 wide, sequences of 128) for one's own text on a few CPU cores or any accelerator.

Command:  ./run_tpu.sh configs/petitions_small.py --source 'petitions:PATH/petitions_*.jsonl.gz'
Made for the Blue House petitions (11 MB in five months), but any source does.
"""

from data_pipeline.recipe import DataRecipe, LengthFilter, Packed, Vocabulary
from pretrain.models.bert.config import BertConfig
from pretrain.recipe import Checkpoints, Evaluation, Optimizer, TrainingRecipe

data = DataRecipe(
    sources=(),
    evaluation_fraction=0.03,
    length=LengthFilter(min_chars=30, unit="document"),
    vocabulary=Vocabulary(size=16_000, unused=100),
    examples=Packed(length=128),
    part_megabytes=4,
)

training = TrainingRecipe(
    model=BertConfig(
        num_hidden_layers=4,
        hidden_size=256,
        num_attention_heads=4,
        intermediate_size=1024,
        max_position_embeddings=128,
        hidden_dropout_prob=0.0,  # the first epochs learn faster without; set it for many epochs of little text
    ),
    optimizer=Optimizer(learning_rate=1e-3, warmup_steps=100),
    checkpoints=Checkpoints(every_steps=500, every_minutes=10),
    evaluation=Evaluation(every_steps=250, rows=512),
    global_batch_size=32,
    max_steps=3000,
    compute_dtype="float32",
    scan_unroll=4,  # a tenth faster on CPUs
    log_every_steps=25,
)
