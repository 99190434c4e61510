"""What of a target is predicted from what, that the whole scores never exist, and what people read."""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_run import LENGTH, SPECIALS, TARGET_LENGTH, TINY, VOCABULARY, changed, write_records

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.job import objective_of
from pretrain.models.bert_shared.config import BertSharedConfig
from pretrain.objectives.sequence_to_sequence.recipe import SequenceToSequence

PAD, CLS, SEP = (SPECIALS[name] for name in ("pad_id", "cls_id", "sep_id"))
SIZES = {"num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 24}
RECIPE = changed(
    TINY,
    model=BertSharedConfig(**SIZES, max_position_embeddings=LENGTH, initializer_range=0.3),
    objective=SequenceToSequence(chunk=8, sample_tokens=5),
)
PAIRS = [([CLS, 10, 11, 12, SEP], [CLS, 20, 21, SEP]), ([CLS, 13, SEP], [CLS, 22, SEP]), ([], [])]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The objective, the parameters, and the tokenizer."""
    folder = tmp_path_factory.mktemp("pairs") / "examples"
    objective = objective_of(RECIPE, write_records(folder, layout="source_target"))
    return objective, jax.jit(objective.init)(), Tokenizer(folder.parent / "vocabulary")


@cache
def batch() -> Mapping[str, jax.Array]:
    """One microbatch of PAIRS, of which the last is padding."""

    def side(index: int, length: int) -> np.ndarray:
        return np.array([pair[index] + [PAD] * (length - len(pair[index])) for pair in PAIRS], np.uint16)[None]

    bits = {"word_starts": LENGTH, "segment_starts": LENGTH, "target_word_starts": TARGET_LENGTH}
    ids = np.arange(len(PAIRS), dtype=np.int32)[None]
    arrays = {
        "tokens": side(0, LENGTH),
        "target_tokens": side(1, TARGET_LENGTH),
        **{name: np.zeros((1, len(PAIRS), length // 8), np.uint8) for name, length in bits.items()},
        "record_ids": ids,
        "epochs": 0 * ids,
    }
    return jax.tree.map(jnp.asarray, arrays)


def test_each_token_of_a_target_is_predicted_up_to_its_end(made: Any) -> None:
    prepared = {name: np.asarray(values[0]) for name, values in made[0].prepare(batch(), None).items()}
    assert prepared["target_tokens"][0, :4].tolist() == PAIRS[0][1]
    assert prepared["labels"][0, :3].tolist() == [20, 21, SEP]
    assert prepared["weights"].sum(-1).tolist() == [3, 2, 0]
    assert prepared["real_tokens"].tolist() == [5 + 4, 3 + 3, 0]
    assert prepared["row_weights"].tolist() == [1, 1, 0]
    # Of the source with itself, of the target with what is before, of the target with the source.
    assert prepared["attended_pairs"].tolist() == [25 + 10 + 20, 9 + 6 + 9, 0]


def loss_of(made: Any, **changes: Any) -> float:
    objective, params, _ = made
    microbatch = {name: values[0] for name, values in objective.prepare(batch(), None).items()}
    sums = jax.jit(objective.loss_sums)(params, {**microbatch, **changes}, None)
    return float(sums["target"]["loss_sum"])


def test_a_target_is_told_by_its_source_and_by_no_padding(made: Any) -> None:
    microbatch = {name: values[0] for name, values in made[0].prepare(batch(), None).items()}
    whole = loss_of(made)
    source = microbatch["source_tokens"]
    assert loss_of(made, source_tokens=source.at[0, 1].set(99)) != pytest.approx(whole, abs=1e-4)
    padded = {"source_tokens": source.at[0, 7].set(99), "target_tokens": microbatch["target_tokens"].at[0, 6].set(99)}
    assert loss_of(made, **padded) == pytest.approx(whole, abs=1e-4)


def test_the_scores_of_whole_targets_never_exist(made: Any) -> None:
    objective, params, _ = made
    microbatch = {name: values[0] for name, values in objective.prepare(batch(), None).items()}

    def loss(params: Any) -> jax.Array:
        return objective.loss_sums(params, microbatch, jax.random.key(0))["target"]["loss_sum"]

    text = jax.jit(jax.grad(loss)).lower(params).as_text()
    padded = VOCABULARY + -VOCABULARY % 128
    shapes = set(re.findall(rf"tensor<([\dx]*x{padded})xf32>", text))
    assert f"3x8x{padded}" in shapes
    assert not [shape for shape in shapes if np.prod([int(size) for size in shape.split("x")]) > 3 * 8 * padded]


def test_a_sample_has_the_source_the_target_and_what_the_model_writes(made: Any) -> None:
    objective, params, tokenizer = made
    microbatch = {name: values[0] for name, values in objective.prepare(batch(), None).items()}
    (plain, *_) = objective.spell(jax.device_get(objective.show(None, microbatch)), tokenizer)
    text = [tokenizer.backend.decode(side, skip_special_tokens=False) for side in PAIRS[0]]
    assert plain == ("5 + 4 tokens, 3 predicted", f"{text[0]} -> {text[1]}", "", 9)
    shown = jax.device_get(jax.jit(objective.show)(params, microbatch))
    assert shown["written"].shape == (3, 5)
    # What is written first is what is likeliest after the token that begins a target.
    np.testing.assert_array_equal(shown["written"][:2, 0], shown["predictions"][:2, 0])
    (row, _, _) = objective.spell(shown, tokenizer)
    beginning = tokenizer.backend.decode(PAIRS[0][1][1:], skip_special_tokens=False)
    assert row.text.startswith(f"{text[0]} {{{beginning} -> ")
    assert row.right.endswith(" of 3 tokens")


def test_flops_are_those_of_both_sides(made: Any) -> None:
    """Counted by hand: of the encoder, the decoder, cross-attention, the head; each multiply-add 2, and 3 for both passes."""
    hidden, inner, source, target = 16, 24, LENGTH, TARGET_LENGTH
    encoder = (4 * hidden**2 + 2 * hidden * inner) * source + 2 * hidden * source**2
    decoder = (4 * hidden**2 + 2 * hidden * inner) * target + 2 * hidden * target * (target + 1) / 2
    across = 2 * hidden**2 * target + 2 * hidden**2 * source + 2 * hidden * source * target
    head = (hidden**2 + hidden * VOCABULARY) * (target - 1)
    assert made[0].flops_per_row() == 6 * (encoder + decoder + across + head)


def test_records_without_targets_and_targets_beyond_the_positions_are_refused(made: Any, tmp_path: Any) -> None:
    with pytest.raises(InputError, match=r"layout packed, which sequence-to-sequence .* prepare others: source_target"):
        objective_of(RECIPE, write_records(tmp_path / "packed" / "examples"))
    header = replace(made[0].header, length=16)
    with pytest.raises(InputError, match=f"max-position-embeddings 16: the records' rows have {TARGET_LENGTH} tokens"):
        objective_of(changed(RECIPE, model={"max_position_embeddings": 16}), header)
