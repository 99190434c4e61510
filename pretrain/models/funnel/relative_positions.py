"""Funnel's scores of distances: products of queries with a vector of sinusoids for each distance (Dai et al. 2020, arXiv 2006.03236,
appendix A.2.1, as in Transformer-XL)."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from pretrain.models.core.layers import wide_einsum


@dataclass(frozen=True)
class Distances:
    """How far apart queries and keys are: query i is at `offset + step * stride * i` from key 0, and key j at `stride * j`.

    - `queries`, `keys`: how many there are.
    - `stride`: tokens from a key to the next; `step`: keys from a query to the next, 1 or, where queries are pooled, 2.
    - `offset`: tokens from the first key to the first query.
    """

    queries: int
    keys: int
    stride: int = 1
    step: int = 1
    offset: int = 0

    def sinusoids(self, width: int) -> jax.Array:
        """The sines and cosines of each distance that there is, float32 [distances, width], from the longest to the shortest, in the
        order that `scores` takes."""
        longest = self.offset + self.stride * self.step * (self.queries - 1)
        count = self.keys + self.step * self.queries
        distances = longest - self.stride * jnp.arange(count, dtype=jnp.float32)
        frequencies = 1 / 10_000.0 ** (jnp.arange(width // 2, dtype=jnp.float32) / (width // 2))
        angles = distances[:, None] * frequencies
        return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)

    def scores(self, q: jax.Array, by_distance: jax.Array, bias: jax.Array) -> jax.Array:
        """The products of each query with the vector of its distance from each key, float32 [B, N, queries, keys].

        - `q`: [B, queries, N, D]; `by_distance`: [distances, N, D], of the same type, made of `sinusoids`.
        - `bias`: float32 [N, D], added to every query.
        """
        of_all = wide_einsum("bqnd,tnd->bnqt", q, by_distance)
        of_bias = jnp.einsum("nd,tnd->nt", bias, by_distance.astype(jnp.float32))
        return self._own(of_all + of_bias[:, None])

    def _own(self, scores: jax.Array) -> jax.Array:
        """Of [B, N, queries, distances] what each query has with its own distances: [B, N, queries, keys].

        Those of query i begin `step` later than those of query i + 1. Read as rows that are shorter by `step`, all begin in one column:
        no gather.
        """
        batch, heads, queries, count = scores.shape
        first, width = self.step * (queries - 1), count - self.step
        flat = scores.reshape(batch, heads, queries * count)[..., first : first + queries * width]
        return flat.reshape(batch, heads, queries, width)[..., : self.keys]
