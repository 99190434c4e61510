"""A Hugging Face folder as it lies on disk: config.json, model.safetensors and tokenizer files, without transformers or torch."""

import json
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import UnionType
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

import jax
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save
from tokenizers import processors

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_fields import limits
from data_pipeline.contract.storage import read_json, write_json
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.hugging_face.weights import (
    refuse_unknown_encoder,
    surplus_tensors,
    tensor_names,
    with_copies,
    with_zero_padding,
)
from pretrain.models.config import PADDING, ModelConfig
from pretrain.models.core.layers import Parameters
from pretrain.models.parameter_rules import ParameterRule
from pretrain.models.protocols import Compute, Family, Model
from pretrain.models.task_heads import TaskHead, task_from_json

CONFIG, WEIGHTS = "config.json", "model.safetensors"
SHARDS = f"{WEIGHTS}.index.json"
"""Where weights are in several files: `weight_map`, the file of each tensor."""
CONVERT = (
    "import glob, torch; from safetensors.torch import save_file; "
    "save_file({{name: tensor.clone().contiguous() for file in glob.glob('{folder}/pytorch_model*.bin') "
    "for name, tensor in torch.load(file, map_location='cpu', weights_only=True).items()}}, "
    "'{folder}/model.safetensors', {{'format': 'pt'}})"
)
"""What python runs to make a file of safetensors out of torch's own: the same tensors, those of heads among them. With
transformers' classes it would need to be that of the folder, or there would be heads that were drawn."""


class Stored(NamedTuple):
    """What a folder holds of a model.

    - `config`: with the size of the vocabulary; `heads`: those whose tensors are all there.
    - `tensors`: by the names of today's transformers, whatever the folder's age.
    - `unknown_heads`: names of tensors that are there, and of heads which the family does not have here.
    - `task`: the head of a fine-tuned model; `heads` is then its kind alone.
    """

    config: ModelConfig
    heads: frozenset[str]
    tensors: dict[str, np.ndarray]
    unknown_heads: tuple[str, ...]
    task: TaskHead | None


def how_to_fetch(place: Path) -> str:
    """What to add to an error about a folder that is not there, where its name may be that of a model on the hub."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", str(place)) or place.parent.exists():
        return ""
    return f"; a model of the hub is fetched first: hf download {place} --local-dir {str(place).replace('/', '-')}"


def read_configuration(folder: Path, called: str) -> dict[str, Any]:
    """The content of config.json.

    - `called`: what an error calls the folder, as "--training.start-from PLACE".

    Raises InputError where there is none.
    """
    if not folder.is_dir():
        raise InputError(f"{called}: no such folder; give a run folder or a Hugging Face folder{how_to_fetch(folder)}")
    configuration: dict[str, Any] | None = read_json(folder / CONFIG)
    if configuration is None:
        raise InputError(
            f"{called}: holds neither checkpoints/ nor {CONFIG}; give a run folder or a Hugging Face folder"
        )
    if not isinstance(configuration, dict):
        raise InputError(f"{folder / CONFIG}: not a JSON object; fetch the folder again")
    return configuration


def read_config(folder: Path, family: Family, configuration: Mapping[str, Any], called: str) -> ModelConfig:
    """The config of a folder as that of a family; arguments as for `read_model`.

    Raises InputError where config.json is damaged, or the family does not compute such a model.
    """
    try:
        config = family.config_from_json(configuration)
        _refuse_bad_values(config)
        if misfit := config.misfit(str):
            raise InputError(f"config.json: {misfit}")
        if config.vocab_size is not None:
            family.make(config, config.vocab_size, family.heads, Compute())
    except InputError as error:
        raise InputError(f"{called}: {error}") from None
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(f"{folder / CONFIG}: not the config of a {family.title} ({error}); export again") from None
    if config.vocab_size is None:
        raise InputError(f"{folder / CONFIG}: says no vocab_size; export again")
    return config


def _refuse_bad_values(config: ModelConfig) -> None:
    """Raises InputError for a value of config.json that is not of its field's type, or beyond its limit."""
    types = get_type_hints(type(config))
    for field in fields(config):
        value, wanted = getattr(config, field.name), types[field.name]
        kinds = get_args(wanted) if get_origin(wanted) is UnionType else (wanted,)
        numbers = {int, *({float} if float in kinds else ())}
        if kinds[0] in (int, float) and not (type(value) in numbers or (value is None and type(None) in kinds)):
            kind = "whole number" if float not in kinds else "number"
            raise InputError(f"config.json says {field.name} {json.dumps(value)}; must be a {kind}")
    for name, value, limit in limits(config):
        if not limit.holds(value):
            raise InputError(f"config.json says {name} {value}; must be {limit.words}")


def read_model(folder: Path, family: Family, configuration: Mapping[str, Any], called: str) -> Stored:
    """Reads the weights of a folder, and its config as that of a family.

    - `configuration`, `called`: of and as for `read_configuration`.

    Raises InputError where a file is missing or damaged, the encoder has tensors that the family does not know or lacks some, or the
    family does not compute such a model.
    """
    config = read_config(folder, family, configuration, called)
    tensors = family.current_names(_read_tensors(folder, called))
    tensors = with_copies(tensors, _shapes(family, config, None), family.rules(config, family.heads), called)
    needed = _names(family, config, None, copies=False)
    known = {*_names(family, config, None, copies=True)}
    task, of_task = _task_of(family, config, configuration, tensors)
    known |= of_task
    surplus = surplus_tensors(tensors, known, family.not_parameters)
    bare = family.rules(config, frozenset())
    refuse_unknown_encoder(surplus, bare, family.heads_in_body, called)
    # A folder with a task's head is whole, also where that has less of an encoder: a Funnel's classifier of rows has no decoder.
    lacking = () if task else sorted(name for name, rule in needed.items() if rule in bare and name not in tensors)
    if lacking:
        raise InputError(
            f"{called}: its encoder lacks {len(lacking)} tensors that config.json promises, the first is {lacking[0]}; fetch the "
            "folder again"
        )
    heads: set[str] = {task.kind} if task else set()
    for head in () if task else family.heads:
        own = set(family.rules(config, frozenset({head}))).difference(bare)
        if all(name in tensors for name, rule in needed.items() if rule in own):
            heads.add(head)
    if "vocabulary" in heads and configuration.get("tie_word_embeddings") is False:
        raise InputError(
            f"{called}: config.json says tie_word_embeddings false; here a {family.title} predicts words with its word table only"
        )
    read = {name: tensor for name, tensor in tensors.items() if name in known}
    if whole := sorted(name for name, tensor in read.items() if tensor.dtype.kind in "biu"):
        raise InputError(
            f"{called}: its {whole[0]} is of {read[whole[0]].dtype}, as of a quantised model; give one of floating-point numbers"
        )
    if family.zero_padding and (pad_id := getattr(config, PADDING)) is not None:
        read = with_zero_padding(read, bare, pad_id)
    return Stored(config, frozenset(heads), read, tuple(surplus), task)


def _read_tensors(folder: Path, called: str) -> dict[str, np.ndarray]:
    """The tensors of a folder, as its files name them."""
    files = [WEIGHTS]
    if not (folder / WEIGHTS).is_file():
        index = read_json(folder / SHARDS)
        if index is None:
            raise InputError(f"{called}: {_how_to_get_weights(folder)}")
        try:
            files = sorted({str(name) for name in index["weight_map"].values()})
        except (AttributeError, KeyError, TypeError):
            files = []
        if not files:
            raise InputError(f"{called}: its {SHARDS} names no files; fetch the folder again")
        if lacking := [name for name in files if not (folder / name).is_file()]:
            raise InputError(f"{called}: holds no {lacking[0]}, which {SHARDS} names; fetch the folder again")
    tensors: dict[str, np.ndarray] = {}
    for name in files:
        try:
            tensors |= load_file(folder / name)
        except SafetensorError as error:
            raise InputError(f"{folder / name}: damaged ({error}); fetch or export it again") from None
    return tensors


def _how_to_get_weights(folder: Path) -> str:
    if any(folder.glob("pytorch_model*.bin")):
        code = CONVERT.format(folder=folder)
        return f'holds no {WEIGHTS} but pytorch_model.bin; convert it (with torch installed): python -c "{code}"'
    return f"holds no {WEIGHTS}; load it with transformers and call save_pretrained to write one"


def licences_of(folder: Path) -> tuple[str, ...]:
    """What the card of a folder says under `license`; unknown where it says nothing."""
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    front = re.match(r"---\s*\n(.*?)\n---", text, re.DOTALL)
    found = re.search(r"^license:[ \t]*(.*(?:\n[ \t]*- .*)*)", front[1], re.MULTILINE) if front else None
    return tuple(re.findall(r"[\w.+-]*\w[\w.+-]*", found[1])) if found and found[1].strip() else ("unknown",)


def hub_id_of(place: str) -> str:
    """The repository of the hub whose copy in huggingface_hub's cache a folder is; empty where the path does not tell."""
    copies = (re.fullmatch(r"models--(.+)", part) for part in Path(place).parts)
    return next((copy[1].replace("--", "/") for copy in copies if copy), "")


def _names(family: Family, config: ModelConfig, task: TaskHead | None, *, copies: bool) -> dict[str, ParameterRule]:
    """The tensors of a model with the head of a task, or with all others of its family; arguments as for `tensor_names`."""
    heads = frozenset({task.kind}) if task else family.heads
    return tensor_names(_shapes(family, config, task), family.rules(config, heads), copies=copies)


def _shapes(family: Family, config: ModelConfig, task: TaskHead | None) -> Parameters:
    """The parameters of a model with the head of a task, or with all others of its family, as shapes."""
    assert config.vocab_size is not None
    model: Model
    if task is None:
        model = family.make(config, config.vocab_size, family.heads, Compute())
    else:
        assert family.for_task
        model = family.for_task(config, config.vocab_size, task, Compute())
    shapes: Parameters = jax.eval_shape(model.init, jax.eval_shape(lambda: jax.random.key(0)))
    return shapes


def _task_of(
    family: Family, config: ModelConfig, configuration: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
) -> tuple[TaskHead | None, set[str]]:
    """The head of a task that a folder has whole, and the tensors of a model with it; otherwise None and no tensors."""
    task = task_from_json(configuration, family.task_dropout) if family.for_task else None
    names = set(_names(family, config, task, copies=True)) if task else set()
    return (task, names) if task and names <= tensors.keys() else (None, set())


def write_folder(folder: Path, tensors: Mapping[str, np.ndarray], configuration: Mapping[str, Any]) -> None:
    """Writes weights and config to a folder."""
    # "format" is what older transformers 4 insist on. save_file would make a file that only its owner may read.
    (folder / WEIGHTS).write_bytes(save(dict(tensors), metadata={"format": "pt"}))
    write_json(folder / CONFIG, dict(configuration))


def tokenizer_configuration(configuration: Mapping[str, Any], config: ModelConfig, max_length: int) -> dict[str, Any]:
    """The content of tokenizer_config.json beside a model.

    - `configuration`: that of the vocabulary alone.
    - `max_length`: most tokens of a text; without it transformers takes 1e30 and never truncates.
    """
    limited = {**configuration, "model_max_length": max_length}
    if (config.token_types() or ("", 1))[1] > 1:
        return limited
    # BERT's tokenizer gives a second text type 1, a row that such a model does not have; GPT-2's would look types up as words.
    return {**limited, "model_input_names": ["input_ids", "attention_mask"]}


def set_template(tokenizer: Tokenizer, template: tuple[str, ...]) -> None:
    """Has a tokenizer put special tokens around texts, and around both of a pair, as `Family.template` says."""
    roles = {role: getattr(tokenizer.special, role) for role in template if role != "text"}

    def around(text: str) -> list[str]:
        return [text if role == "text" else tokenizer.pieces[roles[role]] for role in template]

    tokenizer.backend.post_processor = processors.TemplateProcessing(
        single=around("$A"),
        pair=[*around("$A"), *around("$B")],
        special_tokens=[(tokenizer.pieces[index], index) for index in roles.values()],
    )
