from pathlib import Path

import numpy as np
import pytest
from probe_data import reviews
from tiny_run import write_records

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.evaluate.probes.texts import encode, pack, read_rows
from pretrain.recipe import Probes

SHARED = Path(__file__).parents[5] / "shared" / "data"


def test_texts_are_packed_whole_in_their_order() -> None:
    texts = [np.arange(1, size + 1, dtype=np.int32) for size in (5, 3, 8, 1, 1, 7)]
    fields, places = pack(texts, 8, pad_id=0)
    assert fields["tokens"].shape == (4, 8), "5 + 3, 8, 1 + 1, 7"
    for text, (row, segment) in zip(texts, places, strict=True):
        own = fields["segments"][row] == segment
        np.testing.assert_array_equal(fields["tokens"][row][own], text)
        np.testing.assert_array_equal(fields["positions"][row][own], np.arange(len(text)))
    padding = fields["segments"] == 0
    assert padding.sum() == 4 * 8 - sum(map(len, texts))
    assert not fields["tokens"][padding].any()


def test_rows_are_drawn_once_and_a_text_is_fitted_to_or_scored(tmp_path: Path) -> None:
    recipe = Probes(data=str(reviews(tmp_path / "nsmc", 200)), train_rows=60, test_rows=30)
    rows = read_rows("nsmc", recipe)
    assert (len(rows.texts), len(rows.labels)) == (90, 90)
    assert 55 <= rows.fitted <= 60
    assert not set(rows.texts[: rows.fitted]) & set(rows.texts[rows.fitted :])
    assert [(ord(text[-1]) - 0xAC02) % 2 for text in rows.texts] == rows.labels.tolist()
    again = read_rows("nsmc", recipe)
    assert again.texts == rows.texts
    few = read_rows("nsmc", Probes(data=recipe.data, train_rows=6000, test_rows=3000))
    assert len(few.texts) == 200
    assert len(few.texts) - few.fitted == pytest.approx(200 / 3, abs=2)


@pytest.mark.parametrize(
    ("task", "fields", "words"),
    [
        (
            "nsmx",
            {},
            r"--training\.probes\.tasks nsmx: unknown \(did you mean nsmc\?\); must be one of .*korquad, or the path",
        ),
        ("klue_ner", {}, r"--training\.probes\.tasks klue_ner: KLUE-NER is a task of the kind tags; choose"),
        ("korsts", {}, r"--training\.probes\.data .*: sts-train\.tsv of KorSTS is missing .* get it from https://"),
        ("nsmc", {"data": "nowhere"}, r"--training\.probes\.data nowhere: no such folder"),
        (
            "nsmc",
            {"train_rows": 1, "test_rows": 1},
            r"--training\.probes\.train-rows 1 and --training\.probes\.test-rows 1: .* set them higher",
        ),
    ],
)
def test_what_cannot_be_probed_is_told(task: str, fields: dict[str, int], words: str, tmp_path: Path) -> None:
    data = str(reviews(tmp_path / "nsmc", 20))
    with pytest.raises(InputError, match=words):
        read_rows(task, Probes(**{"data": data, **fields}))  # type: ignore[arg-type]


def test_a_task_of_ones_own_is_drawn_from(tmp_path: Path) -> None:
    rows = [f"{'가나'[number % 2]} 다 {number},{['no', 'yes'][number % 2]}" for number in range(40)]
    (tmp_path / "train.csv").write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    (tmp_path / "own.py").write_text(
        "from pretrain.evaluate.tasks.description import ClassColumns, TaskDescription\n"
        'task = TaskDescription(title="Own", columns=ClassColumns(), train="train.csv", held_out=0.5)\n'
    )
    recipe = Probes(data=str(tmp_path), train_rows=10, test_rows=5)
    found = read_rows(str(tmp_path / "own.py"), recipe)
    assert (found.task.name, found.task.labels, len(found.texts)) == ("own", ("no", "yes"), 15)
    assert [text[0] == "나" for text in found.texts] == found.labels.tolist()
    assert "of 40 rows of train.csv" in found.part, "the held-out half stays unseen"
    with pytest.raises(InputError, match=r"--training\.probes\.tasks nowhere\.py: no such file"):
        read_rows("nowhere.py", recipe)
    with pytest.raises(InputError, match=r"--training\.probes\.data .*: no such folder"):
        read_rows(str(tmp_path / "own.py"), Probes(data=str(tmp_path / "nowhere")))


def test_texts_are_cut_and_the_tokenizer_stays_as_it_was(tmp_path: Path) -> None:
    write_records(tmp_path / "examples")
    tokenizer = Tokenizer(tmp_path / "vocabulary")
    long, empty = encode(["가 각 갂 갃 간", ""], tokenizer, 4)
    assert len(long) == 4
    specials = [tokenizer.special.cls, tokenizer.special.sep]
    assert [long[0], long[-1]] == specials
    assert empty.tolist() == specials
    assert len(tokenizer.backend.encode("가 각 갂 갃 간").ids) == 7
    with pytest.raises(InputError, match=r"--training\.probes\.length 2: leaves no room"):
        encode(["가"], tokenizer, 2)


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/data")
@pytest.mark.parametrize(("task", "texts"), [("hate_speech", 30), ("korsts", 60)])
def test_official_files_are_drawn_from(task: str, texts: int) -> None:
    rows = read_rows(task, Probes(data=str(SHARED), train_rows=20, test_rows=10))
    assert len(rows.texts) == texts
    assert len(rows.labels) == 30
    assert all(rows.texts)
