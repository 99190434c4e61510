"""fill: the likeliest words for [MASK] in a sentence, from an exported folder alone."""

import os
from collections.abc import Sequence
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
from pretrain.devices import available_devices
from pretrain.models.bert.config import BertConfig
from pretrain.models.bert.hugging_face import from_hugging_face
from pretrain.models.bert.model import BertForPreTraining
from pretrain.models.layers import Parameters

CARD = "README.md"
"""The model card of an exported folder: the one file that is there to be edited."""
SENTENCES = ("아이들이 운동장에[MASK] 공을 차며 놀았다.", "이 문제는 정부가 반드시 [MASK]해야 합니다.")


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


def fill(exported: ExportedBert, text: str, top: int) -> list[tuple[str, float, str]]:
    """The `top` likeliest tokens for the first [MASK] of a text: piece, probability, and the text with it."""
    tokenizer = exported.tokenizer
    encoding = tokenizer.backend.encode(text)
    mask = tokenizer.special.mask
    if mask not in encoding.ids:
        raise InputError(f"{text!r}: holds no {tokenizer.pieces[mask]}; put it where a word is to be filled in")
    longest = exported.configuration["max_position_embeddings"]
    if len(encoding.ids) > longest:
        raise InputError(f"the text has {len(encoding.ids)} tokens, the model reads {longest}; shorten it")
    ids = np.array([encoding.ids])
    place = encoding.ids.index(mask)
    logits = exported.masked_lm_logits(ids, np.array([encoding.type_ids]), np.ones_like(ids))
    scores = np.asarray(jax.nn.softmax(jnp.asarray(logits[0, place])))
    filled = []
    for index in np.argsort(-scores, kind="stable")[:top].tolist():
        with_it = [*encoding.ids[:place], index, *encoding.ids[place + 1 :]]
        filled.append((tokenizer.pieces[index], float(scores[index]), tokenizer.backend.decode(with_it)))
    return filled


def print_fills(run_or_export: Path, texts: Sequence[str], top: int) -> None:
    """Prints the fills of each text.

    - `run_or_export`: a run folder, whose export is taken, or an exported folder.

    Raises InputError where the run's export is not as it was written, and where a text has no [MASK] or too many tokens.
    """
    if top < 1:
        raise InputError(f"--top {top}: must be 1 or more")
    run = RunFolder(run_or_export)
    folder = run.export if run.export.exists() else run_or_export
    written = exports_of(run).get(name_of(run, folder), {}).get("files", {})
    found = hashes_of(folder) if written else {}
    for name, sha256 in written.items():
        if name != CARD and found.get(name) != sha256:
            raise InputError(f"{folder / name}: not as it was exported; run `python -m pretrain export` again")
    available_devices()
    exported = ExportedBert(folder)
    for text in texts or SENTENCES:
        print(text)
        for piece, probability, filled in fill(exported, text, top):
            print(f"  {probability:6.1%}  {piece:<12} {filled}")


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
