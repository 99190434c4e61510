"""fill: the likeliest words for [MASK] in a sentence, from an exported folder alone."""

import json
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import load_file

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.models.bert.config import BertConfig
from pretrain.models.bert.hugging_face import from_hugging_face
from pretrain.models.bert.model import BertForPreTraining
from pretrain.models.layers import Parameters

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
        self.configuration = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self.tokenizer = Tokenizer(folder)
        self.tokenizer.backend.encode_special_tokens = False  # here [MASK] in a text is meant
        names = BertConfig.__dataclass_fields__.keys() - {"vocab_size"}
        config = BertConfig(**{name: self.configuration[name] for name in names})
        vocab_size = self.configuration["vocab_size"]
        next_sentence = self.configuration["architectures"] == ["BertForPreTraining"]
        self.model = BertForPreTraining(config, vocab_size, next_sentence=next_sentence, compute_dtype=jnp.float32)
        tensors = load_file(folder / "model.safetensors")
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


def print_fills(folder: Path, texts: Sequence[str], top: int) -> None:
    """Prints the fills of each text; `folder` is an exported folder."""
    exported = ExportedBert(folder)
    for text in texts or SENTENCES:
        print(text)
        for piece, probability, filled in fill(exported, text, top):
            print(f"  {probability:6.1%}  {piece:<12} {filled}")
