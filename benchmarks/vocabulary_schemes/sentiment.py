"""Sentiment of movie reviews, fine-tuned from a pretrained model: NSMC's rule, split by movie."""

import gzip
import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.vocabulary_schemes.hidden_eojeols import encode
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.models.bert.model import Bert
from pretrain.models.core.layers import Parameters

LENGTH = 64
BATCH = 32
EPOCHS = 2
LEARNING_RATE = 5e-4
TEST_MOVIES = 5
"""One movie of so many is a test movie."""


@dataclass(frozen=True)
class Review:
    """A review and whether it praises."""

    text: str
    positive: bool


@dataclass(frozen=True)
class Task:
    """Half of each praises; no movie and no text is in both."""

    train: tuple[Review, ...]
    test: tuple[Review, ...]


def sentiment_task(reviews: Path, skip: int, train: int, test: int, seed: int) -> Task:
    """Draws so many reviews of ratings 1 to 4 and 9 to 10 (NSMC's rule), none of the first `skip` and no text of theirs."""
    with gzip.open(reviews, "rt", encoding="utf-8") as lines:
        seen = {json.loads(line)["text"] for line in islice(lines, skip)}
        found: dict[tuple[bool, bool], list[Review]] = {
            (of_test, good): [] for of_test in (False, True) for good in (False, True)
        }
        for line in lines:
            row = json.loads(line)
            rating = int(row["rating"])
            if row["text"] in seen or 4 < rating < 9 or not row["text"].strip():
                continue
            seen.add(row["text"])
            of_test = int(hashlib.blake2b(row["movie_id"].encode(), digest_size=8).hexdigest(), 16) % TEST_MOVIES == 0
            found[of_test, rating > 4].append(Review(row["text"], rating > 4))
    draw = random.Random(seed)

    def half_and_half(of_test: bool, number: int) -> tuple[Review, ...]:
        chosen = [review for good in (False, True) for review in draw.sample(found[of_test, good], number // 2)]
        return tuple(draw.sample(chosen, len(chosen)))

    return Task(half_and_half(False, train), half_and_half(True, test))


def accuracy(model: Bert, params: Parameters, tokenizer: Tokenizer, task: Task, seed: int) -> float:
    """Of the test reviews, after EPOCHS over the training ones: Adam, linear decay, a linear layer on [CLS], rows of LENGTH."""
    pad = tokenizer.special.pad
    train, test = (_rows(reviews, tokenizer) for reviews in (task.train, task.test))
    good, good_test = (
        np.array([review.positive for review in reviews], np.int32) for reviews in (task.train, task.test)
    )
    classifier = {"kernel": jnp.zeros((model.config.hidden_size, 2)), "bias": jnp.zeros(2)}
    trained = jax.tree.map(jnp.asarray, {"bert": params["bert"], "classifier": classifier})
    steps = EPOCHS * (len(train) // BATCH)
    optimizer = optax.adam(optax.linear_schedule(LEARNING_RATE, 0.0, steps))

    def logits(trained: Parameters, tokens: jax.Array) -> jax.Array:
        hidden = encode(model, trained, tokens, pad)[:, 0]
        return hidden @ trained["classifier"]["kernel"] + trained["classifier"]["bias"]

    def loss(trained: Parameters, tokens: jax.Array, labels: jax.Array) -> jax.Array:
        return optax.softmax_cross_entropy_with_integer_labels(logits(trained, tokens), labels).mean()

    @jax.jit
    def step(
        trained: Parameters, state: optax.OptState, tokens: jax.Array, labels: jax.Array
    ) -> tuple[Parameters, optax.OptState]:
        updates, state = optimizer.update(jax.grad(loss)(trained, tokens, labels), state)
        return optax.apply_updates(trained, updates), state

    state, order = optimizer.init(trained), np.random.default_rng(seed)
    for _ in range(EPOCHS):
        for chosen in order.permutation(len(train))[: len(train) // BATCH * BATCH].reshape(-1, BATCH):
            trained, state = step(trained, state, train[chosen], good[chosen])
    answer = jax.jit(lambda tokens: logits(trained, tokens).argmax(-1))
    answers = np.concatenate([answer(test[start : start + BATCH]) for start in range(0, len(test), BATCH)])
    return float((answers == good_test).mean())


def _rows(reviews: Sequence[Review], tokenizer: Tokenizer) -> np.ndarray:
    """int32 [reviews, LENGTH]: [CLS], the first tokens, [SEP], padding."""
    special = tokenizer.special
    rows = np.full((len(reviews), LENGTH), special.pad, np.int32)
    encoded = tokenizer.encode([review.text for review in reviews], "token")
    for row, (ids, _) in zip(rows, encoded, strict=True):
        kept = ids[: LENGTH - 2]
        row[: len(kept) + 2] = [special.cls, *kept, special.sep]
    return rows
