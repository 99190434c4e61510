"""WoS from official files to joint goal accuracy, on fixtures of its schema; MRC beside it, whose files are not at hand, either."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from families import FAMILIES

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.tokenizer import Tokenizer, hugging_face_files
from pretrain.commands import evaluate as command
from pretrain.evaluate.evaluation import Trials, evaluate
from pretrain.evaluate.forms import EncodedSplit, encode_split, head_of
from pretrain.evaluate.hardware import Hardware
from pretrain.evaluate.seeds import SeedFile
from pretrain.evaluate.tasks.files import read_split
from pretrain.evaluate.tasks.klue import MRC, SLOTS, WOS
from pretrain.evaluate.tasks.readers.dialogues import wos_reader
from pretrain.evaluate.tasks.task import Settings
from pretrain.evaluate.tuner import Epoch, Tuner
from pretrain.hugging_face.folder import tokenizer_configuration, write_folder
from pretrain.hugging_face.weights import to_hugging_face
from pretrain.models.config import ModelConfig, with_padding, with_vocabulary
from pretrain.models.core.slot_generator import STEPS
from pretrain.models.protocols import Compute
from pretrain.models.registry import family_of
from pretrain.recipe import Mesh
from pretrain.subject import Subject

SETTINGS = Settings(epochs=400, batch_size=12, learning_rate=5e-3, max_length=40, seed=1)
SYLLABLES = [chr(ord("가") + number) for number in range(20)]
WORDS = sorted({word for slot in SLOTS for word in slot.replace("-", " ").split()})
PIECES = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]", *SYLLABLES, *WORDS, "none", "dontcare", "yes", "no"]
NAMED = ("식당-이름", "숙소-이름", "관광-종류")
FEW = (*NAMED, "식당-주차 가능", "택시-종류", "지하철-도착지")
TASK = replace(WOS, labels=FEW, read=wos_reader(FEW))
"""WoS with fewer slots, which a tiny model learns in a second."""
CONFIG: Any = replace(FAMILIES["bert"].config, hidden_size=32, initializer_range=0.1)  # type: ignore[call-arg]


def subject_of(config: ModelConfig, folder: Path) -> Subject:
    """An untrained model whose vocabulary has the words of the slots' names."""
    folder.mkdir(exist_ok=True)
    for name, content in hugging_face_files(PIECES, lowercase=False).items():
        (folder / name).write_text(content, encoding="utf-8")
    settings = tokenizer_configuration(json.loads((folder / "tokenizer_config.json").read_text()), config, 64)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    tokenizer = Tokenizer(folder)
    config = with_vocabulary(with_padding(config, tokenizer.special.pad), len(PIECES))
    family = family_of(config)
    heads = frozenset[str]()
    drawn = jax.jit(family.make(config, len(PIECES), heads, Compute()).init)(jax.random.key(0))
    tensors = to_hugging_face(jax.device_get(drawn), family.rules(config, heads), len(PIECES))
    subject = Subject(family, config, heads, tensors, tokenizer, "test")
    write_folder(folder, tensors, subject.configuration)
    return subject


def dialogue(number: int, random: np.random.Generator) -> dict[str, Any]:
    """Two turns of the user: a name that is said, a second one, and wishes that are no names."""
    first, second = (" ".join(random.choice(SYLLABLES, random.integers(1, 4))) for _ in range(2))
    slots = [str(slot) for slot in random.choice(NAMED, 2, replace=False)]
    wish = ["식당-주차 가능-yes", "식당-주차 가능-no", "식당-주차 가능-dontcare"][number % 3]
    turns = [
        {"role": "user", "text": f"{slots[0]} {first}", "state": [f"{slots[0]}-{first}"]},
        {"role": "sys", "text": "가 나"},
        {"role": "user", "text": f"{slots[1]} {second} {wish[9:]}", "state": [f"{slots[0]}-{first}", f"{slots[1]}-{second}", wish]},
    ]  # fmt: skip
    return {"guid": f"wos_{number}", "domains": ["식당"], "dialogue": turns}


def written(folder: Path, *, train: int = 6, dev: int = 4, strange: bool = False) -> Path:
    """Files of the official schema.

    - `strange`: the first dialogue names a place that the vocabulary has not.
    """
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(0)
    for split, count in (("train", train), ("dev", dev)):
        dialogues = [dialogue(number, random) for number in range(count)]
        if strange:
            name = dialogues[0]["dialogue"][0]["state"][0].rpartition("-")[2]
            dialogues[0] = json.loads(json.dumps(dialogues[0], ensure_ascii=False).replace(f'-{name}"', '-힣"'))
        (folder / f"wos-v1.1_{split}.json").write_text(json.dumps(dialogues, ensure_ascii=False), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return subject_of(CONFIG, tmp_path_factory.mktemp("model") / "made")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("data") / "wos-v1.1")


def tuner_of(subject: Subject, encoded: EncodedSplit, settings: Settings, mesh: Mesh) -> Tuner:
    devices = jax.devices()[: mesh.data * mesh.fsdp * mesh.tensor]
    splits = {"train": encoded.rows, "dev": encoded.rows}
    return Tuner(subject, head_of(TASK, settings), splits, settings, Hardware(mesh), devices=devices)


def without_dropout(subject: Subject) -> Subject:
    config: Any = replace(subject.config, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)  # type: ignore[call-arg]
    return replace(subject, config=config)


def test_six_dialogues_are_learnt_by_heart(subject: Subject, data: Path, tmp_path: Path) -> None:
    encoded = encode_split(subject, TASK, read_split(TASK, data, "train").examples, SETTINGS)
    tuner = tuner_of(without_dropout(subject), encoded, SETTINGS, Mesh(1, 1, 1))
    *_, last = tuner.epochs(0, predict_each=False)
    assert encoded.score(last.predictions["dev"]) == dict.fromkeys(WOS.metrics, 100.0)
    kept = SeedFile(tmp_path / "seed.npz", "print")
    kept.write([last], tuner.splits)
    again = kept.read()
    assert again
    assert encoded.score(again[-1].predictions["dev"]) == dict.fromkeys(WOS.metrics, 100.0)


def trained(tuner: Tuner) -> tuple[Epoch, list[np.ndarray]]:
    *_, last = tuner.epochs(3)
    return last, [np.asarray(leaf) for leaf in jax.tree.leaves(tuner.params)]


def test_a_seed_gives_the_same_again_and_with_fsdp(subject: Subject, data: Path) -> None:
    """With dropout, and steps that read what is wanted as well as steps that do not."""
    settings = replace(SETTINGS, epochs=3, learning_rate=1e-3, batch_size=8)
    encoded = encode_split(subject, TASK, read_split(TASK, data, "train").examples, settings)
    tuner = tuner_of(subject, encoded, settings, Mesh(1, 1, 1))
    (alone, one), (again, same) = trained(tuner), trained(tuner)
    assert again.loss == alone.loss
    for mine, theirs in zip(one, same, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    shared, other = trained(tuner_of(subject, encoded, settings, Mesh(1, 8, 1)))
    np.testing.assert_allclose(shared.loss, alone.loss, rtol=1e-4)
    for mine, theirs in zip(one, other, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-3)
    for mine, theirs in zip(alone.predictions["dev"], shared.predictions["dev"], strict=True):
        assert mine.shape == (len(FEW), 1 + STEPS)
        assert (mine == theirs).mean() > 0.9, "rounding may flip one that is undecided"


@pytest.mark.parametrize("family", ["bert", "electra", "gpt2", pytest.param("roberta", marks=pytest.mark.slow)])
def test_the_command_scores_every_family(family: str, tmp_path: Path) -> None:
    """All 45 slots, dialogues longer than the row, and a value of which the vocabulary has nothing."""
    subject_of(FAMILIES[family].config, tmp_path / "model")
    data = written(tmp_path / "wos-v1.1", train=8, strange=True)
    given = ["--task", "klue_wos", "--data", str(data), "--to", str(tmp_path), "--seeds", "1", "--no-every-epoch"]
    settings = ["--settings.epochs", "1", "--settings.batch-size", "8", "--settings.max-length", "10"]
    command.run([str(tmp_path / "model"), *given, *settings])
    told = json.loads((tmp_path / "evaluation" / "klue_wos.json").read_text())
    assert (told["metric"], told["longest_row"], told["items"]["count"]) == ("wos_jga", 10, 8)
    assert told["part"]["dev"] == "4 rows (the official dev file has 1,000)"
    assert all(0 <= score["mean"] <= 100 for score in told["scores"].values())
    assert np.isfinite(told["epochs"]["42"][0]["loss"])
    assert "wos_slot_micro_f1" in (tmp_path / "evaluation" / "klue_wos.md").read_text()


def test_a_value_that_the_vocabulary_has_not_is_the_one_that_cannot_be_right(subject: Subject, tmp_path: Path) -> None:
    examples = read_split(WOS, written(tmp_path / "data", strange=True), "dev").examples
    encoded = encode_split(subject, WOS, examples, replace(SETTINGS, max_length=10))
    assert encoded.rows.lengths.max() == 10
    scores = encoded.score(encoded.rows.labels)
    assert scores["wos_jga"] == 100 * 6 / 8, "one of four dialogues has it, in both turns"
    assert scores["wos_slot_micro_f1"] > scores["wos_jga"]


def test_a_slot_that_is_none_stops_the_command_with_one_sentence(tmp_path: Path) -> None:
    subject_of(CONFIG, tmp_path / "model")
    data = written(tmp_path / "data")
    path = data / "wos-v1.1_train.json"
    path.write_text(path.read_text(encoding="utf-8").replace("-주차 가능-", "-주차가능-"), encoding="utf-8")
    message = r'wos-v1.1_train.json: row 1 \(wos_0\): field "dialogue\[2\].state" has the slot "식당-주차가능"'
    with pytest.raises(InputError, match=message):
        command.run([str(tmp_path / "model"), "--task", "klue_wos", "--data", str(data), "--to", str(tmp_path)])


def test_an_export_is_refused_before_training(subject: Subject, data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--export: transformers has no class with a head for KLUE-DST \(WoS\)"):
        evaluate(subject, WOS, data, Trials(SETTINGS, export=True), tmp_path)


def test_mrc_runs_from_files_of_its_schema(tmp_path: Path) -> None:
    subject_of(CONFIG, tmp_path / "model")
    for split, count in (("train", 16), ("dev", 4)):
        paragraphs = [
            {
                "context": f"{'가 나 다 라 ' * 6}{name} 마",
                "qas": [
                    {
                        "guid": f"{split}_{number}",
                        "question": "바 사",
                        "question_type": 3 if number % 2 else 1,
                        "is_impossible": bool(number % 2),
                        "answers": [] if number % 2 else [{"text": name, "answer_start": 48}],
                        "plausible_answers": [{"text": "가", "answer_start": 0}] if number % 2 else [],
                    }
                ],
            }
            for number, name in zip(range(count), SYLLABLES, strict=False)
        ]
        file = {"version": "v1.1", "data": [{"title": "t", "source": "wiki", "paragraphs": paragraphs}]}
        (tmp_path / f"klue-mrc-v1.1_{split}.json").write_text(json.dumps(file), encoding="utf-8")
    given = ["--task", "klue_mrc", "--data", str(tmp_path), "--to", str(tmp_path), "--seeds", "1", "--no-every-epoch"]
    settings = ["--settings.epochs", "1", "--settings.max-length", "24", "--settings.document-stride", "8"]
    command.run([str(tmp_path / "model"), *given, *settings])
    told = json.loads((tmp_path / "evaluation" / "klue_mrc.json").read_text())
    assert {*told["scores"]} == {*MRC.metrics}
    assert told["items"]["count"] == 4
