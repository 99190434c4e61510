"""Records and recipes small enough that a training test takes seconds."""

import dataclasses
import struct
from pathlib import Path
from typing import Any

import numpy as np
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import masked_crc32c

from data_pipeline.contract.records import PAIRS, Layout, Records, RecordsHeader, bitmap
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.tokenizer import SPECIAL_TOKENS, hugging_face_files, tokenizer_sha256
from data_pipeline.contract.write_records import publish, write_shard
from pretrain.devices.sharding import batch_sharding, make_mesh
from pretrain.input.batches import TrainingBatches
from pretrain.models.bert.config import BertConfig
from pretrain.monitoring.metrics import OF_THIS_MACHINE, read_metrics
from pretrain.recipe import Checkpoints, Evaluation, Mesh, Optimizer, TrainingRecipe

LENGTH, TARGET_LENGTH, VOCABULARY = 32, 24, 200
SPECIALS = {"pad_id": 0, "unk_id": 1, "cls_id": 2, "sep_id": 3, "mask_id": 4}
PIECES = [*SPECIAL_TOKENS, *(chr(ord("가") + index) for index in range(VOCABULARY - len(SPECIAL_TOKENS)))]


def packed_row(random: np.random.Generator, length: int = LENGTH) -> dict[str, np.ndarray]:
    """Two segments `[CLS] ... [SEP]` of random tokens, then padding."""
    tokens, words, segments = np.zeros(length, np.uint16), np.zeros(length, bool), np.zeros(length, bool)
    position = 0
    for size in random.integers(8, length // 2, 2):
        # Small ids are common, so that there is something to learn.
        tokens[position : position + size] = 5 + (VOCABULARY - 5) * random.random(size) ** 3
        tokens[position], tokens[position + size - 1] = SPECIALS["cls_id"], SPECIALS["sep_id"]
        words[position : position + size] = random.random(size) < 0.7
        segments[position] = True
        position += size
    if position < length:
        segments[position] = True
    return {"tokens": tokens, "word_starts": bitmap(words), "segment_starts": bitmap(segments)}


def pair_row(random: np.random.Generator, length: int = LENGTH) -> dict[str, np.ndarray]:
    """`[CLS] A [SEP] B [SEP]`, then padding."""
    row = packed_row(random, length)
    ends = np.flatnonzero(row["tokens"] == SPECIALS["sep_id"])
    starts = np.zeros(length, bool)
    starts[[0, ends[0] + 1]] = True
    row["tokens"][ends[0] + 1] = 5
    return {**row, "segment_starts": bitmap(starts), "label": np.array(random.integers(2), np.uint8)}


def source_target_row(random: np.random.Generator, length: int = LENGTH) -> dict[str, np.ndarray]:
    """A packed row, and as its target another one of TARGET_LENGTH tokens."""
    target = packed_row(random, TARGET_LENGTH)
    return {
        **packed_row(random, length),
        "target_tokens": target["tokens"],
        "target_word_starts": target["word_starts"],
    }


def write_records(
    folder: Path,
    layout: Layout = "packed",
    train: int = 50,
    evaluation: int = 11,
    seed: int = 0,
    length: int = LENGTH,
    vocabulary: Path | None = None,
    sources: dict[str, tuple[tuple[str, int], ...]] | None = None,
    categories: dict[str, tuple[tuple[str, int], ...]] | None = None,
) -> RecordsHeader:
    """Publishes random records and returns their header; the vocabulary stands beside them, as in a run folder, or in `vocabulary`.

    - `sources`, `categories`: of the header; none, as in records of older code.
    """
    vocabulary = vocabulary or folder.parent / "vocabulary"
    vocabulary.mkdir(parents=True, exist_ok=True)
    for name, content in hugging_face_files(PIECES, lowercase=False).items():
        (vocabulary / name).write_text(content, encoding="utf-8")
    random = np.random.default_rng(seed)
    make = {**dict.fromkeys(PAIRS, pair_row), "source_target": source_target_row}.get(layout, packed_row)
    target_length = TARGET_LENGTH if layout == "source_target" else 0
    written = {}
    for split, count in {"train": train, "evaluation": evaluation}.items():
        if count:
            path = folder.parent / f"{folder.name}-{split}.shard"
            path.unlink(missing_ok=True)
            rows = [make(random, length) for _ in range(count)]
            shard = write_shard(path, layout, length, "uint16", SPECIALS["pad_id"], rows, target_length)
            written[split] = [(path, shard)]
    header = RecordsHeader(
        layout=layout,
        length=length,
        vocabulary_size=VOCABULARY,
        token_dtype="uint16",
        **SPECIALS,
        reserved_ids=tuple(range(5)),
        word_unit="bert_word",
        tokenizer_sha256=tokenizer_sha256(vocabulary),
        rows={split: shards[0][1].rows for split, shards in written.items()},
        tokens={split: shards[0][1].tokens for split, shards in written.items()},
        fingerprint=written["train"][0][1].sha256,
        target_length=target_length,
        sources=sources or {},
        categories=categories or {},
    )
    publish(folder, written, header)
    return header


def record_read_at(run: RunFolder, step: int) -> int:
    """The eighth record of what step `step`, counted from 1, reads where nothing is left out; no other step of its epoch does."""
    records, rows = Records(run.examples, "train"), batch_sharding(make_mesh(Mesh()))
    batches = TrainingBatches(records, seed=0, global_batch_size=16, accumulation=1, sharding=rows)
    return int(batches.record_indices(step - 1, np.array([7]))[0])


def untimed(run: RunFolder) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl without what depends on the machine's speed."""
    lines = read_metrics(run.metrics / "metrics.jsonl")
    return [{name: value for name, value in line.items() if name not in OF_THIS_MACHINE} for line in lines]


def read_events(folder: Path) -> list[Any]:
    """The events of a folder's only TensorBoard file, each checked against its CRCs."""
    (path,) = folder.glob("events.out.tfevents.*")
    content, events = path.read_bytes(), []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        event, content_crc = content[12 : 12 + length], content[12 + length : 16 + length]
        assert struct.unpack("<I", content[8:12])[0] == masked_crc32c(content[:8])
        assert struct.unpack("<I", content_crc)[0] == masked_crc32c(event)
        events.append(Event.FromString(event))
        content = content[16 + length :]
    return events


TINY = TrainingRecipe(
    model=BertConfig(
        num_hidden_layers=2,
        hidden_size=32,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=LENGTH,
        hidden_dropout_prob=0.0,
    ),
    optimizer=Optimizer(learning_rate=1e-2, warmup_steps=2),
    checkpoints=Checkpoints(every_steps=2, every_minutes=0),
    evaluation=Evaluation(every_steps=2, rows=11),
    global_batch_size=16,
    max_steps=6,
    compute_dtype="float32",
    log_every_steps=1,
)


def changed(recipe: Any, **fields: Any) -> Any:
    """A recipe with some fields replaced; `optimizer={"learning_rate": 1}` replaces fields below."""
    return dataclasses.replace(
        recipe,
        **{
            name: changed(getattr(recipe, name), **value) if isinstance(value, dict) else value
            for name, value in fields.items()
        },
    )
