"""An exported Hugging Face folder: what a run knows of it, and the model in it, read without transformers or torch."""

import os
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import read_json, sha256_of_file
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.models.bert.config import BertConfig
from pretrain.models.bert.hugging_face import from_hugging_face
from pretrain.models.bert.model import BertForPreTraining
from pretrain.models.core.layers import Parameters

CARD = "README.md"
"""The model card of an exported folder: the one file that is there to be edited."""


class ExportedBert:
    """A Hugging Face folder that `export` wrote, read back without transformers or torch; float32.

    Raises InputError where the folder is not one.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / "config.json").exists() or not (folder / "model.safetensors").exists():
            raise InputError(
                f"{folder}: holds no config.json and model.safetensors; run `python -m pretrain export` first"
            )
        self.configuration = read_json(folder / "config.json")
        self.tokenizer = Tokenizer(folder)
        self.tokenizer.backend.encode_special_tokens = False  # here [MASK] in a text is meant
        try:
            names = BertConfig.__dataclass_fields__.keys() - {"vocab_size"}
            config = BertConfig(**{name: self.configuration[name] for name in names})
            vocab_size = self.configuration["vocab_size"]
            next_sentence = self.configuration["architectures"] == ["BertForPreTraining"]
        except (KeyError, TypeError) as error:
            raise InputError(f"{folder / 'config.json'}: not the config of a BERT ({error}); export again") from None
        if self.tokenizer.size > vocab_size:
            raise InputError(
                f"{folder}: the tokenizer has {self.tokenizer.size} rows, config.json says {vocab_size}; export again"
            )
        self.model = BertForPreTraining(config, vocab_size, next_sentence=next_sentence, compute_dtype=jnp.float32)
        try:
            tensors = load_file(folder / "model.safetensors")
        except SafetensorError as error:
            raise InputError(f"{folder / 'model.safetensors'}: damaged ({error}); export again") from None
        self.params = from_hugging_face(tensors, config, vocab_size, next_sentence=next_sentence)

    def masked_lm_logits(self, token_ids: np.ndarray, token_type_ids: np.ndarray, attends: np.ndarray) -> np.ndarray:
        """float32 [B, L, vocabulary] for int [B, L] inputs; `attends` is Hugging Face's attention_mask."""

        def forward(
            params: Parameters, token_ids: jax.Array, token_type_ids: jax.Array, segments: jax.Array
        ) -> jax.Array:
            position_ids = jnp.broadcast_to(jnp.arange(token_ids.shape[1]), token_ids.shape)
            hidden = self.model.encode(
                params, token_ids, position_ids=position_ids, token_type_ids=token_type_ids, segments=segments
            )
            return self.model.masked_lm_logits(params, hidden)

        with jax.default_matmul_precision("highest"):
            logits = jax.jit(forward)(self.params, token_ids, token_type_ids, attends)
        return np.asarray(logits)[..., : self.model.vocab_size]


def exports_of(run: RunFolder) -> dict[str, Any]:
    """What the run's manifest says of each of its exports, by `name_of` the folder."""
    exports: dict[str, Any] = run.manifest().get("export", {}).get("folders", {})
    return exports


def name_of(run: RunFolder, exported: Path) -> str:
    """An exported folder as seen from the run's, so that both may be moved together."""
    return os.path.relpath(place_of(exported), place_of(run.path))


def place_of(folder: Path) -> Path:
    """The absolute path of a folder, or of the one that a link of this name leads to."""
    return folder.resolve() if folder.is_symlink() else Path(os.path.abspath(folder))


def hashes_of(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of an exported folder, by name."""
    return {path.name: sha256_of_file(path) for path in sorted(folder.iterdir()) if path.is_file()}
