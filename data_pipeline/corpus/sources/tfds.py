"""Prepared TensorFlow datasets whose shards are ArrayRecord files, read without TensorFlow."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_pipeline.contract.errors import InputError
from data_pipeline.corpus.document import Document
from data_pipeline.corpus.sources.lines import Remark, Unreadable
from data_pipeline.corpus.sources.prose import Paragraph, prose
from data_pipeline.corpus.sources.records import BadRecordError, Record, documents, text_at
from data_pipeline.recipe import Source

RECORDS_PER_READ = 256
WIKI40B = "_START_ARTICLE_"


def read_tfds(path: str, source: Source) -> Iterator[Document | Unreadable | Remark]:
    """One document for each example of a shard, from its feature `source.text_field`; wiki40b's marks become paragraphs.

    The shard lies beside the dataset's metadata (dataset_info.json, features.json), as `tfds` leaves them. Raises InputError where it does
    not, and where it is no ArrayRecord file.
    """

    def text_of(example: object) -> str:
        text = text_at(_decoded(example), source.text_field)
        return _wiki40b(text) if WIKI40B in text else text

    return documents(_examples(path), source, text_of)


def _examples(path: str) -> Iterator[Record]:
    missing = [name for name in ("dataset_info.json", "features.json") if not (Path(path).parent / name).is_file()]
    if missing:
        raise InputError(f"{path}: lies in no prepared TFDS dataset; its {missing[0]} must lie beside it")
    # Here, not above: only these sources ask for it, and its import takes seconds.
    import tensorflow_datasets as tfds
    from array_record.python.array_record_module import ArrayRecordReader

    try:
        dataset = tfds.builder_from_directory(str(Path(path).parent)).info
        reader = ArrayRecordReader(path)
        number = reader.num_records()
        if number != (told := _shard_lengths(dataset).get(Path(path).name, number or -1)):
            raise ValueError(f"{number} records instead of {told}")  # a file of another format opens, and is empty
        for start in range(0, number, RECORDS_PER_READ):
            for offset, record in enumerate(reader.read(start, min(start + RECORDS_PER_READ, number))):
                yield f"{Path(path).name}:record {start + offset + 1}", dataset.features.deserialize_example_np(record)
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"{path}: not readable as ArrayRecord ({' '.join(str(error).split())[:200]}); other shards are turned into it by "
            "`tfds convert_format --out_file_format=array_record`, damaged ones are fetched again"
        ) from None


def _shard_lengths(dataset: Any) -> dict[str, int]:
    """Examples in each shard of all splits, as the dataset's metadata say."""
    return {
        Path(path).name: length
        for split in dataset.splits.values()
        for path, length in zip(split.filepaths, split.shard_lengths, strict=True)
    }


def _decoded(example: Any) -> Any:
    """Text features come as bytes, in sequences and dictionaries too."""
    if isinstance(example, dict):
        return {name: _decoded(value) for name, value in example.items()}
    if hasattr(example, "tolist") and str(getattr(example, "dtype", "")) == "object":
        return [_decoded(value) for value in example.tolist()]
    try:
        return example.decode() if isinstance(example, bytes) else example
    except UnicodeDecodeError as error:
        raise BadRecordError(f"not UTF-8 ({error.reason} at byte {error.start + 1})") from None


def _wiki40b(text: str) -> str:
    """wiki40b: marks on lines of their own say what the next line is; the title is left out."""
    paragraphs: list[Paragraph] = []
    kind = ""
    for line in text.split("\n"):
        if line.startswith("_START_"):
            kind = line
        elif kind == "_START_SECTION_":
            paragraphs.append((1, line.strip()))
        elif kind != WIKI40B:
            paragraphs += [(0, part.strip()) for part in line.split("_NEWLINE_")]
    return prose(paragraphs)
