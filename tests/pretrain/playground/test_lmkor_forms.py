"""The addresses of LMkor's demo answer in its forms."""

import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the playground's packages are not installed (pip install .[playground])")
from starlette.testclient import TestClient

from pretrain.exporting.answers.tokens import fillings
from pretrain.exporting.continuation import continuations, targets
from pretrain.playground.app import make_app
from pretrain.playground.model import ShownModel, load_model
from pretrain.playground.serve import LOOPBACK


@pytest.fixture(scope="module")
def models(folders: dict[str, Path]) -> list[ShownModel]:
    return [load_model(str(folder)) for folder in folders.values()]


@pytest.fixture(scope="module")
def page(models: list[ShownModel]) -> TestClient:
    return TestClient(make_app(models, LOOPBACK), "http://127.0.0.1")


@pytest.mark.parametrize(
    "request_of",
    [
        lambda fields: {"files": {name: (None, str(value)) for name, value in fields.items()}},
        lambda fields: {"data": fields},
        lambda fields: {"json": fields},
    ],
    ids=["multipart", "urlencoded", "json"],
)
def test_masks_are_filled(request_of: Any, page: TestClient, models: list[ShownModel]) -> None:
    bert = models[0]
    response = page.post("/bert", **request_of({"text": "가 각 <mask>", "samples": 4}))
    assert response.status_code == 200, response.text
    # The mask was the last token, so a mark follows it; specials and marks are no words.
    likeliest = [each.piece for each in fillings(bert.subject, "가 각 [MASK] .", 10)]
    words = [piece for piece in likeliest if not re.fullmatch(r"\[\w+\]", piece)]
    assert response.json() == {bert.name: " / ".join(words[:4])}


def test_texts_are_continued(page: TestClient, models: list[ShownModel]) -> None:
    response = page.post("/gpt-3", data={"text": "가 각", "samples": 2, "length": 7})
    expected = continuations(models[2].subject, "가 각", count=2, tokens=7, top_k=10, temperature=1.0, seed=0)
    assert response.json() == {"0": expected[0], "1": expected[1]}
    assert len(page.post("/gpt-3", data={"text": "가"}).json()) == 3


def test_texts_are_summarised(page: TestClient, models: list[ShownModel]) -> None:
    text = "가 각 갂 " * 20
    tokens = int(0.3 * (60 + 2))
    assert page.post("/summarize", data={"text": text}).json() == {"0": targets(models[3].subject, text, tokens)}


@pytest.mark.parametrize(
    ("path", "fields", "sentence"),
    [
        ("/bert", {}, "text: must be a text, not nothing"),
        ("/bert", {"text": "가"}, "'가': holds no [MASK]; put it where a word is to be filled in"),
        ("/bert", {"text": "<mask>", "samples": "two"}, "samples: must be a whole number, not a text"),
        ("/bert", {"text": "<mask>", "samples": "9" * 5000}, "samples: must be a whole number, not a text"),
        ("/bert", {"text": "<mask>", "samples": "0"}, "samples 0: must be 1 or more"),
        ("/bert", {"text": "<mask>", "length": "5"}, "length: not known here; may be text, samples"),
        ("/albert", {"text": "<mask>"}, "no model here answers this (albert); start the playground with one"),
        ("/gpt-3", {"text": "가", "length": "1000"}, "length 1000: must be at most 256"),
        ("/summarize", {"text": "가", "samples": "3"}, "samples 3: must be 1, for the likeliest summary alone is written"),
    ],
)  # fmt: skip
def test_what_a_form_does_not_take_is_told(path: str, fields: dict[str, str], sentence: str, page: TestClient) -> None:
    response = page.post(path, data=fields)
    assert response.status_code == 400
    assert sentence in response.json()["error"]


def test_files_and_lists_are_no_forms(page: TestClient) -> None:
    assert page.post("/bert", files={"text": ("a.txt", b"a")}).status_code == 400
    assert page.post("/bert", json=["a"]).status_code == 400
