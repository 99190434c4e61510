"""fill asks each model what its head answers, whatever its family, and refuses in one sentence what it does not take."""

import hashlib
import shutil
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_run import LENGTH, PIECES, VOCABULARY, changed
from toy_family.config import ToyConfig
from toy_family.family import FAMILY
from toy_objective.recipe import Tandem

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.tokenizer import Tokenizer, hugging_face_files
from pretrain.commands.asking.fill import run as fill
from pretrain.commands.inspect import run as inspect
from pretrain.exporting.answers import by_head
from pretrain.exporting.answers.tokens import suspicions
from pretrain.exporting.export import export
from pretrain.models.bert.config import BertConfig
from pretrain.recipe import TrainingRecipe
from pretrain.subject import Subject
from pretrain.train import train


class Double(Subject):
    """A model that gives each position the logits of its number, whatever the text."""

    def logits(self, token_ids: np.ndarray, token_types: np.ndarray, attends: np.ndarray) -> np.ndarray:
        if "replaced" in self.heads:
            return np.arange(token_ids.shape[1], dtype=np.float32)[None] - 2
        return np.tile(np.arange(VOCABULARY, dtype=np.float32), (*token_ids.shape, 1))


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Makes a folder that is taken for a model with such heads."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    for name, content in hugging_face_files(PIECES, lowercase=False).items():
        (tmp_path / "model" / name).write_text(content, encoding="utf-8")
    tokenizer = Tokenizer(tmp_path / "model")
    tokenizer.backend.encode_special_tokens = False

    def make(*heads: str) -> Path:
        double = Double(FAMILY, ToyConfig(vocab_size=VOCABULARY), frozenset(heads), {}, tokenizer, "model")
        monkeypatch.setattr(by_head, "load_subject", lambda folder: double)
        return tmp_path / "model"

    return make


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What continuations were asked for; each is the text and its number. The target of a text is the text."""
    calls: list[Any] = []

    def continuations(
        subject: Subject, text: str, *, count: int, tokens: int, top_k: int, temperature: float, seed: int
    ) -> list[str]:
        calls.append((text, count, tokens, top_k, temperature, seed))
        return [f"{text} {number}" for number in range(count)]

    monkeypatch.setattr(by_head, "continuations", continuations)
    monkeypatch.setattr(by_head, "targets", lambda subject, text, tokens: text)
    return calls


def printed(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[str]:
    capsys.readouterr()
    fill([str(each) for each in arguments])
    return capsys.readouterr().out.splitlines()


def test_a_masked_language_model_fills_every_mask(
    model: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    lines = printed(capsys, model("vocabulary", "pair"), "--text", "가 [MASK] 각 [MASK]", "--top", 2)
    assert lines[0] == "가 [MASK] 각 [MASK]"
    assert [line.split() for line in lines[1:]] == [
        ["mask", "1", "63.2%", PIECES[-1], "가", PIECES[-1], "각", "[MASK]"],
        ["mask", "1", "23.3%", PIECES[-2], "가", PIECES[-2], "각", "[MASK]"],
        ["mask", "2", "63.2%", PIECES[-1], "가", "[MASK]", "각", PIECES[-1]],
        ["mask", "2", "23.3%", PIECES[-2], "가", "[MASK]", "각", PIECES[-2]],
    ]


@pytest.mark.parametrize(
    ("text", "piece", "shown"),
    [
        ("뷁쀍 [MASK] 좋다", "가", "뷁쀍 가 좋다"),
        ("뷁쀍[MASK] 좋다", "가", "뷁쀍 가 좋다"),
        ("각 [MASK]해야", "##가", "각가해야"),
        ("각 [MASK] 각", ".", "각. 각"),
        ("'[MASK]' 각", "가", "'가' 각"),
        ("각 [MASK] 각", "[UNK]", "각 [UNK] 각"),
    ],
)
def test_a_filled_text_is_the_text_with_the_piece_in_it(
    text: str,
    piece: str,
    shown: str,
    model: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = model("vocabulary")
    others = [each for each in PIECES if each != piece]
    # The last row is the likeliest to the double.
    for name, content in hugging_face_files([*others[: VOCABULARY - 1], piece], lowercase=False).items():
        (folder / name).write_text(content, encoding="utf-8")
    tokenizer = Tokenizer(folder)
    tokenizer.backend.encode_special_tokens = False
    double = replace(by_head.load_subject(folder), tokenizer=tokenizer)
    monkeypatch.setattr(by_head, "load_subject", lambda _: double)
    assert printed(capsys, folder, "--text", text, "--top", 1)[1].split(maxsplit=2)[2] == shown


def test_a_discriminator_says_of_each_token_how_likely_it_was_replaced(
    model: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    lines = printed(capsys, model("replaced"), "--text", "가 각 힣")
    # [CLS] at position 0 and [SEP] are not the text's.
    assert lines == ["가 각 힣", "   26.9%  가", "   50.0%  각  <- replaced?", "   73.1%  [UNK] 힣  <- replaced?"]


def test_letters_of_a_text_are_composed_to_syllables_and_other_encodings_are_told(
    model: Callable[..., Path], asked: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    printed(capsys, model("next_token"), "--text", unicodedata.normalize("NFD", "서울은"))
    assert [text for text, *_ in asked] == ["서울은"]
    with pytest.raises(InputError, match=r"--text 'a\\udcff': not UTF-8"):
        fill([str(model("next_token")), "--text", "a\udcff"])


def test_a_text_without_a_token_has_no_target(model: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="'': has no token; give a text"):
        fill([str(model("target")), "--text", ""])


def test_a_causal_model_continues_a_text_by_the_flags_that_are_given(
    model: Callable[..., Path], capsys: pytest.CaptureFixture[str], asked: list[Any]
) -> None:
    folder = model("next_token")
    assert printed(capsys, folder, "--text", "가", "--top", 2) == ["가", "  가 0", "  가 1"]
    printed(capsys, folder, "--text", "가", "--tokens", 8, "--temperature", 0.5, "--seed", 7)
    assert asked == [("가", 2, 32, by_head.TOP_K, 1.0, 0), ("가", 3, 8, by_head.TOP_K, 0.5, 7)]


def test_examples_are_continued_by_models_that_read_few_tokens(
    model: Callable[..., Path], asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = model("next_token")
    short = replace(by_head.load_subject(folder), config=BertConfig(max_position_embeddings=24))
    monkeypatch.setattr(by_head, "load_subject", lambda _: short)
    fill([str(folder)])
    assert [call[2] for call in asked] == [12, 12]


@pytest.mark.parametrize("head", by_head.ANSWERS)
def test_every_head_has_examples_that_it_answers(
    head: str, model: Callable[..., Path], capsys: pytest.CaptureFixture[str], asked: list[Any]
) -> None:
    lines = printed(capsys, model(head))
    texts = by_head.ANSWERS[head].texts
    assert len(texts) == 2
    assert [line for line in lines if not line.startswith("  ")] == list(texts)
    assert len(lines) >= 2 * len(texts)


def test_examples_have_the_mask_of_the_models_own_tokenizer(
    model: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = model("vocabulary")
    by_head.load_subject(folder).tokenizer.pieces[4] = "<mask>"
    with pytest.raises(InputError, match=r"운동장에<mask> 공을.*holds no <mask>"):
        printed(capsys, folder)


@pytest.mark.parametrize(
    ("heads", "flags", "message"),
    [
        (["vocabulary"], ["--text", "가"], r"'가': holds no \[MASK\]; put it where a word is to be filled in"),
        (["vocabulary"], ["--temperature", "2"], r"--temperature: not for .*model, which fills masks; leave it out"),
        (["vocabulary"], ["--top", "0"], r"--top 0: must be 1 or more"),
        (["replaced"], ["--top", "3"], r"--top: not for .*model, which says which tokens were replaced; leave it out"),
        (["replaced"], ["--text", "가 [MASK]"], r"'가 \[MASK\]': holds \[MASK\], but model has no head that fills masks"),
        (["replaced"], ["--text", ""], r"'': has no token; give a sentence"),
        (["next_token"], ["--text", "가 [MASK]"], r"'가 \[MASK\]': holds \[MASK\], but model has no head that fills masks"),
        (["next_token"], ["--temperature", "-1"], r"--temperature -1.0: must be 0 or more"),
        (["next_token"], ["--tokens", "0"], r"--tokens 0: must be 1 or more"),
        (["pair"], [], r".*model: its Toy has none of the heads that answer \(next_token, replaced, target, vocabulary\)"),
        ([], [], r".*model: its Toy has none of the heads that answer"),
    ],
)  # fmt: skip
def test_what_a_head_does_not_take_is_refused_in_one_sentence(
    heads: list[str], flags: list[str], message: str, model: Callable[..., Path], asked: list[Any]
) -> None:
    with pytest.raises(InputError, match=message):
        fill([str(model(*heads)), *flags])


def test_a_text_longer_than_the_model_reads_is_refused(model: Callable[..., Path]) -> None:
    folder = model("replaced")
    short = replace(by_head.load_subject(folder), config=BertConfig(max_position_embeddings=4))
    with pytest.raises(InputError, match="the text has 5 tokens, the model reads 4; shorten it"):
        suspicions(short, "가 나 다")


def test_places_that_hold_no_model_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"klue/bert-base: no such folder; .*hf download klue/bert-base --local-dir klue-bert-base"
    ):
        fill(["klue/bert-base"])
    with pytest.raises(
        InputError, match=r"holds no config.json and model.safetensors; run `python -m pretrain export`"
    ):
        fill([str(tmp_path)])
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="is a Hugging Face folder, without rows to show; give a run folder, or ask"):
        inspect([str(tmp_path)])


@pytest.mark.usefixtures("shared_programs")
def test_every_model_of_a_run_answers_and_the_run_names_them(
    tiny: TrainingRecipe, new_run: Callable[..., RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    run = new_run()
    train(run, "tandem", changed(tiny, model=ToyConfig(), objective=Tandem(), max_steps=3, stop_at_step=1))
    export(run, None, run.export)
    # A format has a folder there too, and is no further model.
    (run.export / "onnx").mkdir()
    (run.export / "onnx" / "model.onnx").write_bytes(b"onnx")
    exports = run.manifest()["export"]
    exports["folders"]["export"]["files"]["onnx/model.onnx"] = hashlib.sha256(b"onnx").hexdigest()
    run.record("export", exports)
    lines = printed(capsys, run.path, "--text", "가 [MASK]", "--top", 1)
    assert lines[2:] == [f"the helper of this run: python -m pretrain fill {run.export / 'helper'}"]
    assert len(printed(capsys, run.export / "helper", "--text", "가 [MASK]", "--top", 1)) == 2
    shutil.copytree(run.export, run.path.parent / "away")
    assert len(printed(capsys, run.path.parent / "away", "--text", "가 [MASK]")) == 6
    (run.export / "helper" / "config.json").unlink()
    with pytest.raises(InputError, match=r"helper/config.json: not as it was exported"):
        fill([str(run.path)])


@pytest.mark.parametrize("kind", ["BertForMaskedLM", "BertForPreTraining"])
def test_a_folder_that_transformers_wrote_answers_as_transformers_does(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    transformers = pytest.importorskip("transformers")
    folder = written_by_transformers(kind, tmp_path)
    text = "가 [MASK] 각"
    expected = transformers.pipeline("fill-mask", model=str(folder))(text)
    lines = printed(capsys, folder, "--text", text)
    assert [line.split()[1] for line in lines[1:]] == [word["token_str"] for word in expected]
    assert [line.split()[0] for line in lines[1:]] == [f"{word['score']:.1%}" for word in expected]


def test_a_model_without_a_head_says_so(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    folder = written_by_transformers("BertModel", tmp_path)
    with pytest.raises(
        InputError, match=r"its BERT has none of the heads that answer .*; give a model that was saved with"
    ):
        fill([str(folder)])


def written_by_transformers(kind: str, folder: Path) -> Path:
    import transformers

    config = transformers.BertConfig(
        vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=LENGTH, initializer_range=0.5,
    )  # fmt: skip
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(PIECES), encoding="utf-8")
    getattr(transformers, kind)(config).save_pretrained(folder)
    transformers.BertTokenizer(vocab=str(vocabulary), do_lower_case=False).save_pretrained(folder)
    vocabulary.unlink()
    return folder
