"""A task of one's own from a description file, and what is wrong with it or its data said in one sentence."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_file import PACKAGED_CONFIGS
from pretrain.evaluate.metrics import METRICS
from pretrain.evaluate.tasks.examples import GoldAnswer, SpanExample, TagExample, TextExample
from pretrain.evaluate.tasks.files import read_split
from pretrain.evaluate.tasks.task import Settings, Split, Task
from pretrain.evaluate.tasks.user import KINDS, user_task

IMPORTS = """from pretrain.evaluate.tasks.description import (
    ClassColumns, ScoreColumns, SpanColumns, TagColumns, TaskDescription,
)
from pretrain.evaluate.tasks.task import Settings
"""
Make = Callable[..., Task]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a task of the arguments of a TaskDescription, and of files by name."""

    def task(arguments: str, **files: str | bytes) -> Task:
        for name, content in files.items():
            path = tmp_path / name.replace("__", ".")
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        (tmp_path / "own.py").write_text(
            f"{IMPORTS}task = TaskDescription(title='Own', {arguments})\n", encoding="utf-8"
        )
        return user_task(tmp_path / "own.py", tmp_path)

    return task


CLASSES = "columns=ClassColumns(), train='train.csv', test='test.csv', labels=('좋음', '나쁨')"


def test_classes_from_csv_with_quoted_fields_over_several_lines(make: Make, tmp_path: Path) -> None:
    content = 'id,text,label\r\n1,"그는 ""좋다""고,\r\n또 말했다.",좋음\r\n\r\n2,싫다,나쁨\r\n'
    task = make(CLASSES, train__csv="\ufeff" + content)
    assert (task.name, task.kind, task.pair, task.scored, task.select) == ("own", "classes", False, "test", "last")
    found = read_split(task, tmp_path, "train")
    assert found.examples == [
        TextExample("train.csv:2", '그는 "좋다"고,\n또 말했다.', None, "좋음"),
        TextExample("train.csv:5", "싫다", None, "나쁨"),
    ]
    assert found.part == "2 rows"


def test_labels_are_read_from_train_where_none_are_given(make: Make) -> None:
    rows = [{"text": "가", "label": label} for label in (10, 2, 1, 10)]
    task = make(
        "columns=ClassColumns(), train='train.jsonl', held_out=0.5",
        train__jsonl="\n".join(json.dumps(row) for row in rows),
    )
    assert task.labels == ("1", "2", "10")
    assert task.metrics == ("accuracy", "macro_f1")


def test_pairs_with_a_score_from_tsv_and_a_dev_file(make: Make, tmp_path: Path) -> None:
    task = make(
        "columns=ScoreColumns(text='a', second='b', score='c', name='id'), train='t.tsv', dev='d.tsv.gz', test='t.tsv', "
        "metrics=('spearman',), settings=Settings(epochs=3)",
        d__tsv__gz=gzip.compress(b'id\ta\tb\tc\n7\t"x\ty"\t-1.5\n'),
    )
    assert (task.kind, task.pair, task.labels, task.scored, task.select) == ("score", True, (), "test", "dev")
    assert (task.metrics, task.settings) == (("spearman",), Settings(epochs=3))
    assert read_split(task, tmp_path, "dev").examples == [TextExample("7", '"x', 'y"', -1.5)]


def test_tags_are_lists_or_separated_by_blanks(make: Make, tmp_path: Path) -> None:
    lines = [{"words": ["서울", "간다"], "tags": ["B-LC", "O"]}, {"words": "나 간다", "tags": "O O"}]
    content = "\n".join(json.dumps(line) for line in lines)
    task = make("columns=TagColumns(), train='t.jsonl', held_out=0.5", t__jsonl=content)
    assert task.labels == ("B-LC", "O")
    assert task.read(tmp_path / "t.jsonl") == [
        TagExample("t.jsonl:1", ("서울", "간다"), ("B-LC", "O"), " "),
        TagExample("t.jsonl:2", ("나", "간다"), ("O", "O"), " "),
    ]


def test_spans_may_have_no_answer(make: Make, tmp_path: Path) -> None:
    task = make(
        "columns=SpanColumns(), train='t.csv', test='t.csv'",
        t__csv="question,context,answer,start\n어디?, 서울을 지난다,서울,1\n누가?,서울을 지난다,,\n",
    )
    assert task.read(tmp_path / "t.csv") == [
        SpanExample("t.csv:2", "어디?", " 서울을 지난다", (GoldAnswer("서울", 1),), False, ""),
        SpanExample("t.csv:3", "누가?", "서울을 지난다", (), True, ""),
    ]


def test_the_seven_emotions_are_the_tutorials(tmp_path: Path) -> None:
    emotions = ("공포", "놀람", "분노", "슬픔", "중립", "행복", "혐오")
    rows = "".join(f"문장 {number},{emotions[number % 7]}\n" for number in range(70))
    (tmp_path / "emotions.csv").write_text(f"Sentence,Emotion\n{rows}", encoding="utf-8")
    task = user_task(PACKAGED_CONFIGS / "tasks" / "emotions.py", tmp_path)
    assert task.labels == emotions
    assert task.settings == Settings(
        epochs=5, batch_size=64, learning_rate=5e-5, max_length=64, warmup_share=0.1, schedule="cosine",
        weight_decay=0.01, dropout=0.5,
    )  # fmt: skip
    train, test = read_split(task, tmp_path, "train"), read_split(task, tmp_path, "test")
    assert (len(train.examples), len(test.examples)) == (52, 18)
    with pytest.raises(
        InputError, match=r"emotions\.csv of Seven emotions is missing; get it from https://aihub\.or\.kr"
    ):
        read_split(task, tmp_path.parent, "train")


TAGS = "columns=TagColumns(), train='t.jsonl', held_out=0.5, labels=('O', 'B-LC')"
SCORES = "columns=ScoreColumns(), train='t.jsonl', held_out=0.5"
SPANS = "columns=SpanColumns(), train='t.jsonl', held_out=0.5"
BAD_DATA = {
    "missing column": (CLASSES, "csv", "title,label\n가,좋음\n", ':2: field "text" is missing (found: title, label)'),
    "unknown label": (CLASSES, "csv", "text,label\n가,조음\n", ':2: field "label" is "조음", not one of 좋음, 나쁨; correct the row'),
    "no label": (CLASSES, "csv", "text,label\n가,\n", ':2: field "label" is "", not one of 좋음, 나쁨; correct the row'),
    "empty text": (CLASSES, "csv", 'text,label\n가,좋음\n" ",나쁨\n', ':3: field "text" is empty; fill it or remove the row'),
    "NUL": (CLASSES, "csv", "text,label\n가\0,좋음\n", ':2: field "text" holds a NUL byte; correct the row'),
    "too many columns": (CLASSES, "csv", "text,label\n가, 나,좋음\n", ":2: 3 columns where the header has 2 (text, label); correct the row"),
    "open quotation": (CLASSES, "csv", 'text,label\n가,좋음\n"나,나쁨\n다,나쁨\n', ":3: not a row of CSV (unexpected end of data); close its quotation marks, or shorten it"),
    "a column twice": (CLASSES, "csv", "text,text,label\n가,나,좋음\n", ':1: the column "text" is listed twice; rename one'),
    "no rows": (CLASSES, "csv", "text,label\n", ": the file has no rows; restore it"),
    "empty file": (CLASSES, "csv", "", ": the file has no rows; restore it"),
    "cp949": (CLASSES, "csv", "text,label\n가,좋음\n".encode("cp949"), ":2: not UTF-8 (invalid start byte); convert the file to UTF-8"),
    "UTF-16": (CLASSES, "csv", "text,label\n가,좋음\n".encode("utf-16"), ":1: not UTF-8 (invalid start byte); convert the file to UTF-8"),
    "duplicate names": (CLASSES.replace("()", "(name='id')", 1), "csv", "id,text,label\n7,가,좋음\n7,나,나쁨\n", ': 2 rows have the name "7", and predictions are kept by name; rename them'),
    "truncated JSON": (TAGS, "jsonl", '{"words": "가", "tags": "O"}\n{"words": "가", ', ":2: not readable as JSON (Expecting property name enclosed in double quotes); correct the line"),
    "digits": (TAGS, "jsonl", f'{{"words": {"9" * 5000}}}', ":1: not readable as JSON (a whole number has too many digits); correct the line"),
    "brackets": (TAGS, "jsonl", "[" * 100_000, ":1: not readable as JSON (too many brackets inside each other); correct the line"),
    "a number beyond floats": (SCORES, "jsonl", f'{{"text": "가", "score": 1{"0" * 400}}}', f':1: field "score" must be a number, found 1{"0" * 39}...; correct the row'),
    "lines of an old Mac": (CLASSES, "csv", "text,label\r가,좋음\r", ":1: not a row of CSV (new-line character seen in unquoted field); end its lines with \\n"),
    "half a character": (TAGS, "jsonl", '{"words": "가", "tags": ["\\ud800"]}\n', ':1: field "tags" holds half a character (a lone surrogate); correct the row'),
    "no answers at all": (SPANS.replace("()", "(answer='anser')"), "jsonl", '{"question": "q", "context": "가", "answer": "가", "start": 0}\n', ': field "anser" is empty or missing in all rows; name the right one'),
    "no object": (TAGS, "jsonl", '["가"]\n', ":1: must be a JSON object, found list; correct the line"),
    "tags and words": (TAGS, "jsonl", '{"words": "가 나", "tags": "O"}\n', ":1: 2 units and 1 tags; correct the row"),
    "unknown tag": (TAGS, "jsonl", '{"words": "가 나", "tags": "O B-LOC"}\n', ':1: tag 2 is "B-LOC", not one of O, B-LC (did you mean B-LC?); correct the row'),
    "numbers as words": (TAGS, "jsonl", '{"words": [1, 2], "tags": "O O"}\n', ':1: field "words" must hold text only, found 1; correct the row'),
    "answer outside": (SPANS, "jsonl", '{"question": "q", "context": "가나다", "answer": "나다라", "start": 1}\n', ':1: the answer "나다라" at 1 is outside its context of 3 characters; correct the row'),
    "answer elsewhere": (SPANS, "jsonl", '{"question": "q", "context": "가나다", "answer": "나", "start": 0}\n', ':1: the context has "가" at 0, not the answer "나"; correct the row'),
    "no start": (SPANS, "jsonl", '{"question": "q", "context": "가나다", "answer": "나"}\n', ':1: field "start" is missing (found: question, context, answer)'),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "ending", "content", "message"), BAD_DATA.values(), ids=list(BAD_DATA))
def test_bad_data_is_one_sentence_with_file_row_and_field(
    make: Make, tmp_path: Path, arguments: str, ending: str, content: str | bytes, message: str
) -> None:
    path = tmp_path / f"t.{ending}"
    task = make(arguments, **{f"t__{ending}": content})
    with pytest.raises(InputError) as error:
        task.read(path)
    assert str(error.value) == f"{path}{message}"


BAD_DESCRIPTIONS = {
    "misspelled field": ("columns=ClassColumns(), trian='t.csv'", r"own\.py:5: TypeError: .*'trian' \(did you mean train\?\)"),
    "wrong type": ("columns=ClassColumns(), train=3, test='t.csv'", r"own\.py:5: task\.train must be text \(str\), found 3 \(int\)"),
    "wrong columns": ("columns=('a', 'b'), train='t.csv'", r"own\.py:5: task\.columns must be a ClassColumns or a ScoreColumns or .*found \('a', 'b'\)"),
    "beyond a limit": ("columns=ClassColumns(), train='t.csv', test='t.csv', settings=Settings(epochs=0)", r"own\.py: task\.settings\.epochs must be above 0, found 0$"),
    "nothing to score": ("columns=ClassColumns(), train='t.csv'", r"own\.py: one of task\.test, task\.dev and task\.held_out must be given: scores are taken on it$"),
    "two things to score": ("columns=ClassColumns(), train='t.csv', test='s.csv', held_out=0.1", r"own\.py: task\.held_out must be 0 where there is a dev or test file$"),
    "a label twice": ("columns=ClassColumns(), train='t.csv', test='s.csv', labels=('1', '0', '1')", r'own\.py: task\.labels lists "1" twice; remove one$'),
    "labels of a score": ("columns=ScoreColumns(), train='t.csv', test='s.csv', labels=('1', '0')", r"own\.py: task\.labels must be empty for a score task$"),
    "one listed label": ("columns=ClassColumns(), train='t.csv', test='s.csv', labels=('1',)", r'own\.py: task\.labels has "1" only; list two or more, or none$'),
    "one label": ("columns=ClassColumns(), train='t.csv', held_out=0.1", r"t\.csv: only one label occurs, 1; there is nothing to tell apart"),
    "unknown format": ("columns=ClassColumns(), train='t.xlsx', held_out=0.1", r"t\.xlsx: unknown format \.xlsx; must be \.jsonl, \.csv, \.tsv$"),
    "missing file": ("columns=ClassColumns(), train='u.csv', held_out=0.1", r"^--data .*: u\.csv of Own is missing; correct its name in the task's description, or --data$"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), BAD_DESCRIPTIONS.values(), ids=list(BAD_DESCRIPTIONS))
def test_a_wrong_description_is_one_sentence(make: Make, arguments: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make(arguments, t__csv="text,label\n가,1\n나,1\n", t__xlsx=b"PK")


def test_a_task_of_ones_own_is_not_taken_for_an_official_one(tmp_path: Path) -> None:
    (tmp_path / "nsmc.py").write_text("")
    with pytest.raises(
        InputError, match=r"--task .*nsmc\.py: nsmc is the name of an official task, .*; rename the file$"
    ):
        user_task(tmp_path / "nsmc.py", tmp_path)


@pytest.mark.parametrize(("share", "split"), [(0.2, "train"), (0.01, "test")])
def test_a_share_that_leaves_no_rows_is_told(make: Make, tmp_path: Path, share: float, split: Split) -> None:
    task = make(f"columns=ClassColumns(), train='t.csv', held_out={share}", t__csv="text,label\n가,1\n가,2\n가,1\n")
    told = rf"t\.csv: 1 different texts, of which held_out {share} leaves none for {split}; change it, or add rows$"
    with pytest.raises(InputError, match=told):
        read_split(task, tmp_path, split)


def test_a_description_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^--task nowhere\.py: no such file; give the description of a task, as in"):
        user_task(Path("nowhere.py"), tmp_path)


TAGGED = '{"words": ["서울", "간다"], "tags": ["B-LC", "O"]}\n{"words": "나 간다", "tags": "%s O"}'


def test_metrics_of_ones_own_are_known(make: Make) -> None:
    assert {name for _, metrics in KINDS.values() for name in metrics} <= {*METRICS}
    with pytest.raises(
        InputError, match=r'own.py: task.metrics has "spearmann", not one of pearson, spearman \(did you mean'
    ):
        make("columns=ScoreColumns(), train='t.tsv', test='t.tsv', metrics=('spearmann',)")
    with pytest.raises(
        InputError, match=r'own.py: task.settings.select_by is "macro_f1", not one of accuracy; correct it'
    ):
        make(
            "columns=ClassColumns(), train='t.tsv', test='t.tsv', labels=('a', 'b'), metrics=('accuracy',), "
            "settings=Settings(select_by='macro_f1')"
        )


def test_tags_that_are_no_spans_have_no_entity_f1(make: Make) -> None:
    held_out = "columns=TagColumns(), train='t.jsonl', held_out=0.5"
    assert make(held_out, t__jsonl=TAGGED % "I-LC").metrics == ("entity_f1", "tag_accuracy")
    assert make(held_out, t__jsonl=TAGGED % "NNG").metrics == ("tag_accuracy",)
    with pytest.raises(
        InputError, match=r"own.py: task.metrics has entity_f1, but the tag NNG is neither B-TYPE nor I-TYPE"
    ):
        make(f"{held_out}, metrics=('entity_f1',)", t__jsonl=TAGGED % "NNG")
