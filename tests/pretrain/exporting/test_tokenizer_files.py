"""What an export's tokenizer is made of; test_causal_export.py shows what transformers makes of it."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from tiny_run import PIECES

from data_pipeline.contract.tokenizer import hugging_face_files
from pretrain.exporting.tokenizer_files import write_tokenizer
from pretrain.models.bert.config import BertConfig
from pretrain.models.bert.family import FAMILY as BERT
from pretrain.models.gpt2.config import GPT2Config
from pretrain.models.gpt2.family import FAMILY as GPT2


def folders(tmp_path: Path) -> tuple[Path, Path]:
    vocabulary, export = tmp_path / "vocabulary", tmp_path / "export"
    for folder in (vocabulary, export):
        folder.mkdir()
    for name, content in hugging_face_files(PIECES, lowercase=False).items():
        (vocabulary / name).write_text(content, encoding="utf-8")
    return vocabulary, export


def test_a_family_that_takes_text_as_the_tokenizer_does_gets_its_files_as_they_are(tmp_path: Path) -> None:
    vocabulary, export = folders(tmp_path)
    write_tokenizer(vocabulary, export, BERT, BertConfig(), 40)
    for name in ("vocab.txt", "special_tokens_map.json"):
        assert (export / name).read_bytes() == (vocabulary / name).read_bytes()
    before, after = (json.loads((folder / "tokenizer.json").read_text()) for folder in (vocabulary, export))
    assert after.pop("normalizer") == {"type": "Sequence", "normalizers": [{"type": "NFC"}, before.pop("normalizer")]}
    assert after == before
    told = json.loads((vocabulary / "tokenizer_config.json").read_text())
    assert json.loads((export / "tokenizer_config.json").read_text()) == told | {"model_max_length": 40}
    assert not (export / "generation_config.json").exists()


def test_a_familys_template_changes_nothing_else_of_the_tokenizer(tmp_path: Path) -> None:
    vocabulary, export = folders(tmp_path)
    write_tokenizer(vocabulary, export, GPT2, GPT2Config(), 40)
    before, after = (json.loads((folder / "tokenizer.json").read_text()) for folder in (vocabulary, export))
    assert before.pop("post_processor") != after.pop("post_processor")
    assert before.pop("normalizer") != after.pop("normalizer")
    assert before == after
    specials = json.loads((export / "special_tokens_map.json").read_text())
    assert specials["eos_token"] == "[SEP]"
    assert specials["mask_token"] == "[MASK]"


def test_a_vocabulary_of_its_rows_alone_gets_the_file_that_holds_the_template(tmp_path: Path) -> None:
    vocabulary, export = folders(tmp_path)
    for name in ("tokenizer.json", "special_tokens_map.json"):
        (vocabulary / name).unlink()
    write_tokenizer(vocabulary, export, GPT2, GPT2Config(), 40)
    assert json.loads((export / "tokenizer.json").read_text())["post_processor"]["type"] == "TemplateProcessing"
    assert not (export / "special_tokens_map.json").exists()


def test_what_cards_say_of_a_vocabulary_file_alone_is_so(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    vocabulary, export = folders(tmp_path)
    write_tokenizer(vocabulary, export, BERT, BertConfig(), 40)
    text = PIECES[-1].removeprefix("##")
    assert "[UNK]" not in transformers.AutoTokenizer.from_pretrained(export).tokenize(text)
    assert transformers.BertTokenizer(str(export / "vocab.txt")).tokenize(text) == ["[UNK]"]


@pytest.mark.parametrize("model", [(BERT, BertConfig()), (GPT2, GPT2Config())], ids=["bert", "gpt2"])
def test_letters_are_joined_by_what_reads_tokenizer_json_and_transformers_keeps_its_class(
    model: tuple[Any, Any], tmp_path: Path
) -> None:
    transformers = pytest.importorskip("transformers")
    vocabulary, export = folders(tmp_path)
    plain = type(transformers.AutoTokenizer.from_pretrained(vocabulary))
    write_tokenizer(vocabulary, export, *model, 40)
    text = " ".join(PIECES[-3:])
    letters = unicodedata.normalize("NFD", text)
    read = tokenizers.Tokenizer.from_file(str(export / "tokenizer.json"))
    assert read.encode(letters).ids == read.encode(text).ids
    found = transformers.AutoTokenizer.from_pretrained(export)
    assert found.tokenize(text) == PIECES[-3:]
    # docs/export.md says which class takes letters as they come.
    ignores = transformers.__version__.startswith("5") and type(found).__name__ == "BertTokenizer"
    assert found.tokenize(letters) == (["[UNK]"] * 3 if ignores else PIECES[-3:])
    if model[0] is BERT:
        assert type(found) is plain
        assert "token_type_ids" in found(text, text)


def test_an_export_of_an_exports_vocabulary_is_the_same(tmp_path: Path) -> None:
    vocabulary, export = folders(tmp_path)
    write_tokenizer(vocabulary, export, BERT, BertConfig(), 40)
    again = tmp_path / "again"
    again.mkdir()
    write_tokenizer(export, again, BERT, BertConfig(), 40)
    assert (again / "tokenizer.json").read_bytes() == (export / "tokenizer.json").read_bytes()
