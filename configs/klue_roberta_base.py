"""KLUE-RoBERTa-base (Park et al. 2021, arXiv 2105.09680): 12 layers, 768 wide, 32,000 rows, no sentence pairs.

Command:  ./run_tpu.sh configs/klue_roberta_base.py      with the corpora of klue_bert_base.py under corpora/
Size:     110,027,520 parameters without heads (110,618,112 with transformers' pooler, as published); 6.2e14 FLOPs a step.
Memory:   8.0 GiB of a v3 core's 16, with 8 accumulated batches of 32 rows a core (`python -m pretrain plan`; compiled, not run); 12.4 GiB of
          an H100, by arithmetic.
Time:     32 days on a v3-8 at 45 % MFU (8 cores of 61.5 TFLOP/s), 2.0 days on 8 H100; arithmetic, not a run.
Expect:   no loss is published. KLUE's results after fine-tuning are the measure, and nobody has run this recipe.

Verified (config.json, tokenizer files and README of klue/roberta-*): sizes and dropouts; 514 positions, the first at row 2; one
token type; epsilon 1e-5; the vocabulary of klue/bert-base with the specials [CLS] [PAD] [SEP] [UNK] [MASK] = 0..4; `lm_head` alone, so
no next-sentence prediction. Secondary (QuoQA's authors): dynamic whole-word masks. Corpora and sentences: see klue_bert_base.py.

Unverified, and therefore our choice:
- batch 2048, 1,000,000 steps and learning rate 1e-4, as recalled from the paper, which had 8 V100; 512 tokens a row;
- 10,000 steps of warmup, linear decay, weight decay 0.01; betas 0.9 and 0.98 and epsilon 1e-6 are RoBERTa's;
- rows are whole sentences, across documents (FULL-SENTENCES of RoBERTa, arXiv 1907.11692, section 4.2);
- 15 % with 80/10/10, drawn once for each word: see klue_bert_base.py.
"""

from dataclasses import replace

from configs.klue_bert_base import data as klue_bert
from data_pipeline.recipe import KLUE_ROBERTA_VOCABULARY, FullSentences
from pretrain.models.roberta.config import RobertaConfig
from pretrain.objectives.masked_lm.recipe import MaskedLM
from pretrain.recipe import Masking, Optimizer, TrainingRecipe

data = replace(klue_bert, vocabulary=KLUE_ROBERTA_VOCABULARY, examples=FullSentences(length=512))

training = TrainingRecipe(
    model=RobertaConfig(attention_probs_dropout_prob=0.1),
    objective=MaskedLM(masking=Masking(replace_unit="word")),
    optimizer=Optimizer(learning_rate=1e-4, warmup_steps=10_000, beta2=0.98),
    global_batch_size=2048,
    accumulation=8,  # 32 rows a core at a time
    max_steps=1_000_000,
    scan_unroll=12,
)
