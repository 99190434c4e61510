"""KLUE's eight tasks (https://github.com/KLUE-benchmark/KLUE), with the labels and settings of KLUE-baseline.

Settings are those of run_all.sh for the base models, without which its defaults hold (4 epochs, batches of 32, 5e-5). Test
labels are private, so dev is scored; the baseline keeps the checkpoint that is best on dev by `select_by`, and published dev
scores are of that one.
"""

from dataclasses import replace

from pretrain.evaluate.tasks.readers.dialogues import wos_reader
from pretrain.evaluate.tasks.readers.passages import read_klue_mrc
from pretrain.evaluate.tasks.readers.relations import klue_re_reader
from pretrain.evaluate.tasks.readers.rows import json_rows
from pretrain.evaluate.tasks.readers.tagged import klue_dp_reader, klue_ner_reader
from pretrain.evaluate.tasks.readers.texts import one_of, text_reader
from pretrain.evaluate.tasks.task import Settings, Split, Task

BASELINE = Settings(epochs=4, batch_size=32, learning_rate=5e-5, max_length=128, warmup_share=0.1)

TOPICS = ("정치", "경제", "사회", "생활문화", "세계", "IT과학", "스포츠")
INFERENCES = ("entailment", "contradiction", "neutral")
ENTITY_TAGS = (*(f"{part}-{kind}" for kind in ("PS", "LC", "OG", "DT", "TI", "QT") for part in "BI"), "O")
RELATIONS = (
    "no_relation", "org:dissolved", "org:founded", "org:place_of_headquarters", "org:alternate_names", "org:member_of",
    "org:members", "org:political/religious_affiliation", "org:product", "org:founded_by", "org:top_members/employees",
    "org:number_of_employees/members", "per:date_of_birth", "per:date_of_death", "per:place_of_birth",
    "per:place_of_death", "per:place_of_residence", "per:origin", "per:employee_of", "per:schools_attended",
    "per:alternate_names", "per:parents", "per:children", "per:siblings", "per:spouse", "per:other_family",
    "per:colleagues", "per:product", "per:religion", "per:title",
)  # fmt: skip
"""In the order of the official relation_list.json."""

DEPENDENCIES = (
    "NP", "NP_AJT", "VP", "NP_SBJ", "VP_MOD", "NP_OBJ", "AP", "NP_CNJ", "NP_MOD", "VNP", "DP", "VP_AJT", "VNP_MOD",
    "NP_CMP", "VP_SBJ", "VP_CMP", "VP_OBJ", "VNP_CMP", "AP_MOD", "X_AJT", "VP_CNJ", "VNP_AJT", "IP", "X", "X_SBJ",
    "VNP_OBJ", "VNP_SBJ", "X_OBJ", "AP_AJT", "L", "X_MOD", "X_CNJ", "VNP_CNJ", "X_CMP", "AP_CMP", "AP_SBJ", "R",
    "NP_SVJ",
)  # fmt: skip
"""In KLUE-baseline's order, on which its LAS depends: what comes from VP_CMP on counts as one relation."""

PARTS_OF_SPEECH = (
    "NNG", "NNP", "NNB", "NP", "NR", "VV", "VA", "VX", "VCP", "VCN", "MMA", "MMD", "MMN", "MAG", "MAJ", "JC", "IC",
    "JKS", "JKC", "JKG", "JKO", "JKB", "JKV", "JKQ", "JX", "EP", "EF", "EC", "ETN", "ETM", "XPN", "XSN", "XSV", "XSA",
    "XR", "SF", "SP", "SS", "SE", "SO", "SL", "SH", "SW", "SN", "NA",
)  # fmt: skip
"""Of an eojeol's last morpheme, which the dependency head reads; ids are positions, and one more id stands for none."""

SLOTS = tuple(
    f"{domain}-{slot}"
    for domain, slots in {
        "관광": ("경치 좋은", "교육적", "도보 가능", "문화 예술", "역사적", "이름", "종류", "주차 가능", "지역"),
        "숙소": (
            "가격대", "도보 가능", "수영장 유무", "스파 유무", "예약 기간", "예약 명수", "예약 요일", "이름",
            "인터넷 가능", "조식 가능", "종류", "주차 가능", "지역", "헬스장 유무", "흡연 가능",
        ),
        "식당": (
            "가격대", "도보 가능", "야외석 유무", "예약 명수", "예약 시간", "예약 요일", "이름", "인터넷 가능", "종류",
            "주류 판매", "주차 가능", "지역", "흡연 가능",
        ),
        "지하철": ("도착지", "출발 시간", "출발지"),
        "택시": ("도착 시간", "도착지", "종류", "출발 시간", "출발지"),
    }.items()
    for slot in slots
)  # fmt: skip
"""The slots of the official ontology.json, sorted, as KLUE-baseline numbers them."""


def _files(stem: str, suffix: str) -> dict[Split, tuple[str, ...]]:
    """Train and dev of version 1.1, whose rows are also those of version 1 but for a few tags of NER."""
    return {
        split: tuple(f"{stem}-v{version}_{split}.{suffix}" for version in ("1.1", "1")) for split in ("train", "dev")
    }


def _source(folder: str) -> str:
    return f"https://github.com/KLUE-benchmark/KLUE, folder klue_benchmark/{folder}-v1.1"


def _url(folder: str) -> str:
    return f"https://raw.githubusercontent.com/KLUE-benchmark/KLUE/HEAD/klue_benchmark/{folder}-v1.1"


YNAT = Task(
    name="klue_ynat",
    title="KLUE-TC (YNAT)",
    kind="classes",
    labels=TOPICS,
    pair=False,
    folders=("klue-ynat", "ynat-v1.1", "ynat"),
    files=_files("ynat", "json"),
    rows={"train": 45_678, "dev": 9_107},
    read=text_reader(json_rows, "title", None, one_of("label", TOPICS)),
    metrics=("ynat_macro_f1",),
    settings=BASELINE,
    scored="dev",
    select="best_on_scored",
    source=_source("ynat"),
    url=_url("ynat"),
)

STS = Task(
    name="klue_sts",
    title="KLUE-STS",
    kind="score",
    labels=(),
    pair=True,
    folders=("klue-sts", "klue-sts-v1.1"),
    files=_files("klue-sts", "json"),
    rows={"train": 11_668, "dev": 519},
    # The mean of all annotators; `label` is the same rounded to a tenth.
    read=text_reader(json_rows, "sentence1", "sentence2", lambda row: row.inside("labels").number("real-label", 0, 5)),
    metrics=("klue_sts_pearsonr", "klue_sts_f1"),
    settings=BASELINE,
    scored="dev",
    select="best_on_scored",
    source=_source("klue-sts"),
    url=_url("klue-sts"),
)

NLI = Task(
    name="klue_nli",
    title="KLUE-NLI",
    kind="classes",
    labels=INFERENCES,
    pair=True,
    folders=("klue-nli", "klue-nli-v1.1"),
    files=_files("klue-nli", "json"),
    rows={"train": 24_998, "dev": 3_000},
    read=text_reader(json_rows, "premise", "hypothesis", one_of("gold_label", INFERENCES)),
    metrics=("klue_nli_acc",),
    settings=replace(BASELINE, epochs=5),
    scored="dev",
    select="best_on_scored",
    source=_source("klue-nli"),
    url=_url("klue-nli"),
)

NER = Task(
    name="klue_ner",
    title="KLUE-NER",
    kind="tags",
    labels=ENTITY_TAGS,
    pair=False,
    folders=("klue-ner", "klue-ner-v1.1"),
    files=_files("klue-ner", "tsv"),
    rows={"train": 21_008, "dev": 5_000},
    read=klue_ner_reader(ENTITY_TAGS),
    # Both ways from tokens to characters: the baseline's, of which published scores are, and the right one.
    metrics=(
        "klue_ner_entity_macro_f1",
        "klue_ner_char_macro_f1",
        "klue_ner_entity_macro_f1_by_offsets",
        "klue_ner_char_macro_f1_by_offsets",
    ),
    settings=replace(BASELINE, epochs=3, max_length=510, warmup_share=0.0, select_by="klue_ner_char_macro_f1"),
    scored="dev",
    select="best_on_scored",
    source=_source("klue-ner"),
    url=_url("klue-ner"),
)

RE = Task(
    name="klue_re",
    title="KLUE-RE",
    kind="relation",
    labels=RELATIONS,
    pair=False,
    folders=("klue-re", "klue-re-v1.1"),
    files=_files("klue-re", "json"),
    rows={"train": 32_470, "dev": 7_765},
    read=klue_re_reader(RELATIONS),
    metrics=("klue_re_micro_f1", "klue_re_auprc"),
    settings=replace(BASELINE, epochs=3, max_length=256),
    scored="dev",
    select="best_on_scored",
    source=_source("klue-re"),
    url=_url("klue-re"),
)

DP = Task(
    name="klue_dp",
    title="KLUE-DP",
    kind="dependencies",
    labels=DEPENDENCIES,
    pair=False,
    folders=("klue-dp", "klue-dp-v1.1"),
    files=_files("klue-dp", "tsv"),
    rows={"train": 10_000, "dev": 2_000},
    read=klue_dp_reader(DEPENDENCIES, PARTS_OF_SPEECH),
    metrics=("klue_dp_uas_macro_f1", "klue_dp_las_macro_f1", "klue_dp_uas_micro_f1", "klue_dp_las_micro_f1"),
    settings=replace(BASELINE, epochs=10, max_length=256, select_by="klue_dp_las_macro_f1"),
    scored="dev",
    select="best_on_scored",
    source=_source("klue-dp"),
    url=_url("klue-dp"),
)

MRC = Task(
    name="klue_mrc",
    title="KLUE-MRC",
    kind="span",
    labels=(),
    pair=True,
    folders=("klue-mrc", "klue-mrc-v1.1"),
    files=_files("klue-mrc", "json"),
    rows={"train": 17_554, "dev": 5_841},
    read=read_klue_mrc,
    metrics=("klue_mrc_em", "klue_mrc_rouge_w"),
    settings=replace(
        BASELINE,
        epochs=5,
        batch_size=16,
        learning_rate=3e-5,
        max_length=510,  # 512 for BERT: the baseline's first RoBERTa had so many positions, of which two are never used
        warmup_share=0.0,
        select_by="klue_mrc_rouge_w",
    ),
    scored="dev",
    select="best_on_scored",
    source=_source("klue-mrc"),
    url=_url("klue-mrc"),
)

WOS = Task(
    name="klue_wos",
    title="KLUE-DST (WoS)",
    kind="dialogue",
    labels=SLOTS,
    pair=False,
    folders=("klue-wos", "wos-v1.1", "wos"),
    files=_files("wos", "json"),
    rows={"train": 8_000, "dev": 1_000},
    read=wos_reader(SLOTS),
    metrics=("wos_jga", "wos_slot_micro_f1"),
    settings=replace(
        BASELINE,
        epochs=5,
        batch_size=16,
        learning_rate=3e-5,
        max_length=510,
        weight_decay=0.01,
        select_by="wos_slot_micro_f1",
    ),
    scored="dev",
    select="best_on_scored",
    source=_source("wos"),
    url=_url("wos"),
)

KLUE = (YNAT, STS, NLI, NER, RE, DP, MRC, WOS)
