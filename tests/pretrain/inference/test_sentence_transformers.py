"""sentence-transformers gives the vectors that `embed` gives, of an export for it and of a plain one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from families import EVERY_TUNED_FAMILY, FAMILIES, Tiny
from test_embeddings import PAIRS, RUNNING, TEXTS, model_of
from tuned_models import HEADS, subject_of, written

from data_pipeline.contract.errors import InputError, WorkError
from pretrain.commands.asking import embed as command
from pretrain.inference import sentence_transformers as exporting
from pretrain.inference.embeddings import Pooling, embed
from pretrain.inference.sentence_transformers import export_embedder
from pretrain.subject import Subject, load_subject


def vectors_there(folder: Path, **options: Any) -> np.ndarray:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    model = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
    found: np.ndarray = model.encode(TEXTS, batch_size=3, show_progress_bar=False, **options)
    return found


@EVERY_TUNED_FAMILY
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_an_export_gives_the_same_vectors_there(tiny: Tiny, pooling: Pooling, tmp_path: Path) -> None:
    subject = load_subject(model_of(tiny, tmp_path))
    if (subject.family.name, pooling) == ("gpt2", "cls"):
        with pytest.raises(InputError, match="--pooling cls"):
            export_embedder(subject, pooling, 24, tmp_path / "out")
        return
    if subject.config.pools_tokens:
        with pytest.raises(InputError, match="is a Funnel, whose vectors change with the padding behind a text"):
            export_embedder(subject, pooling, 24, tmp_path / "out")
        return
    proof = export_embedder(subject, pooling, 24, tmp_path / "out")
    assert proof.startswith("vectors within")
    np.testing.assert_allclose(vectors_there(tmp_path / "out"), embed(subject, TEXTS, pooling, RUNNING), atol=1e-5)


def test_the_pooler_is_a_module_of_its_own_there(tmp_path: Path) -> None:
    subject = load_subject(model_of(FAMILIES["bert"], tmp_path, PAIRS))
    export_embedder(subject, "pooler", 24, tmp_path / "out")
    np.testing.assert_allclose(vectors_there(tmp_path / "out"), embed(subject, TEXTS, "pooler", RUNNING), atol=1e-5)
    again = load_subject(tmp_path / "out")
    np.testing.assert_allclose(embed(again, TEXTS, "pooler", RUNNING), vectors_there(tmp_path / "out"), atol=1e-5)


def test_a_fine_tuned_encoder_leaves_its_head_behind(tmp_path: Path) -> None:
    subject = load_subject(written(subject_of(FAMILIES["roberta"].config, HEADS["classes"], tmp_path), tmp_path / "in"))
    export_embedder(subject, "mean", 24, tmp_path / "out")
    assert not load_subject(tmp_path / "out").heads
    np.testing.assert_allclose(vectors_there(tmp_path / "out"), embed(subject, TEXTS, "mean", RUNNING), atol=1e-5)


def test_an_encoder_that_transformers_has_no_class_for_is_refused(tmp_path: Path) -> None:
    subject = load_subject(model_of(FAMILIES["bert_shared"], tmp_path))
    assert embed(subject, TEXTS[:1], "mean", RUNNING).shape == (1, 16)
    with pytest.raises(
        InputError, match="is a tied encoder-decoder, of which transformers has no class for the encoder"
    ):
        export_embedder(subject, "mean", 24, tmp_path / "out")


def test_a_plain_export_is_pooled_by_the_mean_there(tmp_path: Path) -> None:
    folder = model_of(FAMILIES["bert"], tmp_path)
    ours = embed(load_subject(folder), TEXTS, "mean", exporting.Running(max_length=32))
    np.testing.assert_allclose(vectors_there(folder), ours, atol=1e-5)


def test_the_command_replaces_its_own_folder_and_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = [str(model_of(FAMILIES["bert"], tmp_path)), "--export", str(tmp_path / "out"), "--pooling"]
    command.run([*given, "mean"])
    command.run([*given, "cls"])
    assert "pooling cls" in (tmp_path / "out" / "README.md").read_text().replace("\n", " ")
    (tmp_path / "out" / "modules.json").unlink()
    with pytest.raises(InputError, match="holds other files"):
        command.run([*given, "mean"])


def test_vectors_that_differ_are_not_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def other(subject: Subject, *rest: Any) -> np.ndarray:
        return embed(subject, *rest) + (subject.origin != str(tmp_path / "model"))

    subject = load_subject(model_of(FAMILIES["bert"], tmp_path))
    monkeypatch.setattr(exporting, "embed", other)
    with pytest.raises(WorkError, match="other vectors"):
        export_embedder(subject, "mean", 24, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_card_is_one_that_the_hub_takes(tmp_path: Path) -> None:
    from huggingface_hub import ModelCard

    export_embedder(load_subject(model_of(FAMILIES["bert"], tmp_path)), "mean", 24, tmp_path / "out")
    data = ModelCard.load(tmp_path / "out" / "README.md").data
    assert (data.library_name, data.pipeline_tag) == ("sentence-transformers", "sentence-similarity")
