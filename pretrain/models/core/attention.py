"""The one seam for attention: every family calls `attention`, and what runs underneath is a choice of the recipe and the chip."""

import functools
import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from data_pipeline.contract.errors import InputError
from pretrain.models.core.dropout import dropout
from pretrain.models.core.fused_attention import (
    SPLASH_BLOCK,
    XLA_INSTEAD,
    cudnn_attention,
    splash_attention,
    tensor_devices,
)
from pretrain.models.core.layers import wide_einsum
from pretrain.models.core.pallas_attention import LENGTHS, pallas_attention, refusal
from pretrain.models.core.windows import in_blocks, out_of_blocks
from pretrain.models.flags import flags_of

IMPLEMENTATIONS = ("auto", "xla", "cudnn", "splash", "pallas")
"""Names that `attention` takes: xla is plain matrix products, which every device compiles; cudnn and splash are in
`pretrain.models.core.fused_attention`, pallas in `pretrain.models.core.pallas_attention`; auto is pallas on a TPU where it takes
the call, from v4 on splash for longer rows than pallas takes, and xla elsewhere. A window is computed by xla where auto or pallas is
asked for."""
MOST_SCORES = {"TPU v2": 2**30, "TPU v3": 2**31}
"""Bytes of float32 scores of a row that a layer may have on devices without a fused kernel for long rows, an eighth of a core's memory:
the backward pass holds several such arrays at once."""


def attention(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    *,
    segments: jax.Array,
    key_segments: jax.Array | None = None,
    causal: bool = False,
    window: int | None = None,
    bias: jax.Array | None = None,
    scale: float | None = None,
    implementation: str = "auto",
    dropout_rate: float = 0.0,
    dropout_key: jax.Array | None = None,
) -> jax.Array:
    """Scaled dot-product attention inside segments (Vaswani et al. 2017, arXiv 1706.03762, equation 1).

    - `q`: [B, L, N, D] in the compute type (N heads of D); `k`, `v`: [B, K, N, D].
    - `segments`: integers [B, L]; a query sees a key only where theirs are equal. Padding is a segment of its own.
    - `key_segments`: integers [B, K], the segments of the keys; None means those of the queries, K = L. The result of
      a query that sees no key has no meaning.
    - `causal`: a position sees itself and earlier ones only. Needs K = L, as does `window`.
    - `window`: a position sees at most this many positions to each side; None means all. xla computes rows of more than 4 windows in
      blocks (`pretrain.models.core.windows`), unless causal or with a bias.
    - `bias`: added to the scaled scores; broadcastable to [B, N, L, K] (queries before keys).
    - `scale`: factor of the products of queries and keys; None means 1 / sqrt(D).
    - `implementation`: one of IMPLEMENTATIONS.
    - `dropout_rate`, `dropout_key`: dropout on the attention probabilities; off without a key. xla and pallas alone have it.

    Returns [B, L, N, D] in v's type. Scores and softmax are float32.
    Raises InputError for an implementation that is not known, or does not have what is asked of it.
    """
    if implementation not in IMPLEMENTATIONS:
        known = ", ".join(IMPLEMENTATIONS)
        raise InputError(f"attention kernel {implementation}: must be one of {known}")
    if k.shape[1] != q.shape[1] and (causal or window is not None):
        raise InputError(
            f"attention: causal and window compare positions, which {q.shape[1]} queries and {k.shape[1]} keys do not share; "
            "leave both out"
        )
    if window is not None and implementation in ("auto", "pallas"):
        implementation = "xla"
    absent = _absent(q, key_segments, causal, bias, scale, dropout_rate if dropout_key is not None else 0.0)
    if implementation == "auto":
        implementation = _automatic(q.shape[1], absent)
    if reason := absent.get(implementation):
        raise InputError(f"attention kernel {implementation}: {reason}; do without, or {XLA_INSTEAD}")
    if implementation == "pallas":
        return pallas_attention(q, k, v, segments, dropout_rate=dropout_rate, dropout_key=dropout_key)
    if implementation == "splash":
        return splash_attention(q, k, v, segments, key_segments, window=window)
    if implementation == "cudnn":
        return cudnn_attention(q, k, v, _visible(segments, key_segments, causal, window))
    # A length that is known only when the program runs (SavedModel) has no number of blocks.
    long = window and isinstance(q.shape[1], int) and q.shape[1] > 4 * window
    if window and long and not causal and bias is None and key_segments is None:
        blocks = in_blocks(q, k, v, segments, window)
        scores = _scores(blocks.q, blocks.k, bias, scale)
        mixed = _mixed(scores, blocks.visible, blocks.v, dropout_rate, dropout_key)
        return out_of_blocks(mixed, q.shape[1])
    refuse_large_scores(q.shape[1] * k.shape[1], q.shape[2], _device_kind(), tensor_devices())
    scores = _scores(q, k, bias, scale)
    return _mixed(scores, _visible(segments, key_segments, causal, window), v, dropout_rate, dropout_key)


def _scores(q: jax.Array, k: jax.Array, bias: jax.Array | None, scale: float | None) -> jax.Array:
    """float32 [B, N, L, K], queries before keys; arguments as for `attention`."""
    scores = wide_einsum("bqnd,bknd->bnqk", q, k) * (q.shape[-1] ** -0.5 if scale is None else scale)
    return scores if bias is None else scores + bias.astype(jnp.float32)


def _mixed(
    scores: jax.Array, visible: jax.Array, v: jax.Array, dropout_rate: float, dropout_key: jax.Array | None
) -> jax.Array:
    """[B, L, N, D]: the values of what is visible, as much of each as the scores say; arguments as for `attention`."""
    probabilities = _masked_softmax(scores, visible, v.dtype)
    return jnp.einsum("bnqk,bknd->bqnd", dropout(probabilities, dropout_rate, dropout_key), v)


def _absent(
    q: jax.Array,
    key_segments: jax.Array | None,
    causal: bool,
    bias: jax.Array | None,
    scale: float | None,
    dropout_rate: float,
) -> dict[str, str]:
    """By the name of a fused kernel, what it lacks of what is asked; empty where it lacks nothing."""
    has_no = {
        "no dropout on attention probabilities": (
            dropout_rate,
            ("cudnn", "splash"),
        ),
        "no bias on the scores": (bias is not None, ("cudnn", "splash", "pallas")),
        "no scale of the scores but 1 / sqrt(D)": (scale is not None, ("cudnn", "splash", "pallas")),
        "no causal attention": (causal, ("splash", "pallas")),
        "no keys but the queries' own": (key_segments is not None, ("pallas",)),
    }
    found = {
        kernel: next((f"has {what}" for what, (asked, kernels) in has_no.items() if asked and kernel in kernels), "")
        for kernel in ("cudnn", "splash", "pallas")
    }
    return {**found, "pallas": found["pallas"] or refusal(*q.shape[1:])}


def refuse_large_scores(pairs: int, heads: int, device_kind: str, devices: int = 1) -> None:
    """Raises InputError where plain attention over a row is too much for a TPU without another kernel for it (MOST_SCORES).

    - `pairs`: of a query and a key; `heads`: of a layer, divided over so many `devices`.
    """
    size = 4 * pairs * heads // devices
    most = next((most for kind, most in MOST_SCORES.items() if device_kind.startswith(kind)), size)
    if size > most:
        raise InputError(
            f"attention kernel xla: rows of {math.isqrt(pairs):,} tokens have {size / 1e9:.1f} GB of scores each in every layer that sees all "
            f"positions, and a {device_kind} takes {most / 1e9:.1f} GB; use shorter rows, a larger "
            f"{flags_of('mesh.tensor')}, or a TPU from v4 on"
        )


def _automatic(length: int, absent: Mapping[str, str]) -> str:
    """What auto is for rows of a length.

    - `absent`: of `_absent`.
    """
    kind = _device_kind()
    if not kind.startswith("TPU"):
        return "xla"
    if not absent["pallas"]:
        return "pallas"
    is_long = length > LENGTHS[-1] and length % SPLASH_BLOCK == 0
    return "splash" if is_long and not absent["splash"] and not kind.startswith(tuple(MOST_SCORES)) else "xla"


def _device_kind() -> str:
    """Of the mesh that is set (`jax.set_mesh`), be its devices there or not; empty without one."""
    device = jax.sharding.get_abstract_mesh().abstract_device
    return "" if device is None else device.device_kind


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _masked_softmax(scores: jax.Array, visible: jax.Array, dtype: DTypeLike) -> jax.Array:
    """Softmax of float32 scores over the last axis, in `dtype`, zero where not visible.

    Its own derivative, because the backward pass then keeps the probabilities alone. Without it JAX keeps float32 scores,
    float32 exponentials and the mask too: 5.5 times the bytes in bfloat16, the largest part of what a layer keeps at length 512.
    """
    # A finite mask value: what is masked underflows to exactly zero beside a key that is seen, and nothing is NaN without one.
    return jax.nn.softmax(jnp.where(visible, scores, jnp.finfo(scores.dtype).min), axis=-1).astype(dtype)


def _masked_softmax_forward(scores: jax.Array, visible: jax.Array, dtype: DTypeLike) -> tuple[jax.Array, jax.Array]:
    probabilities = _masked_softmax(scores, visible, dtype)
    return probabilities, probabilities


def _masked_softmax_backward(dtype: DTypeLike, probabilities: jax.Array, gradient: jax.Array) -> tuple[jax.Array, None]:
    wide, gradient = probabilities.astype(jnp.float32), gradient.astype(jnp.float32)
    return wide * (gradient - (wide * gradient).sum(axis=-1, keepdims=True)), None


_masked_softmax.defvjp(_masked_softmax_forward, _masked_softmax_backward)


def _visible(segments: jax.Array, key_segments: jax.Array | None, causal: bool, window: int | None) -> jax.Array:
    """Which keys each query sees: booleans [B, 1, L, K], queries before keys."""
    key_segments = segments if key_segments is None else key_segments
    visible = segments[:, None, :, None] == key_segments[:, None, None, :]
    position = jnp.arange(segments.shape[1])
    ahead = position[None, :] - position[:, None]
    if causal:
        visible = visible & (ahead <= 0)
    if window is not None:
        visible = visible & (jnp.abs(ahead) <= window)
    return visible
