import jax
import jax.numpy as jnp
import optax
import pytest
from jax.sharding import PartitionSpec

from data_pipeline.contract.errors import InputError
from pretrain.devices.sharding import make_mesh, parameter_shardings, state_shardings
from pretrain.models.parameter_rules import ParameterRule
from pretrain.recipe import Mesh

RULES = (
    ParameterRule(".*dense/kernel", "matrix", ("fsdp", "tensor")),
    ParameterRule(".*bias", "bias"),
    ParameterRule(".*table", "table", (None, ("fsdp", "tensor"))),
    ParameterRule("layers/kernel", "matrix", ("fsdp", "tensor"), stacked=1),
)


def shape(*sizes: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(sizes, jnp.float32)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [(Mesh(), (8, 1, 1)), (Mesh(2, -1, 2), (2, 2, 2)), (Mesh(2, 2, 2), (2, 2, 2)), (Mesh(1, 1, -1), (1, 1, 8))],
)
def test_minus_one_takes_the_devices_that_are_left(sizes: Mesh, expected: tuple[int, int, int]) -> None:
    assert tuple(make_mesh(sizes).shape.values()) == expected


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        (Mesh(data=-1, fsdp=3), ["--training.mesh.fsdp 3", "8 devices"]),
        (Mesh(data=4, fsdp=1), ["--training.mesh.data 4", "there are 8 devices"]),
        (Mesh(data=-1, fsdp=-1), ["--training.mesh.data", "--training.mesh.fsdp", "-1"]),
        (Mesh(tensor=0), ["--training.mesh.tensor 0"]),
    ],
)
def test_a_mesh_that_does_not_fit_the_devices_names_the_flag(sizes: Mesh, words: list[str]) -> None:
    with pytest.raises(InputError) as error:
        make_mesh(sizes)
    assert all(word in str(error.value) for word in words)
    with pytest.raises(InputError, match=r"^--hardware\.mesh\.data"):
        make_mesh(Mesh(data=4), of="hardware")


def test_optimizer_state_lies_where_its_parameter_lies() -> None:
    params = {"a": {"dense": {"kernel": shape(4, 6), "bias": shape(6)}, "table": shape(3, 8)}}
    optimizer = optax.adam(0.1)
    state = {"params": params, "optimizer": jax.eval_shape(optimizer.init, params), "step": shape()}
    placed = state_shardings(state, optimizer, RULES, make_mesh(Mesh(2, 2, 2)))
    assert placed["params"]["a"]["dense"]["kernel"].spec == PartitionSpec("fsdp", "tensor")
    assert placed["params"]["a"]["table"].spec == PartitionSpec(None, ("fsdp", "tensor"))
    adam, _ = placed["optimizer"]
    assert (
        adam.mu["a"]["dense"]["kernel"].spec == adam.nu["a"]["dense"]["kernel"].spec == PartitionSpec("fsdp", "tensor")
    )
    assert adam.mu["a"]["table"].spec == PartitionSpec(None, ("fsdp", "tensor"))
    assert adam.mu["a"]["dense"]["bias"].spec == adam.count.spec == placed["step"].spec == PartitionSpec()


def test_the_axes_of_a_rule_begin_behind_the_layers() -> None:
    placed = parameter_shardings({"layers": {"kernel": shape(3, 4, 6)}}, RULES, make_mesh(Mesh(2, 2, 2)))
    assert placed["layers"]["kernel"].spec == PartitionSpec(None, "fsdp", "tensor")


def test_a_parameter_without_a_rule_is_named() -> None:
    with pytest.raises(InputError, match="new/scale: no ParameterRule matches"):
        parameter_shardings({"new": {"scale": shape(4)}}, RULES, make_mesh(Mesh()))


def test_a_dimension_that_the_axis_does_not_divide_is_named() -> None:
    with pytest.raises(
        InputError,
        match=r"a/dense/kernel: dimension 1 of 5 cannot be divided over 2 devices; choose another --training\.mesh\.tensor",
    ):
        parameter_shardings({"a": {"dense": {"kernel": shape(4, 5)}}}, RULES, make_mesh(Mesh(2, 2, 2)))
