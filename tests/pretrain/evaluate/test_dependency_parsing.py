"""KLUE-DP from sentences to UAS and LAS."""

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from families import FAMILIES
from tuned_models import HEADS, subject_of

from data_pipeline.contract.errors import InputError
from pretrain.evaluate.evaluation import evaluate
from pretrain.evaluate.forms import EncodedSplit, encode_split, head_of
from pretrain.evaluate.hardware import Hardware
from pretrain.evaluate.seeds import SeedFile
from pretrain.evaluate.tasks.examples import DependencyExample
from pretrain.evaluate.tasks.klue import DEPENDENCIES, DP, PARTS_OF_SPEECH
from pretrain.evaluate.tasks.task import Settings
from pretrain.evaluate.trials import Trials
from pretrain.evaluate.tuner import Epoch, Tuner
from pretrain.models.task_heads import ParserSizes
from pretrain.recipe import Mesh
from pretrain.subject import Subject

pytest.importorskip("sklearn")

SETTINGS = Settings(epochs=250, batch_size=8, learning_rate=3e-3, max_length=24, seed=1)
SMALL = ParserSizes(part_of_speech=16, hidden=32, arcs=32, relations=16)


def sentences(count: int) -> list[DependencyExample]:
    """Of 3 to 7 eojeols, whose trees only the words tell."""
    random = np.random.default_rng(0)
    found = []
    for number in range(count):
        length = int(random.integers(3, 8))
        heads = [int(random.integers(place + 1, length + 1)) for place in range(1, length)] + [0]
        found.append(
            DependencyExample(
                f"sentence-{number}",
                tuple("".join(random.choice([*"가각갂갃간"], 2)) for _ in range(length)),
                tuple(heads),
                tuple(random.choice(DEPENDENCIES[:6], length).tolist()),
                tuple(random.choice(PARTS_OF_SPEECH, length).tolist()),
            )
        )
    return found


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return subject_of(FAMILIES["bert"].config, HEADS["classes"], tmp_path_factory.mktemp("model") / "made")


def tuner_of(subject: Subject, encoded: EncodedSplit, settings: Settings, mesh: Mesh) -> Tuner:
    head = replace(head_of(DP, settings), parser=SMALL)
    devices = jax.devices()[: mesh.data * mesh.fsdp * mesh.tensor]
    splits = {"train": encoded.rows, "dev": encoded.rows}
    return Tuner(subject, head, splits, settings, Hardware(mesh), devices=devices)


def test_eight_sentences_are_learnt_by_heart(subject: Subject, tmp_path: Path) -> None:
    settings = replace(SETTINGS, dropout=0.0)
    encoded = encode_split(subject, DP, sentences(8), settings)
    tuner = tuner_of(subject, encoded, settings, Mesh(1, 1, 1))
    *_, last = tuner.epochs(0, predict_each=False)
    assert encoded.score(last.predictions["dev"]) == dict.fromkeys(DP.metrics, 100.0)
    kept = SeedFile(tmp_path / "seed.npz", "print")
    kept.write([last], tuner.splits)
    again = kept.read()
    assert again
    assert encoded.score(again[-1].predictions["dev"]) == dict.fromkeys(DP.metrics, 100.0)


def test_right_heads_and_relations_are_worth_100_and_heads_that_were_cut_off_are_wrong(subject: Subject) -> None:
    examples = sentences(8)
    encoded = encode_split(subject, DP, examples, SETTINGS)
    assert encoded.score([label[:, 3:] for label in encoded.rows.labels]) == dict.fromkeys(DP.metrics, 100.0)
    cut = encode_split(subject, DP, examples, replace(SETTINGS, max_length=8))
    assert any((label[:, 3] < 0).any() for label in cut.rows.labels)
    assert cut.score([label[:, 3:] for label in cut.rows.labels])["klue_dp_uas_micro_f1"] < 100


def test_a_batch_is_as_wide_as_the_longest_sentence_of_its_length(subject: Subject) -> None:
    encoded = encode_split(subject, DP, sentences(20), SETTINGS)
    tuner = tuner_of(subject, encoded, replace(SETTINGS, max_length=24), Mesh(1, 1, 1))
    assert tuner._width(encoded.rows, 24) == 8, "of 7 eojeols at most"
    assert tuner._width(encoded.rows, 5) == 5, "no more than tokens"
    counts = encoded.rows.lengths
    assert encoded.rows.most_labels(int(counts.min())) < encoded.rows.most_labels(int(counts.max())) == 7
    params = tuner.start(0)
    narrow = tuner.predict(params, encoded.rows)
    wide = tuner_of(subject, encoded, replace(SETTINGS, max_length=24), Mesh(1, 1, 1))
    wide._width = lambda rows, length: length  # type: ignore[method-assign]
    for mine, theirs in zip(narrow, wide.predict(params, encoded.rows), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def on_mesh(mesh: Mesh, subject: Subject) -> tuple[Epoch, list[np.ndarray]]:
    settings = replace(SETTINGS, epochs=2, batch_size=16)
    tuner = tuner_of(subject, encode_split(subject, DP, sentences(20), settings), settings, mesh)
    *_, last = tuner.epochs(3)
    return last, [np.asarray(leaf) for leaf in jax.tree.leaves(tuner.params)]


def test_fsdp_gives_the_same_with_dropout(subject: Subject) -> None:
    (alone, one), (shared, other) = on_mesh(Mesh(1, 1, 1), subject), on_mesh(Mesh(1, 8, 1), subject)
    np.testing.assert_allclose(shared.loss, alone.loss, rtol=1e-4)
    for mine, theirs in zip(one, other, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-3)
    assert [tree.shape for tree in alone.predictions["dev"]] == [(len(e.eojeols), 2) for e in sentences(20)]
    for mine, theirs, sentence in zip(alone.predictions["dev"], shared.predictions["dev"], sentences(20), strict=True):
        assert mine[:, 0].max() <= len(sentence.eojeols)
        assert (mine == theirs).mean() > 0.9, "rounding may flip one that is undecided"


def test_an_export_that_transformers_could_not_load_is_refused_before_training(
    subject: Subject, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="--export: transformers has no class with a head for KLUE-DP"):
        evaluate(subject, DP, tmp_path, Trials(SETTINGS, export=True), tmp_path)
