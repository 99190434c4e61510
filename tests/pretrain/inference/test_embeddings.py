"""Vectors are those of transformers' hidden states, whatever batch a text falls into, and the like are found by cosine."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from families import EVERY_TUNED_FAMILY, FAMILIES, Tiny, drawn, stored
from tuned_models import HEADS, subject_of, written

from data_pipeline.contract.errors import InputError
from pretrain.commands.asking import embed as command
from pretrain.evaluate.hardware import Hardware
from pretrain.inference.embeddings import Pooling, embed, nearest
from pretrain.inference.running import Running
from pretrain.recipe import Mesh
from pretrain.subject import load_subject

SYLLABLES = "가나다라마바사아자차카타파하"
TEXTS = [
    " ".join(np.random.default_rng(length).choice(list(SYLLABLES), length)) for length in (3, 18, 1, 29, 7, 4, 40, 12)
]
RUNNING = Running(batch_size=3, max_length=24)
PAIRS = frozenset({"vocabulary", "pair"})


def model_of(tiny: Tiny, folder: Path, heads: frozenset[str] | None = None) -> Path:
    return stored(folder / "model", *drawn(tiny.config, heads or frozenset(tiny.exported[0].split())))


def hidden_states(folder: Path, texts: Sequence[str], **options: Any) -> list[Any]:
    """Of each text by itself, what transformers' AutoModel gives.

    - `options`: of the tokenizer.
    """
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        options |= {"truncation": True, "max_length": 24, "return_tensors": "pt"}
        return [model(**tokenizer(text, **options)) for text in texts]


@EVERY_TUNED_FAMILY
def test_vectors_are_pooled_hidden_states_of_transformers(tiny: Tiny, tmp_path: Path) -> None:
    folder = model_of(tiny, tmp_path)
    subject = load_subject(folder)
    # As far as the rows here.
    padding = {"padding": "max_length"} if subject.config.pools_tokens else {}
    tokens = [min(len(row.ids), 24) for row in subject.tokenizer.backend.encode_batch(TEXTS)]
    theirs = hidden_states(folder, TEXTS, **padding)
    states = [said.last_hidden_state[0, :count].numpy() for said, count in zip(theirs, tokens, strict=True)]
    mean = embed(subject, TEXTS, "mean", RUNNING)
    assert (mean.shape, mean.dtype) == ((len(TEXTS), 16), np.float32)
    np.testing.assert_allclose(mean, [each.mean(0) for each in states], atol=1e-5)
    if subject.family.name != "gpt2":
        np.testing.assert_allclose(embed(subject, TEXTS, "cls", RUNNING), [each[0] for each in states], atol=1e-5)


def test_the_pooler_is_that_of_a_bert_trained_on_pairs(tmp_path: Path) -> None:
    folder = model_of(FAMILIES["bert"], tmp_path, PAIRS)
    theirs = [said.pooler_output[0].numpy() for said in hidden_states(folder, TEXTS)]
    np.testing.assert_allclose(embed(load_subject(folder), TEXTS, "pooler", RUNNING), theirs, atol=1e-5)


@pytest.mark.parametrize("kind", ["classes", "score"])
def test_the_pooler_of_a_fine_tuned_bert_is_taken(kind: str, tmp_path: Path) -> None:
    folder = written(subject_of(FAMILIES["bert"].config, HEADS[kind], tmp_path), tmp_path / "export")
    theirs = [said.pooler_output[0].numpy() for said in hidden_states(folder, TEXTS)]
    np.testing.assert_allclose(embed(load_subject(folder), TEXTS, "pooler", RUNNING), theirs, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "pooling", "message"),
    [
        ("bert", "pooler", "has none, which a BERT gets from pretraining on sentence pairs"),
        ("roberta", "pooler", "--pooling pooler"),
        ("gpt2", "cls", "--pooling cls: the first token of a GPT-2 sees no other"),
    ],
)
def test_a_pooling_that_a_model_has_not_is_refused(family: str, pooling: Pooling, message: str, tmp_path: Path) -> None:
    subject = load_subject(model_of(FAMILIES[family], tmp_path))
    with pytest.raises(InputError, match=re.escape(message)):
        embed(subject, TEXTS, pooling, RUNNING)


def test_batches_devices_and_types_change_vectors_by_rounding_only(tmp_path: Path) -> None:
    subject = load_subject(model_of(FAMILIES["bert"], tmp_path))
    whole = embed(subject, TEXTS, "mean", RUNNING)
    split = Running(batch_size=8, max_length=24, hardware=Hardware(mesh=Mesh(data=1, fsdp=4, tensor=2)))
    np.testing.assert_allclose(embed(subject, TEXTS, "mean", split), whole, atol=1e-5)
    half = Running(batch_size=8, max_length=24, hardware=Hardware(compute_dtype="bfloat16"))
    rounded = embed(subject, TEXTS, "mean", half)
    assert 1e-4 < np.abs(rounded - whole).max() < 0.2
    assert np.abs(embed(subject, TEXTS, "mean", Running()) - whole).max() > 1e-2, "longer texts are cut no more"


def test_the_nearest_are_those_of_largest_cosine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pretrain.inference.embeddings.BLOCK", 3)
    vectors = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    vectors[7] = 3 * vectors[2]  # only directions count, and the first of equals comes first
    norms = np.linalg.norm(vectors, axis=1)
    for number, best in enumerate(nearest(vectors, vectors, 5)):
        cosines = vectors @ vectors[number] / norms / norms[number]
        assert [cosine for _, cosine in best] == pytest.approx(sorted(cosines, reverse=True)[:5], abs=1e-6)
        assert [cosines[row] for row, _ in best] == pytest.approx([cosine for _, cosine in best], abs=1e-6)
    assert len(next(nearest(vectors, vectors[:1], 20))) == 20


def test_the_command_writes_vectors_and_prints_what_is_alike(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = model_of(FAMILIES["bert"], tmp_path)
    (tmp_path / "in.txt").write_text("\n".join(TEXTS) + "\n")
    given = [str(folder), "--pooling", "mean", "--input", str(tmp_path / "in.txt"), "--max-length", "24"]
    command.run([*given, "--to", str(tmp_path / "out.npy"), "--query", TEXTS[4], "--top", "2"])
    vectors = np.load(tmp_path / "out.npy")
    np.testing.assert_allclose(vectors, embed(load_subject(folder), TEXTS, "mean", RUNNING), atol=1e-6)
    asked, first, second = capsys.readouterr().out.splitlines()
    assert (asked, first) == (TEXTS[4], f"   1.0000  {TEXTS[4]}")
    assert second.strip().partition("  ")[2] in TEXTS
    command.run([*given, "--similar", "3"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[::4] == TEXTS
    assert all(TEXTS[place // 4] != lines[place].strip().partition("  ")[2] for place in range(32) if place % 4)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "nothing is asked for; give --input FILE with --to, --query or --similar, or --export FOLDER"),
        (("--query", "가"), "--query needs texts; give a file with --input"),
        (("--input", "a.txt"), "nothing is asked for"),
        (("--input", "a.txt", "--query", " "), "--query: is empty"),
        (("--input", "a.txt", "--to", "a.npz"), "--to a.npz: must be named OUT.npy"),
        (("--input", "a.txt", "--query", "가", "--top", "0"), "--top 0: must be 1 or more"),
        (("--input", "a.txt", "--query", "가", "--batch-size", "0"), "--batch-size 0: must be 1 or more"),
        (("--input", "a.txt", "--query", "가"), "--input a.txt: no such file"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_sentence(flags: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        command.run(["model", "--pooling", "mean", *flags])
