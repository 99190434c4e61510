"""Every kind of vocabulary, trained on real text, is loaded by AutoTokenizer and cuts 10,000 real sentences as training does."""

import gzip
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from data_pipeline.contract.storage import write_json
from data_pipeline.contract.tokenizer import ROLES, Tokenizer, hugging_face_files
from data_pipeline.contract.unigram import unigram_files
from data_pipeline.corpus.stages.vocabulary import copy_vocabulary, vocabulary_parameters
from data_pipeline.corpus.steps.clean_characters import without_foreign_characters
from data_pipeline.corpus.vocabulary.morphemes import count_morphemes
from data_pipeline.corpus.vocabulary.trainer import train_vocabulary
from data_pipeline.corpus.vocabulary.unigram import count_eojeols, train_unigram
from data_pipeline.corpus.vocabulary.word_piece import corpus_encoder
from data_pipeline.recipe import KLUE_ROBERTA_VOCABULARY, KOBERT_VOCABULARY, LMKOR_VOCABULARY, Vocabulary
from data_pipeline.recipe_checks import check_vocabulary, given_files
from data_pipeline.tasks.shard_task import ShardTask

DATA = Path(__file__).resolve().parents[4] / "../shared/data"
CORPUS, PUBLISHED = DATA / "corpus", DATA / "vocabularies"
TRANSFORMERS_4 = Path(sys.prefix) / "transformers-4"
SENTENCES = 10_000
KINDS = {
    "klue": Vocabulary(size=8_000, scheme="klue"),
    "continuation": Vocabulary(size=8_000, scheme="continuation"),
    "plain": Vocabulary(size=8_000, scheme="plain"),
    "LMkor": replace(LMKOR_VOCABULARY, size=10_000),  # the text is too small for 42,000 rows
    "KoBERT": replace(KOBERT_VOCABULARY, min_count=1),
    "KLUE-RoBERTa": replace(KLUE_ROBERTA_VOCABULARY, size=8_000),
}
GIVEN = {
    "klue-bert-base": ("klue-bert-base.vocab.txt", Vocabulary()),
    "klue-roberta": ("klue-bert-base.vocab.txt", KLUE_ROBERTA_VOCABULARY),
    "kcbert-base": ("kcbert-base.vocab.txt", Vocabulary()),
    "koelectra": ("koelectra.vocab.txt", Vocabulary()),
    "kobert": ("kobert_news_wiki_ko_cased.spiece", KOBERT_VOCABULARY),
    "kobert of the raw model": ("kobert_tokenizer_78b3253a26.model", KOBERT_VOCABULARY),
}
"""Published files, and the recipe that they are given to."""
ALONE = {"klue-bert-base", "kcbert-base", "koelectra"}
"""Those that transformers also reads from nothing but their vocab.txt, with the settings of klue/bert-base."""
LOAD = """
import json, sys
import transformers

texts = json.load(open(sys.argv[1], encoding="utf-8"))
found = {"version": transformers.__version__}
for folder in sys.argv[3:]:
    kind = transformers.BertTokenizer if folder.endswith("alone") else transformers.AutoTokenizer
    tokenizer = kind.from_pretrained(folder)
    ids = [getattr(tokenizer, f"{role}_token_id") for role in ("pad", "unk", "cls", "sep", "mask")]
    pair = tokenizer(texts[0], texts[1])
    padded = tokenizer([texts[0], ""], padding=True)
    found[folder] = {
        "special": ids, "rows": tokenizer(texts)["input_ids"], "types": pair["token_type_ids"], "padded": padded["input_ids"][1],
        "ends": [tokenizer.bos_token_id, tokenizer.eos_token_id],
    }
json.dump(found, open(sys.argv[2], "w"))
"""

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="the real corpora are not at ../shared/data/corpus")
pytest.importorskip("MeCab")
pytest.importorskip("sentencepiece")


def read(pattern: str, field: str = "") -> Iterator[str]:
    for path in sorted(CORPUS.glob(pattern)):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)[field] if field else line.rstrip("\n")


@pytest.fixture(scope="module")
def sentences() -> list[str]:
    """As they were written, emoji, Han and loose jamo included."""
    petitions = (part for text in read("petitions_*.jsonl.gz", "content") for part in re.split(r"(?<=[.?!]) ", text))
    third = SENTENCES // 3
    return [
        *islice(petitions, third),
        *islice(read("reviews_*.jsonl.gz", "text"), third),
        *islice(read("news_comments.txt.gz"), SENTENCES - 2 * third),
    ]


@pytest.fixture(scope="module")
def folders(sentences: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The tokenizer files of each kind, beside the config.json of an export."""
    made = {}
    for name, recipe in KINDS.items():
        texts = [without_foreign_characters(text) for text in sentences] if name == "LMkor" else sentences
        if recipe.model == "unigram":
            counts = sum(count_eojeols(texts, recipe.lowercase), Counter[str]())
            files = unigram_files(train_unigram(sorted(counts.items()), recipe).rows, recipe.lowercase)
        else:
            counts = sum(count_morphemes(texts, recipe.scheme, recipe.lowercase), Counter[str]())
            files = hugging_face_files(
                train_vocabulary(sorted(counts.items()), recipe), recipe.lowercase, recipe.begin_and_end
            )
        made[name] = tmp_path_factory.mktemp(name)
        for file, content in files.items():
            (made[name] / file).write_text(content, encoding="utf-8")
        write_json(made[name] / "config.json", {"model_type": "bert", "vocab_size": recipe.size})
    for name, (file, recipe) in GIVEN.items():
        made[name], source = tmp_path_factory.mktemp(name), PUBLISHED / file
        if file.endswith("vocab.txt"):
            source = Path(shutil.copyfile(source, tmp_path_factory.mktemp("given") / "vocab.txt"))
        parameters = {"vocabulary": vocabulary_parameters(replace(recipe, given=str(source)))}
        check_vocabulary(replace(recipe, given=str(source)))
        copy_vocabulary(ShardTask("", "", "", "", {"given": given_files(str(source))}, parameters), made[name])
        write_json(made[name] / "config.json", {"model_type": "bert"})
    return made


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders with nothing of ours: a published vocab.txt and what klue/bert-base says beside it."""
    made = {}
    for name in ALONE:
        made[name] = tmp_path_factory.mktemp(name) / "alone"
        made[name].mkdir()
        shutil.copyfile(PUBLISHED / GIVEN[name][0], made[name] / "vocab.txt")
        write_json(made[name] / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer", "do_lower_case": False})
        write_json(made[name] / "config.json", {"model_type": "bert"})
    return made


@pytest.mark.parametrize("generation", ["4", "5"])
def test_auto_tokenizer_cuts_real_sentences_as_training_does(
    generation: str, sentences: list[str], folders: dict[str, Path], alone: dict[str, Path], tmp_path: Path
) -> None:
    pytest.importorskip("transformers")
    if generation == "4" and not TRANSFORMERS_4.exists():
        pytest.skip("transformers 4 is not installed beside the current one; run_tests.sh does that")
    environment = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "PATH": "", "HOME": str(tmp_path)}
    if generation == "4":
        environment["PYTHONPATH"] = str(TRANSFORMERS_4)
    texts, answer = tmp_path / "texts.json", tmp_path / "answer.json"
    write_json(texts, sentences)
    line = [sys.executable, "-c", LOAD, texts, answer, *folders.values(), *alone.values()]
    done = subprocess.run([*map(str, line)], capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(answer.read_text())
    assert found["version"].split(".")[0] == generation
    for name, folder in folders.items():
        tokenizer, theirs = Tokenizer(folder), found[str(folder)]
        special = tokenizer.special
        assert theirs["special"] == [getattr(special, role) for role in ROLES], name
        assert name in GIVEN or tokenizer.size == KINDS[name].size
        recipe = GIVEN[name][1] if name in GIVEN else KINDS[name]
        assert theirs["ends"] == ([special.cls, special.sep] if recipe.begin_and_end else [None, None]), name
        ours = corpus_encoder(tokenizer)(sentences, "token", None)
        different = [
            text
            for text, (ids, _), row in zip(sentences, ours, theirs["rows"], strict=True)
            if [special.cls, *ids.tolist(), special.sep] != row
        ]
        assert different == [], name
        assert name not in ALONE or found[str(alone[name])]["rows"] == theirs["rows"], name
        first, second = (len(ids) for ids, _ in ours[:2])
        assert theirs["types"] == [0] * (first + 2) + [1] * (second + 1)
        assert theirs["padded"] == [special.cls, special.sep, *[special.pad] * first]


def test_lmkors_alphabet_is_clean_and_lower_case(folders: dict[str, Path], sentences: list[str]) -> None:
    rows = Tokenizer(folders["LMkor"]).pieces[5 + LMKOR_VOCABULARY.unused :]
    characters = set("".join(rows))
    assert re.fullmatch(r"[\x21-\x7e가-힣ㄱ-ㅣ％·∼]+", "".join(sorted(characters)))
    assert not characters & set("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert re.search("[一-龥]", "".join(sentences))


def test_koberts_ids_are_the_published_ones(folders: dict[str, Path]) -> None:
    tokenizer = Tokenizer(folders["KoBERT"])
    assert tokenizer.pieces[:5] == ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]"]
    assert tokenizer.size == 8_002


def test_specials_stand_where_the_recipe_wants_them_and_the_other_rows_stay(folders: dict[str, Path]) -> None:
    for name in ("KLUE-RoBERTa", "klue-roberta"):
        assert Tokenizer(folders[name]).pieces[:5] == ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"]
    assert Tokenizer(folders["klue-roberta"]).pieces[5:] == Tokenizer(folders["klue-bert-base"]).pieces[5:]
