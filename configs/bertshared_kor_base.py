"""bertshared-kor-base of LMkor (github kiyoungkim1/LMkor, kykim/bertshared-kor-base): bert-kor-base as encoder and decoder at once.

Command:  ./run_tpu.sh configs/bertshared_kor_base.py --training.start-from BERT      with the pairs below under corpora/
          BERT is a run of bert_kor_base or a copy of kykim/bert-kor-base; --data.vocabulary.given BERT takes its vocabulary.
Size:     146,664,192 parameters, of which 28,366,848 are cross-attention's; 7.1e12 FLOPs a step.
Time:     11 minutes on a v3-8 at 45 % MFU (8 cores of 61.5 TFLOP/s); arithmetic, not a run.
Expect:   no score was published.
Tried:    the same with 4 layers from petitions to an export that transformers 4 and 5 load (configs/mini/bert_shared.py).

Verified (README, config.json): two BERT-bases of 512 positions and 42,000 entries, tied, the decoder with cross-attention, begun from
bert-kor-base; [CLS] begins a target and [SEP] ends it; summarisation; batch 16, learning rate 5e-5, 20,000 steps.

Unverified, and therefore our choice:
- the pairs: LMkor names none. Any JSON Lines file of texts and summaries does (AI Hub's document summaries, NIKL's MODU);
- targets of 128 tokens; texts and summaries that are longer are cut;
- cross-attention begins as drawn (Rothe et al. 2019, arXiv 1907.12461, section 3, BERTSHARE: random, for BERT has none);
- warmup of 2,000 steps, weight decay, Adam's betas and epsilon, no label smoothing.
"""

from data_pipeline.recipe import (
    LMKOR_VOCABULARY,
    Clean,
    DataRecipe,
    Decontamination,
    KoreanFilter,
    SentenceSplit,
    Source,
    SourceTarget,
)
from pretrain.models.bert_shared.config import BertSharedConfig
from pretrain.objectives.sequence_to_sequence.recipe import SequenceToSequence
from pretrain.recipe import Optimizer, TrainingRecipe

data = DataRecipe(
    sources=(Source("pairs", "corpora/pairs/*.jsonl*", name="pairs", licence="not public"),),
    evaluation_fraction=0.01,
    clean=Clean(foreign_characters=True),
    decontamination=Decontamination(across_sentences=False, strict_short=False),
    sentences=SentenceSplit(splitter="kss"),
    korean=KoreanFilter(letters="all"),
    vocabulary=LMKOR_VOCABULARY,
    examples=SourceTarget(length=512, target_length=128, target="first_paragraph"),
)

training = TrainingRecipe(
    model=BertSharedConfig(attention_probs_dropout_prob=0.1),
    objective=SequenceToSequence(),
    optimizer=Optimizer(learning_rate=5e-5, warmup_steps=2_000),
    global_batch_size=16,
    max_steps=20_000,
    scan_unroll=12,
)
