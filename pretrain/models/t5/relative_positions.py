"""T5's relative positions: each distance of a key from a query has a bucket, and each bucket a bias on the scores of each head."""

import math

import jax
import numpy as np

from pretrain.models.core.layers import Parameters, embed_few


def buckets_of(distances: np.ndarray, *, both_ways: bool, buckets: int, longest: int) -> np.ndarray:
    """int32 [...]: the bucket of each distance, a key's position less the query's (mesh_tensorflow, transformer_layers.py,
    _relative_position_bucket; Raffel et al. 2019, arXiv 1910.10683, section 2.1).

    - `distances`: int [...].
    - `both_ways`: half of the buckets are for keys behind the query; otherwise those share the bucket of distance 0.
    - `buckets`: how many there are; half of a side's are for the shortest distances, the others grow with the logarithm.
    - `longest`: the distance from which on all have the last bucket.
    """
    of_side, behind = (buckets // 2, distances > 0) if both_ways else (buckets, np.zeros_like(distances, bool))
    away = np.abs(distances) if both_ways else np.maximum(-distances, 0)
    exact = of_side // 2
    # In float32, as transformers: at the borders of buckets the last bit decides.
    ratio = np.log(np.maximum(away, 1).astype(np.float32) / np.float32(exact)) / np.float32(math.log(longest / exact))
    far = np.minimum(exact + (ratio * np.float32(of_side - exact)).astype(np.int32), of_side - 1)
    return (behind * of_side + np.where(away < exact, away, far)).astype(np.int32)


def position_bias(params: Parameters, length: int, *, both_ways: bool, longest: int) -> jax.Array:
    """The bias of each head on the scores of a stack's self-attention, float32 [1, N, L, L], queries before keys.

    - `params`: `embedding` [buckets, N].
    """
    place = np.arange(length)
    distances = place[None, :] - place[:, None]
    buckets = buckets_of(distances, both_ways=both_ways, buckets=params["embedding"].shape[0], longest=longest)
    return embed_few(params, jax.numpy.asarray(buckets)).transpose(2, 0, 1)[None]
