"""Benchmark files are told by their content, and give the text that a model reads, never an answer."""

import gzip
import json
import logging
from collections import Counter
from pathlib import Path

import pytest

from data_pipeline.contract.benchmark_files import BenchmarkText, benchmark_paths, read_benchmark
from data_pipeline.contract.benchmark_files.klue import read_rows
from data_pipeline.contract.benchmark_files.squad import Answer, read_questions
from data_pipeline.contract.benchmark_files.tables import read_table
from data_pipeline.contract.benchmark_files.tagged import read_conllu, read_klue_dp, read_klue_ner, read_naver_ner
from data_pipeline.contract.errors import InputError

TASKS = Path(__file__).resolve().parents[3] / "../shared/data/tasks"

KLUE_NER = """## 토큰 구분자 : \\n
## 컬럼명 : CHAR\tNE_TAG
## ner_00-wiki\t<서울:LC>에 간다
서\tB-LC
울\tI-LC
에\tO
 \tO
간\tO
다\tO

## ner_01-wiki\t<둘:QT>!
둘\tB-QT
!\tO
"""

KLUE_DP = """## 칼럼명 : INDEX\tWORD_FORM\tLEMMA\tPOS\tHEAD\tDEPREL
## dp_00_wiki\t비가 온다.
1\t비가\t비 가\tNNG+JKS\t2\tNP_SBJ
2\t온다.\t오 ㄴ다 .\tVV+EF+SF\t0\tVP
"""

CONLLU = """# newdoc id = n1
# sent_id = s1
# text = 비가 온다
1\t비가\t비+가\tNOUN\tNNG+JKS\t_\t2\tnsubj\t_\t_
2\t온다\t오+ㄴ다\tVERB\tVV+EF\t_\t0\troot\t_\t_

"""

SQUAD = {
    "version": "x",
    "data": [
        {
            "title": "한강",
            "paragraphs": [
                {
                    "context": "한강은 길다. 서울을 지난다.",
                    "qas": [
                        {
                            "id": "q1",
                            "question": "한강은 어디를 지나나?",
                            "answers": [{"text": "서울", "answer_start": 8}],
                        }
                    ],
                }
            ],
        }
    ],
}

MRC = {
    "data": [
        {
            "title": "한강",
            "paragraphs": [
                {
                    "context": "한강은 길다.",
                    "qas": [
                        {
                            "guid": "mrc_00",
                            "question": "누가 지었나?",
                            "is_impossible": True,
                            "answers": [],
                            "plausible_answers": [{"text": "한강", "answer_start": 0}],
                        }
                    ],
                }
            ],
        }
    ],
}

WOS = [
    {
        "guid": "wos_00",
        "domains": ["식당"],
        "dialogue": [
            {"role": "user", "text": "종로에 있는 조용한 식당을 찾아 주세요.", "state": []},
            {"role": "sys", "text": "네, 알겠습니다."},
        ],
    }
]

RE = [
    {
        "guid": "re_00",
        "sentence": "홍길동은 서울에서 태어났다.",
        "subject_entity": {"word": "홍길동", "start_idx": 0, "end_idx": 2, "type": "PER"},
        "object_entity": {"word": "서울", "start_idx": 5, "end_idx": 6, "type": "LOC"},
        "label": "per:place_of_birth",
    }
]

NLI = [{"guid": "nli_00", "premise": "비가 온다.", "hypothesis": "날이 맑다.", "gold_label": "contradiction"}]
STS = [{"guid": "sts_00", "sentence1": "비가 온다.", "sentence2": "비 온다.", "labels": {"label": 4.0}}]
YNAT = [{"guid": "ynat_00", "title": "한강에 새 다리 놓는다", "label": "사회"}]


def as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


FORMATS = {
    "KorSTS": (
        'genre\tfilename\tyear\tid\tscore\tsentence1\tsentence2\nnews\tx\t2012\t1\t3.2\t"비가 온다.\t비 온다.\n',
        [("sentence", '"비가 온다.', "file:2"), ("sentence", "비 온다.", "file:2")],
    ),
    "KorNLI": (
        "sentence1\tsentence2\tgold_label\n비가 온다.\t날이 맑다.\tcontradiction\n",
        [("sentence", "비가 온다.", "file:2"), ("sentence", "날이 맑다.", "file:2")],
    ),
    "PAWS-X": (
        "id\tsentence1\tsentence2\tlabel\n7\t비가 온다.\t\t0\n",
        [("sentence", "비가 온다.", "file:2")],
    ),
    "question pairs": (
        "question1\tquestion2\tis_duplicate\n비 와?\t비가 와?\t1\n",
        [("question", "비 와?", "file:2"), ("question", "비가 와?", "file:2")],
    ),
    "hate speech": (
        "comments\tcontain_gender_bias\tbias\thate\n잘 봤어요\tFalse\tnone\tnone\n",
        [("sentence", "잘 봤어요", "file:2")],
    ),
    "hate speech test": ("comments\n잘 봤어요\n", [("sentence", "잘 봤어요", "file:2")]),
    "NSMC": ("id\tdocument\tlabel\n1\t재미있다\t1\n", [("sentence", "재미있다", "file:2")]),
    "NSMC with \\r\\n and a byte order mark": (
        "\ufeffid\tdocument\tlabel\r\n1\t재미\u2028있다\t1\r\n",
        [("sentence", "재미\u2028있다", "file:2")],
    ),
    "KLUE-NLI": (as_json(NLI), [("sentence", "비가 온다.", "nli_00"), ("sentence", "날이 맑다.", "nli_00")]),
    "KLUE-STS": (as_json(STS), [("sentence", "비가 온다.", "sts_00"), ("sentence", "비 온다.", "sts_00")]),
    "YNAT": (as_json(YNAT), [("title", "한강에 새 다리 놓는다", "ynat_00")]),
    "KLUE-RE": (as_json(RE), [("sentence", "홍길동은 서울에서 태어났다.", "re_00")]),
    "WoS": (as_json(WOS), [("utterance", "종로에 있는 조용한 식당을 찾아 주세요.", "wos_00")]),
    "KorQuAD 1.0": (
        json.dumps(SQUAD),
        [
            ("heading", "한강", "file: data[0]"),
            ("context", "한강은 길다. 서울을 지난다.", "file: data[0].paragraphs[0]"),
            ("question", "한강은 어디를 지나나?", "q1"),
        ],
    ),
    "KLUE-MRC": (
        as_json(MRC),
        [
            ("heading", "한강", "file: data[0]"),
            ("context", "한강은 길다.", "file: data[0].paragraphs[0]"),
            ("question", "누가 지었나?", "mrc_00"),
        ],
    ),
    "KLUE-NER": (KLUE_NER, [("sentence", "서울에 간다", "ner_00-wiki"), ("sentence", "둘!", "ner_01-wiki")]),
    "KLUE-DP": (KLUE_DP, [("sentence", "비가 온다.", "dp_00_wiki")]),
    "Naver NER": ("비가 서울에 온다 .\tO LOC-B O O\n", [("sentence", "비가 서울에 온다 .", "file:1")]),
    "CoNLL-U": (CONLLU, [("sentence", "비가 온다", "s1")]),
    "JSON Lines": (
        '{"text": "비가 온다."}\n{"id": 7, "text": "날이 맑다."}\n',
        [("sentence", "비가 온다.", "file:1"), ("sentence", "날이 맑다.", "7")],
    ),
}


@pytest.mark.parametrize("name", FORMATS)
def test_format_is_told_by_content_and_gives_what_models_read(name: str, tmp_path: Path) -> None:
    content, expected = FORMATS[name]
    path = tmp_path / "bench" / "file"
    path.parent.mkdir()
    path.write_bytes(content.encode())
    texts = list(read_benchmark(path))
    assert [(text.kind, text.text, text.location) for text in texts] == expected
    assert {text.benchmark for text in texts} == {"bench/file"}


def test_plain_text_and_compressed_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("비가 온다.\n\n 날이 맑다. \n", encoding="utf-8")
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress('{"text": "눈이 온다."}\n'.encode()))
    name = tmp_path.name
    assert list(read_benchmark(tmp_path / "a.txt")) == [
        BenchmarkText("비가 온다.", f"{name}/a", "a.txt:1", "sentence"),
        BenchmarkText("날이 맑다.", f"{name}/a", "a.txt:3", "sentence"),
    ]
    assert [text.benchmark for text in read_benchmark(tmp_path / "b.jsonl.gz")] == [f"{name}/b"]


@pytest.mark.parametrize("content", [{"relations": ["no_relation"]}, {"관광-이름": ["none", "경복궁"]}])
def test_files_without_text_yield_nothing_and_say_so(
    content: object, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "labels.json"
    path.write_text(as_json(content), encoding="utf-8")
    with caplog.at_level(logging.INFO):
        assert list(read_benchmark(path)) == []
    assert "labels.json" in caplog.text
    assert "holds no benchmark text" in caplog.text


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (
            "a.tsv",
            "title\tbody\nx\ty\n",
            r'a\.tsv: unknown benchmark format \(first line "title\tbody"\); known are KorSTS',
        ),
        ("a.txt", "title\tbody\nx\ty\n", "unknown benchmark format"),
        ("a.json", '{"body": "x"}', "a JSON object with body"),
        ("a.json", '[{"body": "x"}]', "a JSON list of objects with body"),
        ("a.json", "[1]", "unknown benchmark format"),
        ("a.json", '[{"text": "x"},\n {"text"]', r"a\.json:2: not readable as JSON"),
        ("a.jsonl", '{"text": "x"}\n{"text"\n', r"a\.jsonl:2: not readable as JSON"),
        ("a.jsonl", '{"text": "x"}\n{"body": "y"}\n', r"row 2 has no text field \(found: body\)"),
        ("a.json", '[{"dialogue": [{"role": "user"}]}]', 'row 1 has a turn without a "text"'),
        ("a.json", '{"data": [{"paragraphs": [{"qas": []}]}]}', r'data\[0\]\.paragraphs\[0\] has no "context"'),
        ("a.txt", "", "the file is empty"),
        ("a.txt", b"\xb0\xa1\n", r"a\.txt:1: not UTF-8"),
        ("a.json", b'[\n{\n"text": "\xb0\xa1"}]', r"a\.json:3: not UTF-8"),
        ("a.tsv", "id\tdocument\tlabel\n1\tx\n", r"a\.tsv:2: 2 columns where the header has 3"),
        ("a.tsv", KLUE_NER + "\n나\n", r"a\.tsv:\d+: 1 columns instead of 2"),
        ("a.tsv", "비가 온다\tO O\n비가 온다\tO\n", r"a\.tsv:2: 2 words and 1 tags"),
        ("a.conllu", CONLLU.replace("# text", "# words"), 'sentence "s1" has no line "# text'),
    ],
)
def test_what_cannot_be_read_is_named(file: str, content: str | bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / file
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message):
        list(read_benchmark(path))


def test_folders_are_expanded_sorted_and_without_hidden_files(tmp_path: Path) -> None:
    for name in ("b/2.txt", "b/1.txt", "a.txt", ".git/x", "b/.DS_Store"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x", encoding="utf-8")
    expected = [tmp_path / "a.txt", tmp_path / "b/1.txt", tmp_path / "b/2.txt"]
    assert benchmark_paths([tmp_path, str(tmp_path / "a.txt")]) == expected
    with pytest.raises(InputError, match="nowhere: no such benchmark file or folder"):
        benchmark_paths([tmp_path / "nowhere"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no benchmark file in this folder"):
        benchmark_paths([tmp_path / "empty"])


def test_rows_carry_labels_for_evaluation(tmp_path: Path) -> None:
    def write(name: str, content: str) -> Path:
        (tmp_path / name).write_text(content, encoding="utf-8")
        return tmp_path / name

    assert [row.values["gold_label"] for row in read_table(write("nli.tsv", FORMATS["KorNLI"][0]))] == ["contradiction"]
    assert [row["gold_label"] for row in read_rows(write("nli.json", as_json(NLI)))] == ["contradiction"]
    (question,) = read_questions(write("squad.json", json.dumps(SQUAD)))
    assert question.answers == (Answer("서울", 8),)
    assert question.context[8:10] == "서울"
    (unanswerable,) = read_questions(write("mrc.json", as_json(MRC)))
    assert unanswerable.answers == ()
    first, _ = read_klue_ner(write("ner.tsv", KLUE_NER))
    assert first.tokens == tuple("서울에 간다")
    assert first.tags[:3] == (("B-LC",), ("I-LC",), ("O",))
    (tree,) = read_klue_dp(write("dp.tsv", KLUE_DP))
    assert tree.tokens == ("비가", "온다.")
    assert [tag[2:] for tag in tree.tags] == [("2", "NP_SBJ"), ("0", "VP")]
    (words,) = read_naver_ner(write("naver.tsv", FORMATS["Naver NER"][0]))
    assert words.tags[1] == ("LOC-B",)
    (universal,) = read_conllu(write("ud.conllu", CONLLU))
    assert universal.tags[0][0] == "비+가"


EXPECTED = {
    "hate-speech/dev": {"sentence": 471},
    "hate-speech/train": {"sentence": 7896},
    "klue-dp/klue-dp-v1.1_dev": {"sentence": 2000},
    "klue-ner/klue-ner-v1.1_dev": {"sentence": 5000},
    "klue-nli/klue-nli-v1.1_dev": {"sentence": 2 * 3000},
    "klue-sts/klue-sts-v1.1_dev": {"sentence": 2 * 519},
    "klue-re/relation_list": {},
    "klue-wos/ontology": {},
    "kornli-xnli/xnli.dev.ko": {"sentence": 2 * 2490},
    "kornli-xnli/xnli.test.ko": {"sentence": 2 * 5010},
    "korquad1/KorQuAD_v1.0_dev": {"heading": 140, "context": 964, "question": 5774},
    "korsts/sts-dev": {"sentence": 2 * 1500},
    "korsts/sts-test": {"sentence": 2 * 1379},
    "korsts/sts-train": {"sentence": 2 * 5749},
    "naver-ner/test": {"sentence": 9000},
    "pawsx-ko/dev_2k": {"sentence": 2 * 2000},
    "pawsx-ko/test_2k": {"sentence": 2 * 2000},
    "question-pair/dev": {"question": 2 * 682},
    "question-pair/test": {"question": 2 * 758},
    "question-pair/train": {"question": 2 * 6136},
    "ud-gsd/ko_gsd-ud-dev": {"sentence": 950},
    "ud-gsd/ko_gsd-ud-test": {"sentence": 989},
}


@pytest.mark.skipif(
    not TASKS.is_dir(), reason="the real benchmark files (../shared/data/tasks) are not on this machine"
)
def test_real_benchmark_files_read_with_their_published_sizes() -> None:
    counted = {}
    for path in benchmark_paths([TASKS]):
        texts = list(read_benchmark(path))
        assert all(text.text.strip() and "\t" not in text.text for text in texts)
        counted[f"{path.parent.name}/{path.stem}"] = dict(Counter(text.kind for text in texts))
    assert counted == EXPECTED
    assert sum(len(question.answers) for question in read_questions(TASKS / "korquad1/KorQuAD_v1.0_dev.json")) >= 5774
