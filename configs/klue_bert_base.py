"""KLUE-BERT-base (Park et al. 2021, arXiv 2105.09680): 12 layers, 768 wide, 32,000 rows, on 62 GB of five corpora and one TPU v3-8.

Command:  ./run_tpu.sh configs/klue_bert_base.py      with the corpora below under corpora/
Size:     110,617,344 parameters without heads; 7.7e13 FLOPs a step.
Memory:   6.9 GiB of a v3 core's 16, without accumulation or rematerialisation (`python -m pretrain plan`; compiled, not run).
Time:     4.0 days on a v3-8 at 45 % MFU (8 cores of 61.5 TFLOP/s); arithmetic, not a run.
Tried:    five steps of 8 rows on a CPU, from petition text, and the export (tests/test_klue_bert_base.py).

Verified (model card, config.json, weight listing of klue/bert-base): the five corpora and their 62 GB; KSS 1.3.1; Mecab-ko
only for the vocabulary, of 32,000 rows (its file: 2,000 characters, [unusedN] last); sizes and dropouts; 512 positions; the
next-sentence head in the checkpoint; v3-8.

Unverified, and therefore our choice:
- what at least 200 characters applies to for CC-100 and NEWSCRAWL. The card says sentences, which keeps 2.6 % of petition
  sentences; we measure documents, which keeps 95 %;
- more than 10 Han and Kana characters drop a sentence; the share of Hangul; the BM25 threshold;
- word unit (a gram of pieces up to the next one without ##, which is BertPreTokenizer's word); 15 % with 80/10/10;
- 80/10/10 is drawn once for each word: so does the one published masking code of a KLUE author (monologg/KoBigBird). Google's BERT
  code draws for each piece, and nothing public says which of the two KLUE ran; replace_unit "token" is Google's;
- masks are drawn beforehand (static, as recalled), 10 for each row as in Google's code; None in static_masks draws them anew in
  each epoch. Which sentences make a pair is fixed once, where Google's code draws it anew for each of the 10;
- batch 256, 1,000,000 steps, learning rate 1e-4 with 10,000 steps of warmup, weight decay 0.01, Adam's betas and epsilon.
"""

from data_pipeline.recipe import (
    KLUE_VOCABULARY,
    DataRecipe,
    Decontamination,
    KoreanFilter,
    LengthFilter,
    NearDuplicates,
    SentencePairs,
    SentenceSplit,
    Source,
)
from pretrain.models.bert.config import BertConfig
from pretrain.objectives.masked_lm.recipe import MaskedLM
from pretrain.recipe import Masking, Optimizer, TrainingRecipe

LONG_DOCUMENTS = LengthFilter(min_chars=200, unit="document")

data = DataRecipe(
    sources=(
        Source("jsonl", "corpora/modu/*.jsonl*", name="MODU", licence="NIKL agreement, no redistribution"),
        Source(
            "text", "corpora/cc100/ko.txt.xz", name="CC-100-Kor", licence="Common Crawl terms", length=LONG_DOCUMENTS
        ),
        Source("jsonl", "corpora/namuwiki/*.jsonl*", name="NAMUWIKI", licence="CC BY-NC-SA 2.0 KR"),
        Source("jsonl", "corpora/news/*.jsonl*", name="NEWSCRAWL", licence="not public", length=LONG_DOCUMENTS),
        Source("petitions", "corpora/petitions/petitions_*", name="PETITION", licence="CC0"),
    ),
    evaluation_fraction=0.001,
    near_duplicates=NearDuplicates(enabled=False),  # the card names no such step
    length=LengthFilter(min_chars=10, unit="document"),
    decontamination=Decontamination(across_sentences=False, strict_short=False),
    sentences=SentenceSplit(splitter="kss"),
    korean=KoreanFilter(letters="all"),
    vocabulary=KLUE_VOCABULARY,
    examples=SentencePairs(length=512),
    word_unit="bert_word",
)

training = TrainingRecipe(
    model=BertConfig(attention_probs_dropout_prob=0.1),
    objective=MaskedLM(masking=Masking(replace_unit="word", static_masks=10)),
    optimizer=Optimizer(learning_rate=1e-4, warmup_steps=10_000),
    global_batch_size=256,
    max_steps=1_000_000,
    scan_unroll=12,  # compiled for a v3-8, the loop over layers moves 60 GB a step where unrolled layers move 45
)
