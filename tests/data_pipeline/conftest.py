"""Tiny corpora of our own sentences, and a recipe small enough to run in a second."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest
from remote_servers import Bucket, CloudStorage, serving

from data_pipeline.contract.bucket import client
from data_pipeline.recipe import DataRecipe, LengthFilter, Packed, Source, Vocabulary

WHO = (
    "할머니가",
    "동생이",
    "선생님께서",
    "우리 팀은",
    "이웃집 아저씨가",
    "막내딸이",
    "동아리 회장이",
    "주방장이",
    "운전기사님이",
    "담임 교수님은",
)
WHERE = (
    "시장에서",
    "도서관 앞에서",
    "학교 운동장에서",
    "바닷가 마을에서",
    "회사 옥상에서",
    "골목길에서",
    "버스 정류장에서",
    "부엌에서",
)
WHAT = (
    "사과를",
    "편지를",
    "자전거를",
    "된장찌개를",
    "오래된 사진을",
    "고장 난 우산을",
    "새로 산 책을",
    "노란 풍선을",
    "따뜻한 빵을",
)
DID = (
    "샀습니다",
    "찾았어요",
    "고쳤다고 합니다",
    "잃어버렸습니다",
    "나누어 주었다",
    "보여 주셨어요",
    "한참 바라보았다",
    "들고 왔습니다",
)


def make_document(seed: int, sentences: int | None = None) -> str:
    """A few Korean sentences; another seed gives another text."""
    draw = random.Random(f"document {seed}")
    return " ".join(
        f"{draw.choice(WHO)} {draw.choice(WHERE)} {draw.choice(WHAT)} {draw.randrange(2, 90)}번 {draw.choice(DID)}."
        for _ in range(sentences or draw.randint(2, 7))
    )


def write_json_lines(path: Path, texts: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts), encoding="utf-8")
    return path


def make_recipe(*globs: Path | str) -> DataRecipe:
    """Packed rows of 64 tokens and a vocabulary of 400 rows."""
    return DataRecipe(
        sources=tuple(Source("jsonl", str(glob), name=f"source-{number}") for number, glob in enumerate(globs)),
        evaluation_fraction=0.1,
        length=LengthFilter(min_chars=5),
        vocabulary=Vocabulary(size=400, unused=3, character_coverage=1.0, min_count=1),
        examples=Packed(length=64),
    )


@pytest.fixture(scope="session")
def document() -> Callable[..., str]:
    return make_document


@pytest.fixture(scope="session")
def tiny_recipe() -> Callable[..., DataRecipe]:
    return make_recipe


@pytest.fixture(scope="session")
def json_lines() -> Callable[[Path, list[str]], Path]:
    return write_json_lines


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three JSON Lines files, 120 documents in all; read only."""
    folder = tmp_path_factory.mktemp("corpus")
    for number in range(3):
        write_json_lines(folder / f"part-{number}.jsonl", [make_document(100 * number + row) for row in range(40)])
    return folder


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """An empty bucket that gs://bucket/ leads to."""
    pytest.importorskip("gcsfs", reason="the extra [gcs] is not installed")
    gs = fsspec.get_filesystem_class("gs")
    content = Bucket()
    with serving(CloudStorage, bucket=content) as address:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
        for forget in (gs.clear_instance_cache, client.cache_clear):
            forget()
        yield content
    for forget in (gs.clear_instance_cache, client.cache_clear):
        forget()
