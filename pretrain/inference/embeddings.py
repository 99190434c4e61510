"""Vectors of texts, and which of them are alike."""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, cast, get_args

import jax
import jax.numpy as jnp
import numpy as np

from data_pipeline.contract.errors import InputError
from pretrain.evaluate.encoding import token_rows
from pretrain.hugging_face.weights import tensor_names
from pretrain.inference.forward import UNLIMITED, outputs_of
from pretrain.inference.running import Running
from pretrain.models.core.layers import Parameters
from pretrain.models.protocols import POOLER, Compute, Inputs, Model, PooledModel
from pretrain.subject import Subject

Pooling = Literal["cls", "mean", "pooler"]
"""How a row's hidden states become its vector: that of the first token; their mean over all tokens, the special ones included, as
sentence-transformers takes it; or BERT's pooler, tanh of a map of the first."""
BLOCK = 1024
"""Rows that are compared with all others at once."""


def embed(subject: Subject, texts: Sequence[str], pooling: Pooling, running: Running) -> np.ndarray:
    """The vectors of texts, float32 [n, H], of the last layer and in the order of the texts.

    Raises InputError for a pooling that the model has not, or that means nothing there.
    """
    return embedder(subject, pooling, running)(texts)


def embedder(subject: Subject, pooling: Pooling, running: Running) -> Callable[[Sequence[str]], np.ndarray]:
    """What gives vectors as `embed` does, and does not compile again for texts of like lengths."""
    refuse_pooling(subject, pooling)
    heads = frozenset({POOLER} if pooling == "pooler" else ())

    def make(compute: Compute) -> Model:
        return subject.family.make(subject.config, subject.vocab_size, heads, compute)

    def forward(model: Model, params: Parameters, inputs: Inputs) -> jax.Array:
        hidden = model.encode(params, inputs)
        if pooling == "pooler":
            return cast(PooledModel, model).pooled(params, hidden[:, 0])
        if pooling == "cls":
            return hidden[:, 0]
        real = (inputs.segments > 0)[..., None]
        return jnp.where(real, hidden, 0).sum(1, dtype=jnp.float32) / jnp.maximum(real.sum(1), 1)

    outputs = outputs_of(subject, make, forward, running)
    return lambda texts: np.stack(outputs(token_rows(subject, texts, running.max_length or UNLIMITED)))


def encoder_tensors(subject: Subject) -> set[str]:
    """The names of the encoder's tensors, without any head's."""
    return _named(subject, frozenset())


def pooler_tensors(subject: Subject) -> set[str]:
    """The names of the pooler's tensors; empty where the model has none."""
    if not subject.family.has_pooler:
        return set()
    names = _named(subject, frozenset({POOLER})) - encoder_tensors(subject)
    return names if names <= subject.tensors.keys() else set()


def _named(subject: Subject, heads: frozenset[str]) -> set[str]:
    model = subject.family.make(subject.config, subject.vocab_size, heads, Compute())
    shapes = jax.eval_shape(model.init, jax.eval_shape(lambda: jax.random.key(0)))
    return set(tensor_names(shapes, subject.family.rules(subject.config, heads), copies=False))


def poolings_of(subject: Subject) -> list[Pooling]:
    """The poolings that a model has, and that mean something there."""
    having = {"mean": True, "cls": subject.family.layouts != ("causal",), "pooler": bool(pooler_tensors(subject))}
    return [pooling for pooling in get_args(Pooling) if having[pooling]]


def refuse_pooling(subject: Subject, pooling: Pooling) -> None:
    """Raises InputError for a pooling that the model has not, or that means nothing there."""
    if pooling in poolings_of(subject):
        return
    if pooling == "pooler":
        raise InputError(
            f"--pooling pooler: {subject.origin} has none, which a BERT gets from pretraining on sentence pairs or from fine-tuning "
            "on classes; choose mean or cls"
        )
    raise InputError(
        f"--pooling cls: the first token of a {subject.family.title} sees no other, so that all texts would have one vector; "
        "choose mean"
    )


def nearest(vectors: np.ndarray, queries: np.ndarray, count: int) -> Iterator[list[tuple[int, float]]]:
    """For each query the rows whose cosine with it is largest, largest first, each with its cosine.

    - `vectors`: float32 [n, H]; `queries`: float32 [m, H]. - `count`: how many, at most n.
    """
    units = _units(vectors)
    for start in range(0, len(queries), BLOCK):
        cosines = _units(queries[start : start + BLOCK]) @ units.T
        for row in cosines:
            best = np.argpartition(-row, count - 1)[:count]
            yield [(int(place), float(row[place])) for place in best[np.lexsort((best, -row[best]))]]


def _units(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
