"""How well replaced tokens can be told from originals without their context: the baseline that a discriminator must pass.

    python -m benchmarks.context_free_detection RUN_DIR

A generator that has learnt less than the frequencies replaces tokens by others that are rare where they are: a discriminator that
knows each token's frequency alone then has an AUC far above 0.5. Only what it has beyond this baseline comes from the context.
"""

import sys
from pathlib import Path
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np

from data_pipeline.contract.records import Records
from data_pipeline.contract.run_folder import RunFolder
from pretrain.checkpoints.facts import recipe_of
from pretrain.checkpoints.restore import restore_params
from pretrain.checkpoints.verify import step_folder
from pretrain.devices.sharding import batch_sharding, make_mesh
from pretrain.input.batches import EvaluationBatches
from pretrain.job import objective_of
from pretrain.objectives.replaced_token.losses import detection, replaced_token_sums
from pretrain.objectives.replaced_token.objective import ReplacedTokenDetection
from pretrain.recipe import Mesh
from pretrain.subject import find_step

TRAINING_ROWS = 2048
"""Rows of training from which the frequencies of originals and replacements are counted."""


class Tokens(NamedTuple):
    """Tokens as a discriminator reads them.

    - `ids`: int [n]; `replaced`: bool [n]; `scores`: float32 [n], the discriminator's log-odds.
    """

    ids: np.ndarray
    replaced: np.ndarray
    scores: np.ndarray


def aucs(folder: RunFolder) -> tuple[float, float]:
    """The AUC on held-out rows of the newest checkpoint's discriminator, and of the best guess from the token alone."""
    recipe, step = recipe_of(folder), find_step(folder, None)
    params = restore_params(step_folder(folder.checkpoints, step))
    train, held_out = Records(folder.examples, "train"), Records(folder.examples, "evaluation")
    objective = cast(ReplacedTokenDetection, objective_of(recipe, train.header))

    def tokens(records: Records, rows: int) -> Tokens:
        sharding = batch_sharding(make_mesh(Mesh(data=1), jax.devices()[:1]))
        batches = EvaluationBatches(records, rows=rows, microbatch=32, sharding=sharding)

        @jax.jit
        def show(params: dict[str, jax.Array], batch: dict[str, jax.Array]) -> dict[str, jax.Array]:
            return objective.show(params, {name: each[0] for name, each in objective.prepare(batch, None).items()})

        found = []
        for index in range(len(batches)):
            shown = jax.device_get(show(params, batches(index)))
            real = shown["tokens"] != train.header.pad_id
            replaced, chance = shown["filled"] != shown["tokens"], shown["probabilities"].clip(1e-7, 1 - 1e-7)
            found.append((shown["filled"][real], replaced[real], np.log(chance / (1 - chance))[real]))
        return Tokens(*(np.concatenate(parts) for parts in zip(*found, strict=True)))

    seen = tokens(held_out, recipe.evaluation.rows)
    known = frequency_scores(tokens(train, TRAINING_ROWS), train.header.vocabulary_size)[seen.ids]
    return auc(seen.scores, seen.replaced), auc(known, seen.replaced)


def frequency_scores(counted: Tokens, vocabulary_size: int) -> np.ndarray:
    """float32 [V]: the log-odds that each token is a replacement, with one more of either kind than was counted."""
    replacements, originals = (
        1 + np.bincount(counted.ids[counted.replaced == kind], minlength=vocabulary_size) for kind in (True, False)
    )
    return np.log(replacements / originals).astype(np.float32)


def auc(scores: np.ndarray, replaced: np.ndarray) -> float:
    """The AUC of scores [n], as training logs it."""
    return float(
        detection(replaced_token_sums(*map(jnp.asarray, (scores, replaced, np.ones(len(scores), np.float32)))))["auc"]
    )


if __name__ == "__main__":
    found, baseline = aucs(RunFolder(Path(sys.argv[1])))
    print(f"held-out AUC {found:.3f}; from the token alone {baseline:.3f}")
