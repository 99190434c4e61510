"""What a row of the table says of Hugging Face's tensor is done on the way there and undone on the way back."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import pytest

from data_pipeline.contract.errors import InputError
from pretrain.hugging_face.weights import (
    from_hugging_face,
    refuse_unknown_encoder,
    surplus_tensors,
    tensor_names,
    to_hugging_face,
)
from pretrain.models.parameter_rules import ParameterRule, Rules

VOCAB, PADDED, HIDDEN, INNER, LAYERS = 5, 8, 3, 4, 2


def drawn(**shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Parameters of these shapes in which no two numbers are alike."""
    random, params = np.random.default_rng(0), {}
    for name, shape in shapes.items():
        params[name] = random.normal(size=shape).astype(np.float32)
    return params


def shapes_of(params: Mapping[str, Any]) -> Any:
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), params)


def there_and_back(params: Any, rules: Rules) -> dict[str, np.ndarray]:
    """The tensors; what is read from them is what was written, bit for bit."""
    tensors = to_hugging_face(params, rules, VOCAB)
    assert all(tensor.dtype == np.float32 and tensor.flags.c_contiguous for tensor in tensors.values())
    assert tensor_names(shapes_of(params), rules, copies=True).keys() == tensors.keys()
    back = from_hugging_face(tensors, shapes_of(params), rules, VOCAB)
    # Refuses trees of different structure.
    jax.tree.map(np.testing.assert_array_equal, back, params)
    return tensors


def test_a_matrix_is_transposed_where_the_rule_says_so() -> None:
    params = drawn(kernel=(HIDDEN, INNER), conv=(HIDDEN, INNER))
    rules = (
        ParameterRule("kernel", "matrix", hugging_face="linear.weight", transposed=True),
        ParameterRule("conv", "matrix", hugging_face="conv1d.weight"),
    )
    tensors = there_and_back(params, rules)
    np.testing.assert_array_equal(tensors["linear.weight"], params["kernel"].T)
    np.testing.assert_array_equal(tensors["conv1d.weight"], params["conv"])


def test_layers_are_tensors_of_their_own_and_groups_of_the_pattern_name_them() -> None:
    layer = drawn(kernel=(LAYERS, HIDDEN, INNER))
    params = {"layers": {"query": layer, "key": drawn(kernel=(LAYERS, HIDDEN, INNER))}}
    name = r"layer.{layer}.\1.weight"
    rules = (ParameterRule("layers/(query|key)/kernel", "matrix", stacked=1, hugging_face=name, transposed=True),)
    tensors = there_and_back(params, rules)
    assert tensors.keys() == {f"layer.{index}.{part}.weight" for index in (0, 1) for part in ("query", "key")}
    np.testing.assert_array_equal(tensors["layer.1.query.weight"], layer["kernel"][1].T)


def test_two_stacked_dimensions_are_counted_each_and_together() -> None:
    params = drawn(a=(2, 3, HIDDEN), b=(2, 3, HIDDEN))
    rules = (
        ParameterRule("a", "norm", stacked=2, hugging_face="blocks.{0}.{1}.weight"),
        ParameterRule("b", "norm", stacked=2, hugging_face="layers.{layer}.weight"),
    )
    tensors = there_and_back(params, rules)
    assert len(tensors) == 12
    np.testing.assert_array_equal(tensors["blocks.1.2.weight"], params["a"][1, 2])
    np.testing.assert_array_equal(tensors["layers.5.weight"], params["b"][1, 2])
    np.testing.assert_array_equal(tensors["layers.2.weight"], params["b"][0, 2])


@pytest.mark.parametrize("transposed", [True, False])
@pytest.mark.parametrize("stacked", [0, 1])
def test_fused_parts_are_one_tensor_along_the_outputs(transposed: bool, stacked: int) -> None:
    stack, number = (LAYERS,) * stacked, ".{layer}" * stacked
    params = {part: drawn(kernel=(*stack, HIDDEN, HIDDEN), bias=(*stack, HIDDEN)) for part in ("query", "key", "value")}
    for offset, part in enumerate(params.values()):
        for leaf in part.values():
            leaf += 10 * offset
    rules = tuple(
        rule
        for index, part in enumerate(params)
        for rule in (
            ParameterRule(
                f"{part}/kernel",
                "matrix",
                stacked=stacked,
                hugging_face=f"qkv{number}.weight",
                transposed=transposed,
                fused=(index, 3),
            ),
            ParameterRule(f"{part}/bias", "bias", stacked=stacked, hugging_face=f"qkv{number}.bias", fused=(index, 3)),
        )
    )
    tensors = there_and_back(params, rules)
    for layer in range(LAYERS if stacked else 1):
        at = (layer,) * stacked
        suffix = f".{layer}" * stacked
        kernels, biases = ([part[name][at] for part in params.values()] for name in ("kernel", "bias"))
        weight = np.concatenate([kernel.T for kernel in kernels]) if transposed else np.concatenate(kernels, axis=1)
        assert weight.shape == ((3 * HIDDEN, HIDDEN) if transposed else (HIDDEN, 3 * HIDDEN))
        np.testing.assert_array_equal(tensors[f"qkv{suffix}.weight"], weight)
        np.testing.assert_array_equal(tensors[f"qkv{suffix}.bias"], np.concatenate(biases))
    assert len(tensors) == 2 * (LAYERS if stacked else 1)


def test_a_fused_tensor_that_lacks_a_part_is_named() -> None:
    rules = tuple(
        ParameterRule(part, "vector", hugging_face="qkv", fused=(index, 3)) for index, part in enumerate("qkv")
    )
    with pytest.raises(InputError, match="qkv: is made of several parameters, of which some are missing"):
        to_hugging_face(drawn(q=(HIDDEN,), v=(HIDDEN,)), rules, VOCAB)


def test_copies_are_written_under_every_name_and_read_from_the_first() -> None:
    params = drawn(table=(LAYERS, HIDDEN, INNER))
    names = ("encoder.{layer}", "decoder.{layer}", "cross.{layer}")
    rules = (ParameterRule("table", "matrix", stacked=1, hugging_face=names[0], copies=names[1:]),)
    tensors = there_and_back(params, rules)
    assert tensors.keys() == {name.format(layer=layer) for name in names for layer in range(LAYERS)}
    np.testing.assert_array_equal(tensors["cross.1"], tensors["encoder.1"])
    only_first = {name: tensor for name, tensor in tensors.items() if name.startswith("encoder")}
    assert tensor_names(shapes_of(params), rules, copies=False).keys() == only_first.keys()
    assert tensor_names(shapes_of(params), rules, copies=True).keys() == tensors.keys()
    back = from_hugging_face(only_first, shapes_of(params), rules, VOCAB)
    np.testing.assert_array_equal(back["table"], params["table"])


def test_absent_layers_are_not_written_and_keep_what_the_template_holds() -> None:
    params = drawn(norm=(3, HIDDEN))
    rules = (ParameterRule("norm", "norm", stacked=1, hugging_face="layers.{layer}.norm", absent=(0,)),)
    tensors = to_hugging_face(params, rules, VOCAB)
    assert (
        tensors.keys()
        == tensor_names(shapes_of(params), rules, copies=True).keys()
        == {"layers.1.norm", "layers.2.norm"}
    )
    template = {"norm": np.full((3, HIDDEN), 7.0, np.float32)}
    back = from_hugging_face(tensors, template, rules, VOCAB)
    np.testing.assert_array_equal(back["norm"], np.stack([template["norm"][0], *params["norm"][1:]]))
    assert (template["norm"] == 7).all()


def test_a_parameter_without_a_name_is_not_written_and_keeps_what_the_template_holds() -> None:
    params = drawn(ours=(HIDDEN,), both=(HIDDEN,))
    rules = (ParameterRule("ours", "vector"), ParameterRule("both", "vector", hugging_face="both"))
    tensors = to_hugging_face(params, rules, VOCAB)
    assert tensors.keys() == {"both"}
    back = from_hugging_face(tensors, {**params, "both": np.zeros(HIDDEN)}, rules, VOCAB)
    jax.tree.map(np.testing.assert_array_equal, back, params)


def test_a_tensor_of_another_rank_has_the_shape_that_the_rule_says() -> None:
    params = drawn(flat=(LAYERS, HIDDEN, 2 * INNER), turned=(HIDDEN, 2 * INNER), bias=(2 * INNER,))
    rules = (
        ParameterRule("flat", "matrix", stacked=1, hugging_face="flat.{layer}", hugging_face_shape=(HIDDEN, 2, INNER)),
        ParameterRule(
            "turned", "matrix", hugging_face="turned", transposed=True, hugging_face_shape=(2, INNER, HIDDEN)
        ),
        ParameterRule("bias", "bias", hugging_face="bias", hugging_face_shape=(2, INNER)),
    )
    tensors = there_and_back(params, rules)
    np.testing.assert_array_equal(tensors["flat.1"], params["flat"][1].reshape(HIDDEN, 2, INNER))
    np.testing.assert_array_equal(tensors["turned"], params["turned"].T.reshape(2, INNER, HIDDEN))
    np.testing.assert_array_equal(tensors["bias"], params["bias"].reshape(2, INNER))


def test_the_vocabularys_padding_is_cut_there_and_zero_here() -> None:
    params = drawn(table=(PADDED, HIDDEN), bias=(PADDED,), head=(PADDED, HIDDEN))
    rules = (
        ParameterRule("table", "table", rows="vocabulary", hugging_face="table"),
        ParameterRule("bias", "bias", rows="vocabulary", hugging_face="bias"),
        ParameterRule("head", "table", rows="vocabulary", hugging_face="head", transposed=True),
    )
    tensors = to_hugging_face(params, rules, VOCAB)
    np.testing.assert_array_equal(tensors["table"], params["table"][:VOCAB])
    np.testing.assert_array_equal(tensors["bias"], params["bias"][:VOCAB])
    np.testing.assert_array_equal(tensors["head"], params["head"][:VOCAB].T)
    # Whatever the template holds there.
    for template in (params, shapes_of(params)):
        back = from_hugging_face(tensors, template, rules, VOCAB)
        for name, leaf in back.items():
            np.testing.assert_array_equal(leaf[:VOCAB], params[name][:VOCAB])
            assert leaf.shape == params[name].shape
            assert not leaf[VOCAB:].any()
    there_and_back(back, rules)


def test_other_float_types_are_read_and_written_as_float32() -> None:
    rules = (ParameterRule("kernel", "matrix", hugging_face="kernel"),)
    params = {"kernel": jax.numpy.linspace(0, 1, 6, dtype="bfloat16").reshape(2, 3)}
    tensors = to_hugging_face(params, rules, VOCAB)
    back = from_hugging_face({"kernel": tensors["kernel"].astype(np.float16)}, shapes_of(params), rules, VOCAB)
    assert tensors["kernel"].dtype == back["kernel"].dtype == np.float32
    np.testing.assert_allclose(back["kernel"], params["kernel"].astype("float32"), rtol=2**-10)


FUSED = (
    ParameterRule("layers/query", "matrix", stacked=1, hugging_face="{layer}.qk", transposed=True, fused=(0, 2)),
    ParameterRule("layers/key", "matrix", stacked=1, hugging_face="{layer}.qk", transposed=True, fused=(1, 2)),
    ParameterRule("table", "table", rows="vocabulary", hugging_face="table"),
)


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("1.qk", None, r"has no tensor 1\.qk; is it a model of this configuration\?"),
        ("1.qk", np.zeros((HIDDEN, 2 * HIDDEN)), r"tensor 1\.qk is \[3, 6\], not \[6, 3\]"),
        ("0.qk", np.zeros((HIDDEN, HIDDEN)), r"tensor 0\.qk is \[3, 3\], not \[6, 3\]"),
        ("table", np.zeros((PADDED, HIDDEN)), r"tensor table is \[8, 3\], not \[5, 3\]"),
        ("table", None, "has no tensor table"),
    ],
)
def test_a_missing_or_misshapen_tensor_is_named(name: str, tensor: np.ndarray | None, message: str) -> None:
    params = {
        "layers": drawn(query=(LAYERS, HIDDEN, HIDDEN), key=(LAYERS, HIDDEN, HIDDEN)),
        **drawn(table=(PADDED, HIDDEN)),
    }
    tensors = to_hugging_face(params, FUSED, VOCAB)
    del tensors[name]
    if tensor is not None:
        tensors[name] = tensor
    with pytest.raises(InputError, match=message):
        from_hugging_face(tensors, shapes_of(params), FUSED, VOCAB)


def test_what_a_family_does_not_have_is_surplus_unless_it_is_no_parameter() -> None:
    assert surplus_tensors(["table", "position_ids"], {"table": 0}, ("position_ids",)) == []
    assert surplus_tensors(["table", "head", "2.qk"], {"table": 0}, ()) == ["2.qk", "head"]


@pytest.mark.parametrize(
    ("names", "unknown"),
    [
        (("deep.table", "deep.{layer}.qk"), ["deep.2.scale"]),
        # Nothing that all names share: whatever is not known may be of the encoder.
        (("table", "{layer}.qk"), ["deep.2.scale", "deep.pooler.weight", "head.weight"]),
    ],
)
def test_unknown_tensors_of_the_encoder_are_refused_and_those_of_heads_are_not(
    names: tuple[str, ...], unknown: list[str]
) -> None:
    rules = tuple(ParameterRule("x", "vector", hugging_face=name) for name in names)
    surplus = ["deep.2.scale", "deep.pooler.weight", "head.weight"]
    with pytest.raises(
        InputError, match=rf"start_from here: its encoder has {len(unknown)} tensors .*the first is deep\.2"
    ):
        refuse_unknown_encoder(surplus, rules, ("pooler.",), "start_from here")
    refuse_unknown_encoder(sorted(set(surplus) - set(unknown)), rules, ("pooler.",), "start_from here")


def test_a_parameter_without_a_rule_is_named() -> None:
    params = drawn(table=(PADDED, HIDDEN), new=(HIDDEN,))
    with pytest.raises(InputError, match="new: no ParameterRule"):
        to_hugging_face(params, FUSED, VOCAB)
    with pytest.raises(InputError, match="new: no ParameterRule"):
        from_hugging_face({"table": params["table"][:VOCAB]}, shapes_of(params), FUSED, VOCAB)
