"""The playground gives the answers of the command line, and one sentence for whatever cannot be asked."""

import json
import re
import sys
import threading
import time
import unicodedata
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the playground's packages are not installed (pip install .[playground])")
from families import FAMILIES
from starlette.testclient import TestClient
from tuned_models import HEADS as HEAD_OF_TASK
from tuned_models import subject_of, written

from data_pipeline.contract.errors import InputError
from pretrain.commands.asking import playground as command
from pretrain.commands.asking.fill import run as fill
from pretrain.evaluate.kinds.asked import Asked
from pretrain.evaluate.kinds.texts import Text
from pretrain.exporting.answers.by_head import ANSWERS
from pretrain.exporting.answers.tokens import Filling, Suspicion
from pretrain.inference.embeddings import embed
from pretrain.inference.predictions import predict
from pretrain.inference.running import Running
from pretrain.playground import model as shown_model
from pretrain.playground.app import FILES, PAGE, make_app
from pretrain.playground.guard import LARGEST_BODY
from pretrain.playground.model import Ability, ShownModel, load_model
from pretrain.playground.question import LONGEST_TEXT, Question
from pretrain.playground.serve import LOOPBACK, listen, serve
from pretrain.subject import load_subject

HEADS = ["vocabulary", "replaced", "next_token", "target"]
TEXTS = {"vocabulary": "가 [MASK] 각", "replaced": "가 각 갂", "next_token": "가 각", "target": "가 각 갂"}


@pytest.fixture(scope="module")
def page(folders: dict[str, Path]) -> TestClient:
    models = [load_model(str(folders[head])) for head in HEADS]
    return TestClient(make_app(models, LOOPBACK), "http://127.0.0.1", raise_server_exceptions=False)


def ask(page: TestClient, head: str, ability: str = "", **question: Any) -> Any:
    return page.post(f"/models/{HEADS.index(head)}/{ability or head}", json={"text": TEXTS[head], **question})


@pytest.mark.parametrize("head", HEADS)
def test_answers_are_those_that_fill_prints(
    head: str, page: TestClient, folders: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    fill([str(folders[head]), "--text", TEXTS[head]])
    printed = capsys.readouterr().out.splitlines()
    response = ask(page, head)
    assert response.status_code == 200, response.text
    make: Any = {"vocabulary": Filling, "replaced": Suspicion}.get(head)
    answers = [make(**each) if make else each for each in response.json()["answers"]]
    assert answers
    assert [response.json()["text"], *(f"  {ANSWERS[head].line(each)}" for each in answers)] == printed


def test_settings_are_those_of_fill(page: TestClient) -> None:
    assert len(ask(page, "vocabulary", top=2).json()["answers"]) == 2
    default, same, other = (
        ask(page, "next_token", **given).json()["answers"] for given in ({}, {"top": None}, {"seed": 1})
    )
    assert default == same != other
    assert len(ask(page, "next_token", top=1, tokens=4, temperature=0.5).json()["answers"]) == 1


def test_models_say_what_they_can_be_asked(page: TestClient) -> None:
    told = page.get("/models").json()
    assert [list(model["abilities"]) for model in told] == [[head, "similar", "tokens"] for head in HEADS]
    gpt2 = told[HEADS.index("next_token")]
    assert gpt2["family"] == "GPT-2"
    assert gpt2["abilities"]["similar"]["choices"] == {"pooling": ["mean"]}
    assert gpt2["abilities"]["next_token"]["settings"] == ANSWERS["next_token"].settings


@pytest.mark.parametrize("head", HEADS)
def test_every_model_compares_texts_as_embed_does(head: str, page: TestClient, folders: dict[str, Path]) -> None:
    others = ["갂 갃", "가 각", "갛 갛 갛"]
    response = ask(page, head, "similar", text="가 각", others=others)
    assert response.status_code == 200, response.text
    found = response.json()["answers"]
    assert found[0]["text"] == "가 각"
    assert found[0]["cosine"] == pytest.approx(1, abs=1e-5)
    assert {each["text"] for each in found} == set(others)
    assert [each["cosine"] for each in found] == sorted((each["cosine"] for each in found), reverse=True)
    one, other = embed(load_subject(folders[head]), ["가 각", "갂 갃"], "mean", Running())
    cosine = one @ other / (one @ one * (other @ other)) ** 0.5
    assert {each["text"]: each["cosine"] for each in found}["갂 갃"] == pytest.approx(cosine, abs=1e-5)


@pytest.mark.parametrize(
    ("kind", "text", "read"),
    [("classes", "가 각\n갂", ("가 각", "갂")), ("tags", "가 각\n갂", "가 각\n갂")],
    ids=["pair", "tags"],
)
def test_a_fine_tuned_model_predicts_as_the_command_does(kind: str, text: str, read: Text, tmp_path: Path) -> None:
    folder = written(subject_of(FAMILIES["bert"].config, HEAD_OF_TASK[kind], tmp_path), tmp_path / "model")
    page = TestClient(make_app([load_model(str(folder))], LOOPBACK), "http://127.0.0.1")
    assert list(page.get("/models").json()[0]["abilities"]) == ["predict", "similar", "tokens"]
    asked: Any = Asked(kind)  # type: ignore[arg-type]
    expected = list(predict(load_subject(folder), asked, [read], Running(batch_size=1)))
    assert page.post("/models/0/predict", json={"text": text}).json()["answers"] == expected


@pytest.mark.parametrize("pairs", [True, False], ids=["pairs", "texts"])
def test_a_model_of_pairs_reads_two_lines_and_one_of_texts_reads_them_as_one(pairs: bool, tmp_path: Path) -> None:
    folder = written(subject_of(FAMILIES["bert"].config, HEAD_OF_TASK["classes"], tmp_path), tmp_path / "model")
    (folder / "task.json").write_text(json.dumps({"kind": "classes", "pairs": pairs}))
    page = TestClient(make_app([load_model(str(folder))], LOOPBACK), "http://127.0.0.1")
    answer = page.post("/models/0/predict", json={"text": "가 각\n갂"}).json()["answers"][0]
    assert (answer["text"], answer.get("second")) == (("가 각", "갂") if pairs else ("가 각\n갂", None))
    response = page.post("/models/0/predict", json={"text": "가 각"})
    assert ("write one on each of two lines" in response.text) == pairs


def test_letters_are_composed_and_markup_is_text(page: TestClient) -> None:
    decomposed = unicodedata.normalize("NFD", "가 각")
    assert ask(page, "replaced", text=decomposed).json()["text"] == "가 각"
    markup = "<script>alert(1)</script> 가"
    response = ask(page, "replaced", "tokens", text=markup)
    assert response.headers["content-type"] == "application/json"
    assert response.json()["text"] == markup
    assert "".join(each["text"] for each in response.json()["answers"] if not each["special"]) == markup.replace(
        " ", ""
    )


@pytest.mark.parametrize(
    ("head", "ability", "question", "sentence"),
    [
        ("vocabulary", "", {"text": ""}, "text: is empty; type something"),
        ("vocabulary", "", {"text": " \n"}, "text: is empty; type something"),
        ("vocabulary", "", {"text": 7}, "text: must be a text, not 7"),
        ("vocabulary", "", {"text": None}, "text: must be a text, not nothing"),
        ("vocabulary", "", {"text": "a\ud800"}, r"text 'a\ud800': not UTF-8; give it in UTF-8"),
        ("vocabulary", "", {"text": "가"}, "'가': holds no [MASK]; put it where a word is to be filled in"),
        ("vocabulary", "", {"text": "가" * (LONGEST_TEXT + 1)}, "text: has 4,001 characters, 4,000 are taken; shorten it"),
        ("vocabulary", "", {"text": "가 [MASK] " * 300}, "the text has 602 tokens, the model reads 512; shorten it"),
        ("vocabulary", "", {"top": 0}, "top 0: must be 1 or more"),
        ("vocabulary", "", {"top": 21}, "top 21: must be at most 20"),
        ("vocabulary", "", {"top": 2.5}, "top: must be a whole number, not 2.5"),
        ("vocabulary", "", {"top": True}, "top: must be a whole number, not true or false"),
        ("vocabulary", "", {"seed": 1}, "'seed': not known here; may be text, top"),
        ("next_token", "", {"text": "가 [MASK]"}, "'가 [MASK]': holds [MASK], but"),
        ("next_token", "", {"temperature": -1}, "temperature -1: must be 0 or more"),
        ("next_token", "", {"temperature": float("nan")}, "temperature nan: must be 0 or more"),
        ("next_token", "", {"tokens": 10**9}, "tokens 1000000000: must be at most 256"),
        ("next_token", "", {"seed": 10**400}, "seed 10000000000000000000: must be at most 2,147,483,647"),
        ("replaced", "similar", {}, "others: must be a list of 1 to 31 texts"),
        ("replaced", "similar", {"others": "가"}, "others: must be a list of 1 to 31 texts"),
        ("replaced", "similar", {"others": ["가", ""]}, "others[1]: is empty; type something"),
        ("replaced", "similar", {"others": ["가 " * 600]}, "the text has 602 tokens, the model reads 512; shorten it"),
        ("replaced", "similar", {"others": ["가"], "pooling": "pooler"}, "electra has cls, mean; choose one of them"),
        ("replaced", "similar", {"others": ["가"], "pooling": ["cls"]}, "electra has cls, mean; choose one of them"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_told_in_a_sentence(
    head: str, ability: str, question: dict[str, Any], sentence: str, page: TestClient
) -> None:
    path = f"/models/{HEADS.index(head)}/{ability or head}"
    body = json.dumps({"text": TEXTS[head], **question})
    response = page.post(path, content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert sentence in response.json()["error"]
    assert "\n" not in response.json()["error"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"{", "the request is not JSON"),
        (b"\xff", "the request is not JSON"),
        (b"[" * 100_000, "the request is not JSON"),
        (b"[]", 'the request must be a JSON object with "text", not a list'),
    ],
)
def test_what_is_no_question_is_told_in_a_sentence(body: bytes, sentence: str, page: TestClient) -> None:
    response = page.post("/models/0/tokens", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert sentence in response.json()["error"]


def test_addresses_that_are_not_there_are_told_in_a_sentence(page: TestClient) -> None:
    for path in ("/models/9/tokens", "/models/0/replaced", "/models/0/nothing"):
        response = page.post(path, json={"text": "가"})
        assert (response.status_code, response.json()["error"]) == (
            404,
            f"{path}: no such model or ability; GET /models lists them",
        )
    assert page.get("/../../setup.cfg").status_code == 404
    assert page.get("/models/0/tokens").status_code == 405
    assert page.post("/models/0/tokens", content="text=1").status_code == 415


def test_other_hosts_other_sites_and_large_bodies_are_refused(page: TestClient) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example", ""):
        assert page.get("/", headers={"host": host}).status_code == 400
    for host in ("localhost:8000", "127.0.0.1:1", "[::1]:8000"):
        assert page.get("/", headers={"host": host}).status_code == 200
    response = page.post("/bert", data={"text": "가"}, headers={"sec-fetch-site": "cross-site"})
    assert (response.status_code, "another site" in response.json()["error"]) == (403, True)
    large = b'{"text": "' + b"a" * LARGEST_BODY + b'"}'
    for path, kind in (("/models/0/tokens", "application/json"), ("/bert", "application/x-www-form-urlencoded")):
        response = page.post(path, content=large, headers={"content-type": kind})
        assert (response.status_code, "send a shorter text" in response.json()["error"]) == (413, True)


def test_the_page_needs_nothing_from_elsewhere(page: TestClient) -> None:
    assert {name for name, _ in FILES.values()} == {path.name for path in PAGE.iterdir()}
    for path, (name, media_type) in FILES.items():
        response = page.get(path)
        assert response.status_code == 200
        assert response.headers["content-type"].startswith(media_type)
        assert "default-src 'none'" in response.headers["content-security-policy"]
        assert (
            re.findall(r"(?:https?:)?//[^\s'\"]+\.[a-z]+", re.sub(r"http://www\.w3\.org/2000/svg", "", response.text))
            == []
        ), name


def test_a_failure_is_told_without_its_inside(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    shown = load_model(str(folders["replaced"]))
    page = TestClient(make_app([shown], LOOPBACK), "http://localhost", raise_server_exceptions=False)
    monkeypatch.setattr(shown_model, "tokens_of", lambda *_: 1 / 0)
    response = page.post("/models/0/tokens", json={"text": "가"})
    assert response.status_code == 500
    assert response.json() == {"error": "the playground failed (ZeroDivisionError); its terminal says how"}


def test_a_model_answers_one_request_at_a_time_and_says_when_it_is_busy(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ShownModel("slow", load_subject(folders["replaced"]))
    at_work, most, release = 0, 0, threading.Event()

    def found(question: Question) -> list[str]:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        release.wait(10)
        at_work -= 1
        return []

    slow = Ability("waits", (), {}, found, {})
    threads = [threading.Thread(target=model.ask, args=(slow, Question("가"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    while not at_work:
        time.sleep(0.001)
    monkeypatch.setattr(shown_model, "PATIENCE", 0.01)
    with pytest.raises(Exception, match="slow: is busy with other requests; try again"):
        model.ask(slow, Question("가"))
    release.set()
    for thread in threads:
        thread.join(10)
    assert most == 1


def test_only_this_machine_is_answered_unless_the_user_says_so(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    uvicorn = pytest.importorskip("uvicorn")

    def interrupted(server: Any, sockets: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(uvicorn.Server, "run", interrupted)
    caplog.set_level("INFO")
    with listen("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        serve([], listening, "127.0.0.1", ())
        assert [record.getMessage() for record in caplog.records] == [f"http://127.0.0.1:{port}/ (Ctrl-C ends it)"]
        caplog.clear()
        serve([], listening, "0.0.0.0", ("lab.example",))
        assert "can ask these models, without a password; requests must name it as 0.0.0.0, lab.example" in caplog.text
        with pytest.raises(InputError, match=rf"--host 127.0.0.1 --port {port}: cannot listen there \(.*in use.*\)"):
            listen("127.0.0.1", port)
    for host, number in (("127.0.0.1", 70_000), ("no.such.host.invalid", 0)):
        with pytest.raises(InputError, match=f"--host {host} --port {number}: cannot listen there"):
            listen(host, number)


def test_the_command_refuses_what_it_cannot_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"name the models: python -m pretrain playground RUN_DIR \.\.\."):
        command.run([])
    with pytest.raises(InputError, match=r"nowhere: no such folder; give a run folder or a Hugging Face folder"):
        command.run([str(tmp_path / "nowhere"), "--port", "0"])
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(
        InputError, match=r"the playground needs the package uvicorn, .* `./run_tpu.sh --install-only playground`"
    ):
        command.run([str(tmp_path)])
