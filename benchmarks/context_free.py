"""What can be known of a masked or a next token without its context: the baselines that a language model must pass."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import jax
import numpy as np

from data_pipeline.contract.records import Records
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import read_json
from pretrain.checkpoints.facts import RECIPE_FILE
from pretrain.devices.sharding import batch_sharding, make_mesh
from pretrain.input.batches import EvaluationBatches
from pretrain.job import objective_of
from pretrain.objectives.causal_lm.objective import CausalLanguageModelling
from pretrain.objectives.corruption.recipe import Masking
from pretrain.objectives.masked_lm.objective import MaskedLanguageModelling
from pretrain.recipe import Mesh, training_recipe_from_plain


@dataclass(frozen=True)
class ContextFree:
    """Losses in nats and accuracies over the held-out predictions of a run.

    - `unigram_loss`, `unigram_accuracy`: each token by its frequency in the training records, whatever stands there.
    - `loss`, `accuracy`: the best guess from the frequencies and the token seen in its place; in place of a next token none is seen.
    - `predictions`: how many there are.
    """

    unigram_loss: float
    unigram_accuracy: float
    loss: float
    accuracy: float
    predictions: int


def context_free(folder: RunFolder) -> ContextFree:
    """The baselines of a trained run, on the very predictions of its evaluation."""
    recipe = training_recipe_from_plain(read_json(folder.path / RECIPE_FILE))
    train, held_out = Records(folder.examples, "train"), Records(folder.examples, "evaluation")
    header = train.header
    objective = objective_of(recipe, header)
    sharding = batch_sharding(make_mesh(Mesh(data=1), jax.devices()[:1]))
    batches = EvaluationBatches(held_out, rows=recipe.evaluation.rows, microbatch=32, sharding=sharding)
    prepare = jax.jit(lambda batch: objective.prepare(batch, None))
    prepared = [jax.device_get(prepare(batches(index))) for index in range(len(batches))]
    filled = [batch["weights"] > 0 for batch in prepared]
    labels = np.concatenate([batch["labels"][where] for batch, where in zip(prepared, filled, strict=True)])
    if isinstance(objective, CausalLanguageModelling):
        return next_token_baseline(labels, frequency_of_tokens(train, (header.pad_id,)))
    masking = cast(MaskedLanguageModelling, objective).recipe.masking
    there = [np.take_along_axis(batch["inputs"], batch["positions"], -1) for batch in prepared]
    stands = np.concatenate([tokens[where] for tokens, where in zip(there, filled, strict=True)])
    return baselines(labels, stands, frequency_of_tokens(train, header.reserved_ids), masking, header.mask_id)


def frequency_of_tokens(train: Records, never: Sequence[int]) -> np.ndarray:
    """Float [V], of each token in the records; 0 for those that are never predicted."""
    counts = np.zeros(train.header.vocabulary_size)
    for start in range(0, len(train), 1000):
        tokens = train.read(range(start, min(start + 1000, len(train))))["tokens"]
        counts += np.bincount(tokens.reshape(-1), minlength=len(counts))
    counts += 1  # a token that training never shows still has a finite loss
    counts[list(never)] = 0
    return counts / counts.sum()


def next_token_baseline(labels: np.ndarray, frequency: np.ndarray) -> ContextFree:
    """The baseline of a causal model, whatever came before.

    - `labels`: int [n], the next tokens; `frequency`: float [V], of each token.
    """
    loss, accuracy = float(-np.log(frequency[labels]).mean()), float((labels == frequency.argmax()).mean())
    return ContextFree(loss, accuracy, loss, accuracy, len(labels))


def baselines(
    labels: np.ndarray, stands: np.ndarray, frequency: np.ndarray, masking: Masking, mask_id: int
) -> ContextFree:
    """Both baselines.

    - `labels`, `stands`: int [n], the hidden tokens and what the model sees in their place.
    - `frequency`: float [V], of each token; 0 for those that are never hidden.

    Of a token y with frequency p(y), a share `keep` is seen as itself and a share `random` as any of N tokens. Where x is seen
    (and is not [MASK]), y = x has the weight keep p(x) + random p(x) / N, any other y the weight random p(y) / N.
    """
    top = int(frequency.argmax())
    unigram = -np.log(frequency[labels])
    keep = 1 - masking.mask_share - masking.random_share
    by_chance = masking.random_share / np.count_nonzero(frequency)
    weight_of_label = by_chance * frequency[labels] + keep * frequency[stands] * (labels == stands)
    weight_of_all = by_chance + keep * frequency[stands]
    hidden = stands == mask_id
    stands_itself = (keep + by_chance) * frequency[stands] > by_chance * frequency[top]
    guess = np.where(~hidden & stands_itself, stands, top)
    losses = np.where(hidden, unigram, -np.log(weight_of_label / weight_of_all))
    return ContextFree(
        unigram_loss=float(unigram.mean()),
        unigram_accuracy=float((labels == top).mean()),
        loss=float(losses.mean()),
        accuracy=float((guess == labels).mean()),
        predictions=len(labels),
    )
