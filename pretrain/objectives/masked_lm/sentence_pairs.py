"""Next-sentence prediction (Devlin et al. 2019, section 3.1) and sentence-order prediction (Lan et al. 2019, section 3.1) over
rows `[CLS] A [SEP] B [SEP]`."""

import jax
import jax.numpy as jnp

from pretrain.objectives.losses import masked_lm_sums


def next_sentence_sums(logits: jax.Array, label: jax.Array, weights: jax.Array | None = None) -> dict[str, jax.Array]:
    """Sums of cross-entropy, right answers and weights over sentence pairs; the caller divides once.

    - `logits`: float [B, 2].
    - `label`: uint8 [B] as in the records, which is Hugging Face's convention (`BertForNextSentencePrediction`):
      0 where B follows A, 1 where B comes from elsewhere or, in sentence order, where A follows B.
    - `weights`: float32 [B], 0 for rows that only fill up a batch; None counts every row.

    Returns float32 scalars `loss_sum` (nats), `correct_sum`, `weight_sum`.
    """
    if weights is None:
        weights = jnp.ones(label.shape, jnp.float32)
    return masked_lm_sums(logits, label.astype(jnp.int32), weights)
