"""The rows of a batch with some of their tokens hidden, as a recipe says."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from data_pipeline.contract.records import RecordsHeader
from pretrain.objectives.corruption.masking import MaskedRows, mask_rows, rate_at
from pretrain.objectives.corruption.recipe import Masking
from pretrain.objectives.protocols import EVALUATION_MASKS, MASKS, Batch, Keys, row_keys
from pretrain.objectives.rows import Rows


def masked_batch(
    rows: Rows,
    batch: Batch,
    step: jax.Array | None,
    *,
    masking: Masking,
    header: RecordsHeader,
    keys: Keys,
    steps: range,
) -> MaskedRows:
    """Hides tokens of each row; its record and epoch decide which, and the step at most how many.

    - `rows`: of the batch, [accumulation, microbatch, L].
    - `step`: steps done, int32 scalar; None for evaluation, whose masks never change.
    - `header`: of the records. Its specials and [UNK] are never hidden, its reserved ids never a random replacement.
    - `steps`: see `make_objective`.

    Masks are new in each epoch, or take turns where the recipe has `static_masks`. Returns [accumulation, microbatch, ...].
    """
    epochs, key = batch["epochs"], keys.of(EVALUATION_MASKS if step is None else MASKS)
    if step is not None and masking.static_masks:
        epochs = epochs % masking.static_masks
    rate: float | jax.Array = masking.held_out_rate if step is None else masking.rate
    if step is not None and masking.final_rate is not None:
        rate = rate_at(step, steps, masking.rate, masking.final_rate)
    specials = (header.pad_id, header.unk_id, header.cls_id, header.sep_id, header.mask_id)
    ordinary = jnp.asarray(np.setdiff1d(np.arange(header.vocabulary_size), header.reserved_ids), jnp.int32)

    def mask_microbatch(tokens: jax.Array, word_starts: jax.Array, keys: jax.Array) -> Any:
        return mask_rows(
            tokens,
            word_starts,
            row_keys=keys,
            rate=rate,
            max_predictions=masking.predictions(header.length, held_out=step is None),
            mask_share=masking.mask_share,
            random_share=masking.random_share,
            replace_unit=masking.replace_unit,
            ngrams=masking.ngrams,
            mask_id=header.mask_id,
            special_ids=specials,
            ordinary_ids=ordinary,
        )

    of_rows = row_keys(key, batch["record_ids"], epochs)
    hidden: MaskedRows = jax.vmap(mask_microbatch)(rows.tokens, rows.word_starts, of_rows)
    return hidden
