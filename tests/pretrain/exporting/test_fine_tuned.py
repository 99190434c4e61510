"""The folder of a fine-tuned model: transformers' pipelines say what it says here, and the hub reads its card."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from families import EVERY_TUNED_FAMILY, FAMILIES, Tiny
from tuned_models import HEADS, subject_of

from pretrain.evaluate.tasks.task import Settings
from pretrain.exporting.card_of_task import PLACE, task_card
from pretrain.exporting.fine_tuned import export_tuned
from pretrain.exporting.model_index import Result
from pretrain.models.task_heads import PIPELINES
from pretrain.subject import Subject, load_subject

TRANSFORMERS_4 = Path(sys.prefix) / "transformers-4"
TEXT = "가나다 각간갇 라마바"
SETTINGS = vars(Settings())


def result_of(kind: str) -> Result:
    task_type = PIPELINES[HEADS[kind].kind]
    part = {"train": '10 rows, "so" to say', "test": "5 rows"}
    return Result("mine", "My task: a|b", task_type, "test", part, {"macro_f1": 0.5, "x": None}, {}, 1, "last epoch")


def exported(tiny: Tiny, kind: str, folder: Path, *, pair: bool = False) -> Path:
    subject = subject_of(tiny.config, HEADS[kind], folder / "model")
    card = task_card(subject, result_of(kind), SETTINGS, pair=pair, frozen=False)
    assert export_tuned(subject, folder / "out", card, {}).startswith("tokens equal and logits within")
    return folder / "out"


def logits(subject: Subject, *texts: str) -> np.ndarray:
    encoding = subject.tokenizer.backend.encode(*texts)
    ids, types = np.array([encoding.ids]), np.array([encoding.type_ids])
    found: np.ndarray = subject.logits(ids, types, np.ones_like(ids))[0]
    return found


@EVERY_TUNED_FAMILY
def test_the_pipeline_of_tags_says_the_tags_that_are_said_here(tiny: Tiny, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    folder = exported(tiny, "tags", tmp_path)
    pipeline = transformers.pipeline("token-classification", model=str(folder), ignore_labels=[])
    said = pipeline(TEXT)
    subject = load_subject(folder)
    assert subject.task
    encoding = subject.tokenizer.backend.encode(TEXT)
    own = [place for place, special in enumerate(encoding.special_tokens_mask) if not special]
    ours = logits(subject, TEXT)[own]
    assert [each["entity"] for each in said] == [subject.task.labels[index] for index in ours.argmax(-1)]
    exponentials = np.exp(ours - ours.max(-1, keepdims=True))
    expected = (exponentials / exponentials.sum(-1, keepdims=True)).max(-1)
    assert [each["score"] for each in said] == pytest.approx(expected, abs=1e-4)


ASK = """
import json, sys
from transformers import pipeline
answer = pipeline("question-answering", model=sys.argv[1])
found = answer(question=sys.argv[2], context=sys.argv[3], handle_impossible_answer=False, top_k=1, max_answer_len=40)
print(json.dumps(found))
"""


def test_the_pipeline_of_answers_finds_the_span_that_is_found_here(tmp_path: Path) -> None:
    """transformers 5 has no such pipeline: its 4.57 is asked."""
    if not TRANSFORMERS_4.exists():
        pytest.skip(f"{TRANSFORMERS_4} is not there; ./run_tests.sh makes it")
    folder, question = exported(FAMILIES["bert"], "span", tmp_path), "가나"
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(folder), question, TEXT],
        capture_output=True, text=True, timeout=120, env={"PYTHONPATH": str(TRANSFORMERS_4)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    subject = load_subject(folder)
    encoding = subject.tokenizer.backend.encode(question, TEXT)
    scores = logits(subject, question, TEXT)
    places = [place for place, of in enumerate(encoding.sequence_ids) if of == 1]
    spans = [(scores[start, 0] + scores[end, 1], start, end) for start in places for end in places if start <= end]
    _, start, end = max(spans)
    found = (encoding.offsets[start][0], encoding.offsets[end][1])
    # The pipeline answers with whole words around the tokens.
    assert (said["start"], said["end"]) == (
        TEXT.rfind(" ", 0, found[0]) + 1,
        (TEXT + " ").find(" ", found[1]),
    )


@pytest.mark.parametrize("pair", [False, True])
@pytest.mark.parametrize("kind", ["classes", "score", "tags", "span"])
def test_the_card_is_one_that_the_hub_takes_and_its_snippet_runs(
    kind: str, pair: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("transformers")
    from huggingface_hub import ModelCard

    folder = exported(FAMILIES["bert"], kind, tmp_path, pair=pair)
    text = (folder / "README.md").read_text()
    card = ModelCard(text)
    card_data: Any = card.data
    assert card_data.pipeline_tag == PIPELINES[HEADS[kind].kind]
    (result,) = card_data.eval_results  # x is not defined, and left out
    told = (result.task_type, result.dataset_type, result.dataset_name, result.dataset_split, result.metric_type)
    assert told == (card_data.pipeline_tag, "mine", "My task: a|b", "test", "f1")
    assert (result.metric_value, result.metric_name) == (0.5, "macro_f1 (last epoch, one seed)")
    assert card_data.model_name == "test-mine"
    assert "- data: 10 rows" in text
    assert "- peak learning rate: 5e-05" in text
    (block,) = re.findall(r"```python\n(.*?)\n```", text, re.DOTALL)
    capsys.readouterr()
    exec(block.replace(PLACE, str(folder)), {})
    assert capsys.readouterr().out.strip()


def test_a_card_names_the_base_on_the_hub_where_its_path_tells(tmp_path: Path) -> None:
    subject = subject_of(FAMILIES["bert"].config, HEADS["classes"], tmp_path / "model")
    cached = replace(subject, origin="/cache/models--klue--bert-base/snapshots/abc")
    card = task_card(cached, result_of("classes"), SETTINGS, pair=False, frozen=True)
    assert "\nbase_model: klue/bert-base\n" in card
    assert "its head alone (a linear probe)" in card
    assert "# bert-base-mine\n" in card
    assert "base_model" not in task_card(subject, result_of("classes"), SETTINGS, pair=False, frozen=False)
