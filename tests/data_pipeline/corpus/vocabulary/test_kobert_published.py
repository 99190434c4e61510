"""KoBERT's published SentencePiece models, given as a vocabulary: their ids, their file, and the cuts of SentencePiece itself."""

import gzip
import json
import re
import shutil
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.sentencepiece_file import read_sentencepiece
from data_pipeline.contract.tokenizer import Tokenizer
from data_pipeline.contract.unigram import SENTENCEPIECE_FILE
from data_pipeline.corpus.stages.vocabulary import copy_vocabulary
from data_pipeline.recipe import KOBERT_VOCABULARY, Vocabulary
from data_pipeline.recipe_checks import check_vocabulary, given_files
from data_pipeline.tasks.shard_task import ShardTask

DATA = Path(__file__).resolve().parents[4] / "../shared/data"
ARRANGED, RAW = "kobert_news_wiki_ko_cased.spiece", "kobert_tokenizer_78b3253a26.model"
GOLD = [2, 4958, 6855, 2046, 7088, 1050, 7843, 54, 3]
"""Of KoBERT-Transformers' own tests."""
SENTENCES = 10_000
ODD = (
    unicodedata.normalize("NFD", "한국어 모델을 공유합니다. café"),
    "café é ế Ａ１２３，４５６ ½ ㎏ ① ㈜ ﬁ …",
    "1,234,567원 3.5% 010-1234-5678",
    "ㅋㅋㅋ ㅋㅏㄱ ㄱㅏ ㅠㅠ ㅄ 너ㄶ 그ㄳ ㅇㅏㄶㅗ ㄳ",
    "\u3000 가\u200b나 \t 다\u00a0\u00a0라\r\n마\ufeff ",
    "한\u1100\u1161\u11a8 가\u11a8 ｶﾞ か\u3099 漢字 豈 😀 ▁ a▁b",
    "", " ", ".", "\n",
)  # fmt: skip

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the published models are not at ../shared/data")


def given(place: Path, folder: Path, recipe: Vocabulary = KOBERT_VOCABULARY) -> Tokenizer:
    """What prepare makes of a given vocabulary."""
    check_vocabulary(replace(recipe, given=str(place)))
    folder.mkdir()
    parameters = {"vocabulary": {"model": "unigram", "scheme": "plain", "specials": list(recipe.specials)}}
    copy_vocabulary(ShardTask("", "", "", "", {"given": given_files(str(place))}, parameters), folder)
    return Tokenizer(folder)


def folder_with(tmp_path: Path, files: dict[str, str]) -> Path:
    """A folder as models are published: our name of a file -> that of the published one."""
    place = tmp_path / "published"
    place.mkdir()
    for name, file in files.items():
        shutil.copyfile(DATA / "vocabularies" / file, place / name)
    return place


@pytest.mark.parametrize("files", [{ARRANGED: ARRANGED}, {RAW: RAW}, {SENTENCEPIECE_FILE: ARRANGED}])
def test_published_models_have_koberts_ids_and_keep_their_file(files: dict[str, str], tmp_path: Path) -> None:
    place = folder_with(tmp_path, files)
    for number, source in enumerate((place, place / next(iter(files)))):
        tokenizer = given(source, tmp_path / str(number))
        special = tokenizer.special
        assert (special.unk, special.pad, special.cls, special.sep, special.mask) == (0, 1, 2, 3, 4)
        assert tokenizer.size == 8_002
        assert tokenizer.backend.encode("한국어 모델을 공유합니다.").ids == GOLD
        assert Tokenizer(source).backend.encode("한국어 모델을 공유합니다.").ids == GOLD
        files_left = {path.name for path in (tmp_path / str(number)).iterdir()}
        assert files_left == {SENTENCEPIECE_FILE, "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json"}
        written = (tmp_path / str(number) / SENTENCEPIECE_FILE).read_bytes()
        assert written == (DATA / "vocabularies" / ARRANGED).read_bytes()


def test_a_vocab_txt_beside_the_raw_model_gives_the_order(tmp_path: Path) -> None:
    place = folder_with(tmp_path, {RAW: RAW})
    texts = [piece.text for piece in read_sentencepiece(DATA / "vocabularies" / ARRANGED).pieces]
    rows = [*texts[:5], *reversed(texts[5:])]
    (place / "vocab.txt").write_text("\n".join(rows) + "\n", encoding="utf-8")
    assert Tokenizer(place).pieces == rows
    assert given(place, tmp_path / "given").pieces == rows
    (place / "vocab.txt").write_text("\n".join([*rows, "▁없는조각"]) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"vocab\.txt: its pieces are not those of .*'▁없는조각'.*remove vocab\.txt"):
        Tokenizer(place)
    (place / RAW).unlink()
    with pytest.raises(InputError, match=r"holds no SentencePiece model; put spiece\.model there"):
        Tokenizer(place)


def test_the_folders_own_names_do_not_hide_the_models_unknown_token(tmp_path: Path) -> None:
    place = folder_with(tmp_path, {SENTENCEPIECE_FILE: ARRANGED})
    (place / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "XLNetTokenizer", "unk_token": "<unk>"})
    )
    assert Tokenizer(place).special.unk == 0


def test_another_order_of_specials_moves_them_alone(tmp_path: Path) -> None:
    recipe = replace(KOBERT_VOCABULARY, specials=("pad", "unk", "cls", "sep", "mask"))
    tokenizer = given(DATA / "vocabularies" / ARRANGED, tmp_path / "given", recipe)
    assert tokenizer.pieces[:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert tokenizer.backend.encode("한국어 모델을 공유합니다.").ids == GOLD
    sentencepiece = pytest.importorskip("sentencepiece")
    model = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "given" / SENTENCEPIECE_FILE))
    assert (model.unk_id(), model.encode("한국어 모델을 공유합니다.")) == (1, GOLD[1:-1])


def read(pattern: str, field: str = "") -> Iterator[str]:
    for path in sorted((DATA / "corpus").glob(pattern)):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)[field] if field else line.rstrip("\n")


def real_sentences() -> list[str]:
    petitions = (part for text in read("petitions_*.jsonl.gz", "content") for part in re.split(r"(?<=[.?!]) ", text))
    texts = (petitions, read("reviews_*.jsonl.gz", "text"), read("news_comments.txt.gz"))
    return [text for each in texts for text in islice(each, SENTENCES // 3 + 1)]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_cuts_are_those_of_sentencepiece_up_to_equal_scores(form: str) -> None:
    sentencepiece = pytest.importorskip("sentencepiece")
    path = DATA / "vocabularies" / ARRANGED
    theirs, ours = sentencepiece.SentencePieceProcessor(model_file=str(path)), Tokenizer(path)
    sentences = real_sentences()
    texts = [unicodedata.normalize(form, text) for text in sentences] + list(ODD)
    assert len(texts) > SENTENCES
    rows = [ids.tolist() for ids, _ in ours.encode(texts, "token")]
    different = [(mine, other) for mine, other in zip(rows, theirs.encode(texts), strict=True) if mine != other]
    # Four dots are "..." and "." or "." and "...": SentencePiece decides by how float32 rounds the sums up to there.
    assert len(different) <= 0.003 * SENTENCES
    for mine, other in different:
        assert "".join(map(theirs.id_to_piece, mine)) == "".join(map(theirs.id_to_piece, other))
        assert sum(map(theirs.get_score, mine)) == pytest.approx(sum(map(theirs.get_score, other)), abs=1e-5)


def test_special_tokens_in_a_text_are_text_though_the_model_would_find_them() -> None:
    [(ids, _)] = Tokenizer(DATA / "vocabularies" / ARRANGED).encode(["[MASK] [CLS][SEP] [PAD][UNK]"], "token")
    assert not set(ids.tolist()) & {1, 2, 3, 4}
