"""An exported Hugging Face folder: what a run knows of it, and the model in it, read without transformers or torch."""

import os
from pathlib import Path
from typing import Any

import jax
import numpy as np

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import sha256_of_file
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.hugging_face.folder import read_configuration, read_model
from pretrain.hugging_face.weights import from_hugging_face
from pretrain.models.core.layers import Parameters
from pretrain.models.protocols import Compute, Inputs
from pretrain.models.registry import family_of_hugging_face

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
        self.configuration = read_configuration(folder, str(folder))
        self.family = family_of_hugging_face(self.configuration, str(folder))
        stored = read_model(folder, self.family, self.configuration, str(folder))
        self.tokenizer = Tokenizer(folder)
        self.tokenizer.backend.encode_special_tokens = False  # here [MASK] in a text is meant
        size = stored.config.vocab_size
        assert size is not None
        if self.tokenizer.size > size:
            raise InputError(
                f"{folder}: the tokenizer has {self.tokenizer.size} rows, config.json says {size}; export again"
            )
        self.model = self.family.make(stored.config, size, stored.heads, Compute())
        shapes = jax.eval_shape(self.model.init, jax.eval_shape(lambda: jax.random.key(0)))
        rules = self.family.rules(stored.config, stored.heads)
        self.params = from_hugging_face(stored.tensors, shapes, rules, size)

    def masked_lm_logits(self, token_ids: np.ndarray, token_type_ids: np.ndarray, attends: np.ndarray) -> np.ndarray:
        """float32 [B, L, vocabulary] for int [B, L] inputs; `attends` is Hugging Face's attention_mask."""

        def forward(params: Parameters, tokens: jax.Array, segments: jax.Array, types: jax.Array) -> jax.Array:
            positions = jax.numpy.broadcast_to(jax.numpy.arange(tokens.shape[1]), tokens.shape)
            return self.family.logits(self.model, params, Inputs(tokens, segments, positions, types))

        with jax.default_matmul_precision("highest"):
            logits = jax.jit(forward)(self.params, token_ids, attends, token_type_ids)
        return np.asarray(logits)


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
