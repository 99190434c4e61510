"""The tokenizer of an exported folder."""

import shutil
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken, normalizers

from data_pipeline.contract.storage import read_json, write_json
from data_pipeline.contract.tokenizer import TOKENIZER_FILES, Tokenizer
from pretrain.hugging_face.folder import CONFIG, set_template, tokenizer_configuration
from pretrain.models.config import ModelConfig
from pretrain.models.protocols import Family
from pretrain.subject import Subject

GENERATION_CONFIG = "generation_config.json"
"""How transformers' `generate` begins, ends and pads a text."""
ROLES = ("bos_token", "eos_token", "pad_token")
"""What of that a tokenizer has a token for."""


def write_tokenizer(vocabulary: Path, folder: Path, family: Family, config: ModelConfig, max_length: int) -> None:
    """Writes a run's tokenizer to a folder as the family's models take text.

    - `max_length`: tokens that the model reads; without it transformers takes 1e30 and never truncates.
    """
    for name in TOKENIZER_FILES:
        if (vocabulary / name).exists():
            shutil.copyfile(vocabulary / name, folder / name)
    path = folder / "tokenizer_config.json"
    changes = tokenizer_configuration(read_json(path) or {}, config, max_length)
    if family.template:
        changes |= _write_template(Tokenizer(vocabulary), folder, family.template)
    if family.sentinels:
        changes |= _write_sentinels(Tokenizer(vocabulary), folder)
    if family.generation_config:
        changes |= _write_generation(Tokenizer(vocabulary), folder, family)
    write_json(path, changes)
    _compose(folder / "tokenizer.json")


def copy_tokenizer(subject: Subject, folder: Path, max_length: int) -> None:
    """Writes the tokenizer of a subject to a folder: a run's as its models take text, a Hugging Face folder's as it is."""
    source = subject.tokenizer.folder
    if not (source / CONFIG).is_file():
        write_tokenizer(source, folder, subject.family, subject.config, max_length)
        return
    for name in TOKENIZER_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)


def _write_template(tokenizer: Tokenizer, folder: Path, template: tuple[str, ...]) -> dict[str, Any]:
    """Writes tokenizer.json with another template; returns what tokenizer_config.json must say for it to be used."""
    set_template(tokenizer, template)
    tokenizer.backend.save(str(folder / "tokenizer.json"))
    # transformers 5 gives a BertTokenizer BERT's template, whatever tokenizer.json says.
    return {"tokenizer_class": "PreTrainedTokenizerFast"}


def _write_sentinels(tokenizer: Tokenizer, folder: Path) -> dict[str, Any]:
    """Writes tokenizer.json with every [unusedN] found in texts; returns what tokenizer_config.json must say for it to be used."""
    # No specials: what a model writes is decoded without those.
    found = [piece for piece in tokenizer.pieces if piece.startswith("[unused")]
    tokenizer.backend.add_tokens([AddedToken(piece, normalized=False) for piece in found])
    tokenizer.backend.encode_special_tokens = False
    tokenizer.backend.save(str(folder / "tokenizer.json"))
    return {"tokenizer_class": "PreTrainedTokenizerFast"}


def _compose(path: Path) -> None:
    """Has a WordPiece tokenizer join letters to syllables (NFC), which the vocabulary has alone; a Unigram has its own normaliser.

    transformers 4 and the tokenizers library do as the file says. A `BertTokenizer` of transformers 5 makes its own normaliser, so it
    takes a text as it comes; another class would take its token types away.
    """
    if not path.exists():
        return
    backend = tokenizers.Tokenizer.from_file(str(path))
    if isinstance(backend.normalizer, normalizers.BertNormalizer):
        backend.normalizer = normalizers.Sequence([normalizers.NFC(), backend.normalizer])
        backend.save(str(path))


def _write_generation(tokenizer: Tokenizer, folder: Path, family: Family) -> dict[str, Any]:
    """Writes generation_config.json; returns the tokens that it names, by their roles in tokenizer_config.json."""
    assert family.generation_config is not None
    ids = family.generation_config(tokenizer.special)
    write_json(folder / GENERATION_CONFIG, ids)
    tokens = {role: tokenizer.pieces[ids[f"{role}_id"]] for role in ROLES if f"{role}_id" in ids}
    if (folder / "special_tokens_map.json").exists():
        _change(folder / "special_tokens_map.json", tokens)
    return tokens


def _change(path: Path, changes: dict[str, Any]) -> None:
    write_json(path, {**(read_json(path) or {}), **changes})
