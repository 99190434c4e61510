"""The eight tasks that KoELECTRA's fine-tuning code made customary, with its settings and labels.

Source: https://github.com/monologg/KoELECTRA, finetune/config/*/koelectra-base-v3.json. NSMC, Naver NER and hate speech have no
dev file there: the best of all checkpoints on the scored file is printed. Of the others it scores every checkpoint on test,
too, and does not say which one its table prints; here the best on dev is taken. KorQuAD's dev set is scored while training.
"""

from dataclasses import replace

from pretrain.evaluate.tasks.readers.passages import read_korquad
from pretrain.evaluate.tasks.readers.rows import table_rows
from pretrain.evaluate.tasks.readers.tagged import naver_ner_reader
from pretrain.evaluate.tasks.readers.texts import one_of, score, text_reader
from pretrain.evaluate.tasks.task import Settings, Task

SUITE = Settings(epochs=10, batch_size=32, learning_rate=5e-5, max_length=128)
KOELECTRA = "https://github.com/monologg/KoELECTRA, folder finetune/data"
RAW = "https://raw.githubusercontent.com"
"""GitHub's files as they are; HEAD is the newest commit."""

NO_YES = ("0", "1")
INFERENCES = ("contradiction", "entailment", "neutral")
OFFENCES = ("none", "offensive", "hate")
ENTITY_KINDS = ("PER", "FLD", "AFW", "ORG", "LOC", "CVL", "DAT", "TIM", "NUM", "EVT", "ANM", "PLT", "MAT", "TRM")
ENTITY_TAGS = ("O", *(f"{kind}-{part}" for kind in ENTITY_KINDS for part in "BI"))

NSMC = Task(
    name="nsmc",
    title="NSMC",
    kind="classes",
    labels=NO_YES,
    pair=False,
    folders=("nsmc",),
    files={"train": ("ratings_train.txt",), "test": ("ratings_test.txt",)},
    rows={"train": 150_000, "test": 50_000},
    # Eight reviews are empty (five of train); everyone scores them with the rest.
    read=text_reader(table_rows, "document", None, one_of("label", NO_YES), empty="kept"),
    metrics=("nsmc_acc",),
    settings=SUITE,
    scored="test",
    select="best_on_scored",
    source="https://github.com/e9t/nsmc",
    url=f"{RAW}/e9t/nsmc/HEAD",
)

NAVER_NER = Task(
    name="naver_ner",
    title="Naver NER",
    kind="tags",
    labels=ENTITY_TAGS,
    pair=False,
    folders=("naver-ner",),
    files={"train": ("train.tsv",), "test": ("test.tsv",)},
    rows={"test": 9_000},
    read=naver_ner_reader(ENTITY_TAGS),
    metrics=("naver_ner_f1",),
    settings=replace(SUITE, epochs=20),
    scored="test",
    select="best_on_scored",
    source=f"{KOELECTRA}/naver-ner",
    url=f"{RAW}/monologg/KoELECTRA/HEAD/finetune/data/naver-ner",
)

PAWSX = Task(
    name="pawsx",
    title="PAWS-X (ko)",
    kind="classes",
    labels=NO_YES,
    pair=True,
    folders=("pawsx-ko", "paws", "pawsx", "x-final/ko"),
    files={"train": ("translated_train.tsv",), "dev": ("dev_2k.tsv",), "test": ("test_2k.tsv",)},
    rows={"train": 49_401, "dev": 2_000, "test": 2_000},
    # The suite skips pairs that the translation left half empty.
    read=text_reader(table_rows, "sentence1", "sentence2", one_of("label", NO_YES), empty="skipped"),
    metrics=("paws_acc",),
    settings=replace(SUITE, epochs=15, learning_rate=3e-5),
    scored="test",
    select="dev",
    source="https://github.com/google-research-datasets/paws (PAWS-X, x-final/ko)",
)

KORNLI = Task(
    name="kornli",
    title="KorNLI",
    kind="classes",
    labels=INFERENCES,
    pair=True,
    folders=("kornli", "KorNLI", "kornli-xnli"),
    # Of the two training files (942,854 rows) the suite takes MultiNLI only.
    files={"train": ("multinli.train.ko.tsv",), "dev": ("xnli.dev.ko.tsv",), "test": ("xnli.test.ko.tsv",)},
    rows={"train": 392_702, "dev": 2_490, "test": 5_010},
    read=text_reader(table_rows, "sentence1", "sentence2", one_of("gold_label", INFERENCES)),
    metrics=("kornli_acc",),
    settings=replace(SUITE, epochs=15, batch_size=64),
    scored="test",
    select="dev",
    source="https://github.com/kakaobrain/kor-nlu-datasets, folder KorNLI",
    url=f"{RAW}/kakaobrain/kor-nlu-datasets/HEAD/KorNLI",
)

KORSTS = Task(
    name="korsts",
    title="KorSTS",
    kind="score",
    labels=(),
    pair=True,
    folders=("korsts", "KorSTS"),
    files={"train": ("sts-train.tsv",), "dev": ("sts-dev.tsv",), "test": ("sts-test.tsv",)},
    rows={"train": 5_749, "dev": 1_500, "test": 1_379},
    read=text_reader(table_rows, "sentence1", "sentence2", score("score", 5)),
    metrics=("korsts_spearman",),
    settings=SUITE,
    scored="test",
    select="dev",
    source="https://github.com/kakaobrain/kor-nlu-datasets, folder KorSTS",
    url=f"{RAW}/kakaobrain/kor-nlu-datasets/HEAD/KorSTS",
)

QUESTION_PAIR = Task(
    name="question_pair",
    title="Question Pair",
    kind="classes",
    labels=NO_YES,
    pair=True,
    folders=("question-pair",),
    files={"train": ("train.tsv",), "dev": ("dev.tsv",), "test": ("test.tsv",)},
    rows={"train": 6_136, "dev": 682, "test": 758},
    # 0 are the pairs that mean the same, whatever the column is called.
    read=text_reader(table_rows, "question1", "question2", one_of("is_duplicate", NO_YES), empty="skipped"),
    metrics=("question_pair_acc",),
    settings=SUITE,
    scored="test",
    select="dev",
    source=f"{KOELECTRA}/question-pair",
    url=f"{RAW}/monologg/KoELECTRA/HEAD/finetune/data/question-pair",
)

HATE_SPEECH = Task(
    name="hate_speech",
    title="Korean hate speech",
    kind="classes",
    labels=OFFENCES,
    pair=False,
    folders=("hate-speech", "labeled"),
    files={"train": ("train.tsv",), "dev": ("dev.tsv",)},
    rows={"train": 7_896, "dev": 471},
    read=text_reader(table_rows, "comments", None, one_of("hate", OFFENCES)),
    metrics=("hate_speech_macro_f1",),
    settings=SUITE,
    scored="dev",
    select="best_on_scored",
    source="https://github.com/kocohub/korean-hate-speech, folder labeled",
    url=f"{RAW}/kocohub/korean-hate-speech/HEAD/labeled",
)

KORQUAD = Task(
    name="korquad",
    title="KorQuAD 1.0",
    kind="span",
    labels=(),
    pair=True,
    folders=("korquad1", "korquad"),
    files={"train": ("KorQuAD_v1.0_train.json",), "dev": ("KorQuAD_v1.0_dev.json",)},
    rows={"train": 60_407, "dev": 5_774},
    read=read_korquad,
    metrics=("korquad_f1", "korquad_em"),
    settings=replace(SUITE, epochs=7, batch_size=8, max_length=512),
    scored="dev",
    select="best_on_scored",
    source="https://korquad.github.io/KorQuad%201.0/",
    answerable=True,
)

KOREAN = (NSMC, NAVER_NER, PAWSX, KORNLI, KORSTS, QUESTION_PAIR, HATE_SPEECH, KORQUAD)
