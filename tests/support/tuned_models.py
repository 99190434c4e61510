"""Tiny fine-tuned models: a head of each kind on any family."""

from pathlib import Path

import jax
import numpy as np
from families import SPECIAL, VOCAB, with_tokenizer

from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.hugging_face.folder import write_folder
from pretrain.hugging_face.weights import to_hugging_face, with_zero_padding
from pretrain.models.config import ModelConfig, with_padding, with_vocabulary
from pretrain.models.protocols import Compute
from pretrain.models.registry import family_of
from pretrain.models.task_heads import TaskHead
from pretrain.subject import Subject

HEADS = {
    "classes": TaskHead("classifier", ("부정", "중립", "긍정"), 0.5),
    "score": TaskHead("classifier"),
    "tags": TaskHead("tags", ("B-PS", "I-PS", "O")),
    "span": TaskHead("span"),
}


def subject_of(config: ModelConfig, head: TaskHead, folder: Path) -> Subject:
    """A fine-tuned model in which no parameter is 0 or 1, and its tokenizer."""
    config = with_vocabulary(with_padding(config, SPECIAL.pad), VOCAB)
    family = family_of(config)
    assert family.for_task
    model, random = family.for_task(config, VOCAB, head, Compute()), np.random.default_rng(1)
    rules = family.rules(config, model.heads)
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    drawn = jax.tree.map_with_path(
        lambda path, leaf: random.normal(float(path[-1].key == "scale"), 0.3, leaf.shape).astype(np.float32), shapes
    )
    tensors = to_hugging_face(drawn, rules, VOCAB)
    if family.zero_padding:
        tensors = with_zero_padding(tensors, rules, SPECIAL.pad)
    folder.mkdir(exist_ok=True)
    tokenizer = Tokenizer(with_tokenizer(folder, config))
    return Subject(family, config, model.heads, tensors, tokenizer, "test", task=head)


def written(subject: Subject, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    write_folder(folder, subject.tensors, subject.configuration)
    return with_tokenizer(folder, subject.config)
