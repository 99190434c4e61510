"""Relative positions of LTG-BERT (Samuel et al. 2023, arXiv 2303.09859, after DeBERTa, He et al. 2020, arXiv 2006.03654): each distance
of two tokens has a bucket, and each bucket a vector, which queries and keys are compared with."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from pretrain.models.core.layers import wide_einsum


def log_buckets(distances: np.ndarray, buckets: int, longest: int) -> np.ndarray:
    """int32 [...]: the bucket of each distance, 0 to 2 x buckets - 2 (ltgoslo/ltg-bert, model.py, make_log_bucket_position).

    - `distances`: int [...], a query's position less the key's.
    - `buckets`: to each side, the bucket of 0 among them; half of them are for one distance each, the others grow with the logarithm.
    - `longest`: tokens of the longest row: a distance of as many less one has the last bucket.
    """
    middle, away = buckets // 2, np.minimum(np.abs(distances), longest - 1)
    ratio = np.log(np.maximum(away, middle) / middle) / math.log((longest - 1) / middle)
    far = np.ceil(ratio * (middle - 1)).astype(np.int32) + middle
    side = np.where(away < middle, np.abs(distances), np.minimum(far, buckets - 1))
    return (buckets - 1 + np.sign(distances) * side).astype(np.int32)


def distance_scores(
    q: jax.Array, k: jax.Array, q_of_buckets: jax.Array, k_of_buckets: jax.Array, buckets: np.ndarray
) -> jax.Array:
    """What distances add to the scores of queries and keys, before these are scaled: float32 [B, N, L, L], queries before keys.

    - `q`, `k`: [B, L, N, D]; `q_of_buckets`, `k_of_buckets`: [P, N, D], the layer's queries and keys of the vectors of P buckets.
    - `buckets`: int [L, L], of `log_buckets`, queries before keys.
    """
    where = jnp.asarray(buckets)[None, None]
    of_queries = jnp.take_along_axis(wide_einsum("bqnd,pnd->bnqp", q, k_of_buckets), where, axis=-1)
    of_keys = jnp.take_along_axis(wide_einsum("bknd,pnd->bnkp", k, q_of_buckets), where.swapaxes(-1, -2), axis=-1)
    return of_queries + of_keys.swapaxes(-1, -2)
