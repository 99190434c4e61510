"""Span corruption as an objective: what decides the spans, what is counted, which vocabularies are refused, what people read."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_run import LENGTH, SPECIALS, TINY, VOCABULARY, changed, write_records

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.records import RecordsHeader
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.job import objective_of
from pretrain.models.gpt2.config import GPT2Config
from pretrain.models.t5.config import T5Config
from pretrain.objectives.span_corruption.recipe import SpanCorruption

PAD, CLS, SEP = (SPECIALS[name] for name in ("pad_id", "cls_id", "sep_id"))
SIZES = {"num_layers": 1, "num_decoder_layers": 1, "d_model": 16, "d_kv": 8, "num_heads": 2, "d_ff": 24}
RECIPE = changed(
    TINY, model=T5Config(**SIZES), objective=SpanCorruption(mean_span=1.5, chunk=8, sample_tokens=5, first_sentinel=1)
)
UNUSED = tuple(range(190, 200))
"""Taken for [unusedN] here; the first of them is no sentinel."""


@pytest.fixture(scope="module")
def header(tmp_path_factory: pytest.TempPathFactory) -> RecordsHeader:
    written = write_records(tmp_path_factory.mktemp("rows") / "examples", layout="full_sentences")
    return replace(written, reserved_ids=(*written.reserved_ids, *UNUSED))


def batch(epoch: int = 0) -> Mapping[str, jax.Array]:
    """One microbatch: a full row, a row of two tokens, padding."""
    rows = [[CLS, *range(10, 10 + LENGTH - 2), SEP], [CLS, 50, 51, SEP], []]
    bits, ids = np.zeros((1, 3, LENGTH // 8), np.uint8), np.arange(3, dtype=np.int32)[None]
    tokens = np.array([row + [PAD] * (LENGTH - len(row)) for row in rows], np.uint16)[None]
    arrays = {
        "tokens": tokens,
        "word_starts": bits,
        "segment_starts": bits,
        "record_ids": ids,
        "epochs": 0 * ids + epoch,
    }
    return jax.tree.map(jnp.asarray, arrays)


def prepared(objective: Any, epoch: int = 0, step: int | None = 0) -> dict[str, np.ndarray]:
    made = jax.jit(objective.prepare)(batch(epoch), None if step is None else jnp.int32(step))
    return {name: np.asarray(values[0]) for name, values in made.items()}


def test_targets_begin_with_the_padding_and_what_follows_it_is_predicted(header: RecordsHeader) -> None:
    found = prepared(objective_of(RECIPE, header))
    assert found["target_tokens"][:, 0].tolist() == [PAD] * 3
    assert found["target_segments"][:, 0].tolist() == [1, 1, 0]
    for row, (noise, spans) in enumerate([(4, 3), (1, 1)]):
        assert found["labels"][row, 0] == UNUSED[1]
        assert found["labels"][row, noise + spans] == SEP
        assert found["weights"][row].sum() == noise + spans + 1
    assert found["weights"][2].sum() == 0
    assert found["real_tokens"].tolist() == [LENGTH, 4, 0]
    assert found["row_weights"].tolist() == [1, 1, 0]
    source, target = LENGTH - 4 + 3, 4 + 3 + 2
    assert found["attended_pairs"][0] == source**2 + target * (target + 1) // 2 + source * target


def test_spans_are_those_of_record_and_epoch_and_never_change_in_evaluation(header: RecordsHeader) -> None:
    objective = objective_of(RECIPE, header)
    first = prepared(objective)["source_tokens"]
    np.testing.assert_array_equal(prepared(objective, step=7)["source_tokens"], first)
    assert (prepared(objective, epoch=1)["source_tokens"] != first).any()
    held_out = prepared(objective, step=None)["source_tokens"]
    assert (held_out != first).any()
    np.testing.assert_array_equal(prepared(objective, step=None)["source_tokens"], held_out)


def test_a_vocabulary_with_too_few_rows_and_other_models_and_rows_are_refused(
    header: RecordsHeader, tmp_path: Any
) -> None:
    several = changed(RECIPE, objective={"rate": 0.4, "mean_span": 1.0})
    objective_of(several, replace(header, reserved_ids=(*range(5), *range(180, 200))))
    message = r"--training\.objective\.first-sentinel 1: rows of 32 tokens have up to 12 spans, .* and it has 10; take a vocabulary with 13 or more"
    with pytest.raises(InputError, match=message):
        objective_of(several, header)
    with pytest.raises(InputError, match="is a GPT2Config, which has no head target"):
        objective_of(changed(RECIPE, model=GPT2Config(n_layer=1, n_embd=16, n_head=2)), header)
    with pytest.raises(
        InputError, match=r"layout packed, which span-corruption of this model does not take; .* full_sentences"
    ):
        objective_of(RECIPE, replace(header, layout="packed"))


def test_flops_are_those_of_the_sides_that_are_made(header: RecordsHeader) -> None:
    """Counted by hand: of encoder, decoder, cross-attention and head; each multiply-add 2, and 3 for both passes."""
    hidden, inner, (source, target) = 16, 24, objective_of(RECIPE, header).lengths
    assert (source, target) == (32, 16)
    encoder = (4 * hidden**2 + 2 * hidden * inner) * source + 2 * hidden * source**2
    decoder = (4 * hidden**2 + 2 * hidden * inner) * target + 2 * hidden * target * (target + 1) / 2
    across = 2 * hidden**2 * (target + source) + 2 * hidden * source * target
    head = hidden * VOCABULARY * (target - 1)
    assert objective_of(RECIPE, header).flops_per_row() == 6 * (encoder + decoder + across + head)


def test_people_read_the_sentinels_the_spans_and_what_the_model_writes(header: RecordsHeader, tmp_path: Any) -> None:
    write_records(tmp_path / "examples")
    objective, tokenizer = objective_of(RECIPE, header), Tokenizer(tmp_path / "vocabulary")
    params = jax.jit(objective.init)()
    microbatch = {name: values[0] for name, values in jax.jit(objective.prepare)(batch(), None).items()}
    shown = jax.device_get(jax.jit(objective.show)(params, microbatch))
    np.testing.assert_array_equal(shown["written"][:2, 0], shown["predictions"][:2, 0])
    full, _, empty = objective.spell(shown, tokenizer)
    assert full.heading == "31 + 9 tokens, 8 predicted"
    source, told = full.text.split(" {")
    assert source.count(tokenizer.pieces[UNUSED[1]]) == 1
    assert told.startswith(f"{tokenizer.pieces[UNUSED[1]]} ")
    assert full.right.endswith(" of 8 tokens")
    assert empty.heading == "0 + 0 tokens, 0 predicted"
