"""Shards of a prepared TFDS dataset are read one by one, without TensorFlow."""

import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordWriter

from data_pipeline.contract.errors import InputError
from data_pipeline.corpus.document import Document
from data_pipeline.corpus.sources.lines import Unreadable
from data_pipeline.recipe import Source
from data_pipeline.source_formats import read_source_file

NAMES = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"


def prepared(folder: Path, shards: list[list[bytes]]) -> list[Path]:
    """Writes a dataset with a text feature as TFDS leaves it; returns its shards."""
    features = tfds.features.FeaturesDict({"title": tfds.features.Text(), "text": tfds.features.Text()})
    folder.mkdir(parents=True)
    paths = [folder / f"wiki-train.array_record-{number:05d}-of-{len(shards):05d}" for number in range(len(shards))]
    for path, texts in zip(paths, shards, strict=True):
        writer = ArrayRecordWriter(str(path), "group_size:1")
        for text in texts:
            writer.write(features.serialize_example({"title": "제목", "text": text}))
        writer.close()
    template = tfds.core.ShardedFileTemplate(
        dataset_name="wiki", data_dir=folder, split="train", filetype_suffix="array_record", template=NAMES
    )
    lengths = [len(texts) for texts in shards]
    split = tfds.core.SplitInfo(name="train", shard_lengths=lengths, num_bytes=0, filename_template=template)
    tfds.folder_dataset.write_metadata(
        data_dir=folder, features=features, split_infos=[split], filename_template=NAMES, check_data=False
    )
    return paths


def read(path: Path, text_field: str = "text") -> list[Document | Unreadable]:
    return list(read_source_file(str(path), Source("tfds", "", name="source", text_field=text_field)))


def test_every_example_of_a_shard_is_a_document_with_its_number(tmp_path: Path) -> None:
    texts = [f"{number}번째 글이다." for number in range(600)]
    first, second = prepared(tmp_path / "1.0.0", [[text.encode() for text in texts], ["끝이다.".encode()]])
    assert read(first) == [
        Document(f"{first.name}:record {number}", "source", text) for number, text in enumerate(texts, 1)
    ]
    assert read(second) == [Document(f"{second.name}:record 1", "source", "끝이다.")]


def test_marks_of_wiki40b_become_paragraphs(tmp_path: Path) -> None:
    text = "\n_START_ARTICLE_\n달빛섬\n_START_PARAGRAPH_\n달빛섬은 섬이다._NEWLINE_남해에 있다.\n_START_SECTION_\n빈 절"
    text += "\n_START_SECTION_\n역사\n_START_PARAGRAPH_\n등대가 섰다."
    [shard] = prepared(tmp_path / "1.0.0", [[text.encode()]])
    [found] = read(shard)
    assert isinstance(found, Document)
    assert found.text == "달빛섬은 섬이다.\n남해에 있다.\n역사\n등대가 섰다."


def test_examples_without_text_are_named(tmp_path: Path) -> None:
    [shard] = prepared(tmp_path / "1.0.0", [[b"a\xff", "글".encode()]])
    bad, good = read(shard)
    assert bad == Unreadable(f"{shard.name}:record 1", "not UTF-8 (invalid start byte at byte 2)")
    assert isinstance(good, Document)
    assert read(shard, "body")[1] == Unreadable(
        f"{shard.name}:record 2", 'field "body" is missing (found: text, title)'
    )


def test_a_shard_without_its_dataset_or_in_another_format_is_an_input_error(tmp_path: Path) -> None:
    [shard] = prepared(tmp_path / "1.0.0", [["글".encode()]])
    lone = tmp_path / "lone.array_record"
    lone.write_bytes(shard.read_bytes())
    with pytest.raises(InputError, match=r"lone\.array_record: lies in no prepared TFDS dataset"):
        read(lone)
    shard.write_bytes(b"no array record" * 100)
    with pytest.raises(InputError, match=r"not readable as ArrayRecord \(0 records instead of 1\).*convert_format"):
        read(shard)


def test_a_shard_with_fewer_examples_than_the_dataset_says_is_an_input_error(tmp_path: Path) -> None:
    first, second = prepared(tmp_path / "1.0.0", [["글".encode()] * 3, ["끝".encode()]])
    first.write_bytes(second.read_bytes())
    with pytest.raises(InputError, match=r"1 records instead of 3"):
        read(first)


def test_tensorflow_is_not_imported(tmp_path: Path) -> None:
    [shard] = prepared(tmp_path / "1.0.0", [["글".encode()]])
    code = (
        "import sys; from data_pipeline.recipe import Source; from data_pipeline.source_formats import read_source_file; "
        f"assert len(list(read_source_file({str(shard)!r}, Source('tfds', '')))) == 1; print('tensorflow' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stdout.split()[-1:] == ["False"], ran.stderr
