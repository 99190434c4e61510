"""Training records: fixed-length rows of tokens in ArrayRecord files with TFDS metadata, and a header that explains them.

A record holds

- `tokens`: uint16 (uint32 above 65,536 vocabulary rows) [length]; specials included, padding at the end.
- `word_starts`: uint8 [length / 8]; bit i % 8 of byte i // 8 is set where token i starts a word.
- `segment_starts`: uint8 [length / 8], the same for segments: in `packed` rows the first token of each and the first
  padding position, in pairs position 0 and the first token of B, in `full_sentences` and `causal` rows position 0 and the
  first token of each further text.
- `label` (pairs only): uint8, 0 where B follows A; 1 where B comes from elsewhere (`sentence_pairs`), or A follows B
  (`sentence_order`).
- `target_tokens`, `target_word_starts` (`source_target` only): the same of the target, [target_length].
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordReader
from numpy.typing import ArrayLike

from data_pipeline.contract.errors import InputError, WorkError, machine_error
from data_pipeline.contract.recipe_fields import ROW_LENGTH
from data_pipeline.contract.record_bytes import RecordBytes
from data_pipeline.contract.storage import read_json
from data_pipeline.contract.tokenizer import SpecialIds

Layout = Literal["packed", "full_sentences", "sentence_pairs", "sentence_order", "causal", "source_target"]
PAIR_TASKS: dict[Layout, str] = {"sentence_pairs": "next_sentence", "sentence_order": "sentence_order"}
"""What is learnt from the labels of the layouts that have them."""
PAIRS: tuple[Layout, ...] = tuple(PAIR_TASKS)
TOKEN_FIELDS = ("tokens", "target_tokens")
Row = Mapping[str, np.ndarray]
HEADER = "header.json"
FORMAT_VERSION = 1
RANDOM_ACCESS, READ_BYTES = "readahead_buffer_size:0,max_parallelism:0", 4096
"""How shards are opened: a read takes the one chunk that holds a row, which the usual 32 KiB would surround by others."""


@dataclass(frozen=True)
class RecordsHeader:
    """What training must know of the records; the owner of vocabulary size, length, special ids and layout.

    - `reserved_ids`: specials and `[unusedN]` rows.
    - `rows`, `tokens`: by split (`train`, `evaluation`); tokens without padding.
    - `tokenizer_sha256`: hash of the tokenizer's files; `fingerprint`: hash of every record in order.
    - `target_length`: of the layout `source_target`; 0 in others.
    - `sources`: by split, name and rows of each source in the order in which they are stored; empty in records prepared before
      headers had it.
    - `categories`: by split, the same of categories, which come again in each part of the corpus; empty unless each row is of one.
    """

    layout: Layout
    length: int
    vocabulary_size: int
    token_dtype: str
    pad_id: int
    unk_id: int
    cls_id: int
    sep_id: int
    mask_id: int
    reserved_ids: tuple[int, ...]
    word_unit: str
    tokenizer_sha256: str
    rows: dict[str, int]
    tokens: dict[str, int]
    fingerprint: str
    format_version: int = FORMAT_VERSION
    target_length: int = 0
    sources: dict[str, tuple[tuple[str, int], ...]] = field(default_factory=dict)
    categories: dict[str, tuple[tuple[str, int], ...]] = field(default_factory=dict)

    @property
    def has_pairs(self) -> bool:
        """Whether a row is a pair of texts with a label."""
        return self.layout in PAIRS

    @property
    def pair_task(self) -> str:
        """What is learnt from the labels: next_sentence, sentence_order, or nothing where rows have none."""
        return PAIR_TASKS.get(self.layout, "")

    @property
    def special_ids(self) -> SpecialIds:
        """Ids of the specials."""
        return SpecialIds(self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id)

    @property
    def row_tokens(self) -> int:
        """Tokens that a row has room for."""
        return self.length + self.target_length

    @property
    def length_in_words(self) -> str:
        """Tokens of a row, "128", or of a source and its target, "128 + 32"."""
        return f"{self.length} + {self.target_length}" if self.target_length else str(self.length)


def header_from_plain(value: Mapping[str, Any]) -> RecordsHeader:
    """A header from its JSON. Raises TypeError, KeyError or ValueError where that is no header's."""
    in_turn = {
        name: {split: tuple((each, rows) for each, rows in of) for split, of in value.get(name, {}).items()}
        for name in ("sources", "categories")
    }
    return RecordsHeader(**{**value, "reserved_ids": tuple(value["reserved_ids"]), **in_turn})


def source_names(sources: Sequence[tuple[str, int]], rows: np.ndarray) -> list[str]:
    """The name of the source of each of these rows of a split, int [n]; all "" where there are no sources.

    - `sources`: of the split, from `RecordsHeader.sources`.
    """
    if not sources:
        return [""] * len(rows)
    ends = np.cumsum([count for _, count in sources])
    return [sources[place][0] for place in np.searchsorted(ends, rows, side="right")]


def row_fields(header: RecordsHeader) -> Row:
    """The row of padding, whose arrays give the names, shapes, types and padding of a record's fields.

    Tokens are all `pad_id`; no word starts; one segment starts at position 0; the label is 0.
    """
    return _row_fields(header.layout, header.length, header.token_dtype, header.target_length, header.pad_id)


def _row_fields(layout: Layout, length: int, token_dtype: str, target_length: int, pad_id: int) -> Row:
    def tokens(length: int) -> np.ndarray:
        return np.full(length, pad_id, token_dtype)

    def bits(length: int) -> np.ndarray:
        return np.zeros(length // 8, np.uint8)

    first = bits(length)
    first[0] = 1
    fields = {"tokens": tokens(length), "word_starts": bits(length), "segment_starts": first}
    if layout in PAIRS:
        fields["label"] = np.zeros((), np.uint8)
    if layout == "source_target":
        fields |= {"target_tokens": tokens(target_length), "target_word_starts": bits(target_length)}
    return fields


def features(layout: Layout, length: int, token_dtype: str, target_length: int = 0) -> tfds.features.FeaturesDict:
    """The TFDS features of a record. ValueError for a length that is not within ROW_LENGTH, which a recipe's are."""
    for tokens in (length, target_length) if layout == "source_target" else (length,):
        if not ROW_LENGTH.holds(tokens):
            raise ValueError(f"rows of {tokens} tokens: must be {ROW_LENGTH.words}")

    def feature(field: np.ndarray) -> tfds.features.Tensor:
        if field.ndim:
            return tfds.features.Tensor(shape=field.shape, dtype=field.dtype.type, encoding="bytes")
        return tfds.features.Scalar(field.dtype.type)

    fields = _row_fields(layout, length, token_dtype, target_length, pad_id=0)
    return tfds.features.FeaturesDict({name: feature(field) for name, field in fields.items()})


def bitmap(flags: np.ndarray) -> np.ndarray:
    """bool [length] -> uint8 [length / 8], bit i % 8 of byte i // 8."""
    return np.packbits(flags, bitorder="little")


def from_bitmap(packed: np.ndarray) -> np.ndarray:
    """uint8 [..., length / 8] -> bool [..., length]."""
    return np.unpackbits(packed, axis=-1, bitorder="little").astype(bool)


def records_folders(examples: Path) -> list[Path]:
    """Where a run folder's `examples` holds records: itself, and `LENGTH/` for each further length."""
    further = sorted(
        (path for path in examples.glob("*") if path.is_dir() and path.name.isdigit()), key=lambda path: int(path.name)
    )
    return [examples, *further]


def folder_of_length(examples: Path, length: int) -> Path:
    """Where the records of a length stand in a run folder's `examples`; an InputError says which lengths there are."""
    found = {read_header(folder).length: folder for folder in records_folders(examples)}
    if length not in found:
        raise InputError(
            f"{examples}: no records of length {length} (there are: {', '.join(map(str, sorted(found)))}); prepare with "
            f"--data.other-lengths {length}"
        )
    return found[length]


def read_header(folder: Path) -> RecordsHeader:
    """The header of a folder of records; an InputError where they are missing, unfinished or of another format."""
    value = read_json(folder / HEADER)
    if value is None:
        raise InputError(f"{folder}: holds no finished records; run `python -m data_pipeline prepare` first")
    found = value.get("format_version") if isinstance(value, dict) else None
    if found != FORMAT_VERSION:
        raise InputError(f"{folder}: records of format {found}, this code reads {FORMAT_VERSION}; prepare them again")
    try:
        return header_from_plain(value)
    except (TypeError, KeyError, ValueError) as error:
        raise InputError(f"{folder / HEADER}: damaged ({error}); remove {folder} and prepare again") from None


class Records:
    """Random access to the rows of one split, from any number of threads.

    - `staged`: whether the shards must be here now; `check_shards` asks for them later.

    Raises InputError where the folder holds no finished records, a shard is missing or cut, or the split is empty; and,
    when rows are read, naming the shard where they are not what was written.
    """

    def __init__(self, folder: Path, split: str, staged: bool = True) -> None:
        self.folder, self.split = folder, split
        self.header = read_header(folder)
        self.row_fields = row_fields(self.header)
        if not self.header.rows.get(split):
            raise InputError(f"{folder}: the split {split!r} has no records (rows: {self.header.rows})")
        try:
            self._shards = tfds.builder_from_directory(str(folder)).info.splits[split]
            self._paths = [Path(path) for path in self._shards.filepaths]
            lengths = np.array(self._shards.shard_lengths, np.int64)
        except Exception as error:
            raise self._not_opened(error) from None
        if lengths.sum() != self.header.rows[split]:
            raise InputError(
                f"{folder}: {lengths.sum()} {split} records, the header says {self.header.rows[split]}; prepare again"
            )
        self._bytes = RecordBytes(self.row_fields)
        self._lengths, self._ends = lengths, np.cumsum(lengths)
        self._readers: list[Callable[[int, int], list[bytes]] | None] = [None] * len(lengths)
        self._opening = threading.Lock()
        if staged:
            self.check_shards()

    @property
    def stored_bytes(self) -> int:
        """Bytes of the shards on disk, by their metadata."""
        return int(self._shards.num_bytes)

    def check_shards(self) -> None:
        """Raises InputError where a shard is missing or cut: without it that would show when a row of it is read."""
        if not any(path.exists() for path in self._paths):
            raise InputError(
                f"{self.folder}: none of the {self.split} shards is on this machine; copy them here from where the run was "
                "prepared, or run `python -m data_pipeline prepare` again"
            )
        try:
            found, expected = sum(path.stat().st_size for path in self._paths), self.stored_bytes
        except OSError as error:
            raise self._not_opened(error) from None
        if found != expected:
            raise InputError(
                f"{self.folder}: the {self.split} shards hold {found} bytes instead of {expected}; "
                "run `python -m data_pipeline prepare` again"
            )

    def _not_opened(self, error: Exception) -> InputError:
        return InputError(f"{self.folder}: records cannot be opened ({error}); remove the folder and prepare again")

    def __len__(self) -> int:
        return self.header.rows[self.split]

    def read(self, indices: ArrayLike) -> dict[str, np.ndarray]:
        """The rows at these indices, each field stacked: `tokens` [n, length], `word_starts` [n, length / 8], `label` [n]."""
        return self.decode(self.fetch(indices))

    def fetch(self, indices: ArrayLike) -> np.ndarray:
        """uint8 [n, bytes of a record]: the records at these indices as they are stored; the first part of `read`."""
        wanted = np.asarray(indices, np.int64)
        shards = np.searchsorted(self._ends, wanted, side="right")
        rows = wanted - (self._ends - self._lengths)[shards]
        records: list[bytes] = []
        for shard, row in zip(shards.tolist(), rows.tolist(), strict=True):
            read = self._readers[shard] or self._open(shard)
            try:
                # A range takes the chunks that it lies in; a list of rows takes ArrayRecord a look at every chunk of the shard.
                records += read(row, row + 1)
            except RuntimeError as error:  # ArrayRecord hashes each chunk: no flipped bit gets through
                raise self._damage(shard, row, error) from None
        sizes = np.fromiter(map(len, records), np.int64, len(records))
        for index in np.flatnonzero(sizes != self._bytes.size):
            raise self._damaged(shards[index], f"record {rows[index]} has {sizes[index]} bytes, not {self._bytes.size}")
        stored = np.frombuffer(b"".join(records), np.uint8).reshape(-1, self._bytes.size)
        for index in self._bytes.foreign(stored):
            raise self._damaged(shards[index], f"record {rows[index]} does not hold the fields of its header")
        return stored

    def decode(self, stored: np.ndarray) -> dict[str, np.ndarray]:
        """The fields [n, ...] of what `fetch` gave: the second part of `read`."""
        return self._bytes.rows(stored)

    def open_all(self) -> None:
        """Opens each shard now, which otherwise happens when a row of it is first read."""
        self.fetch(self._ends[self._lengths > 0] - 1)

    def _open(self, shard: int) -> Callable[[int, int], list[bytes]]:
        path = self._paths[shard]
        with self._opening:
            if reader := self._readers[shard]:
                return reader
            try:
                opened = ArrayRecordReader(str(path), options=RANDOM_ACCESS, file_reader_buffer_size=READ_BYTES)
            except RuntimeError as error:
                raise machine_error(error, path) or self._damaged(shard, str(error).splitlines()[0]) from None
            if opened.num_records() != self._lengths[shard]:
                raise self._damaged(shard, f"it holds {opened.num_records()} records instead of {self._lengths[shard]}")
            self._readers[shard] = opened.read
        return opened.read

    def _damage(self, shard: int, row: int, error: RuntimeError) -> InputError | WorkError:
        """What to say of a record that could not be read."""
        read = self._readers[shard]
        assert read
        try:
            read(row, row + 1)
        except RuntimeError as again:
            return machine_error(again, self._paths[shard]) or self._damaged(shard, str(again).splitlines()[0])
        return WorkError(f"{self._paths[shard]}: cannot be read at times ({error}); see to the disk and run again")

    def _damaged(self, shard: int, reason: str) -> InputError:
        path = self._paths[shard]
        run = next((parent.parent for parent in path.parents if parent.name == "examples"), path.parent.parent)
        return InputError(
            f"{path}: damaged ({reason}); restore it from a copy, or remove {path.parent} and {run / 'corpus' / 'records'} "
            "and prepare again"
        )
