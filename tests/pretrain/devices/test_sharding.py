import jax
import jax.numpy as jnp
import pytest
from jax.sharding import PartitionSpec

from data_pipeline.contract.errors import InputError
from pretrain.devices.sharding import make_mesh, shardings
from pretrain.recipe import Mesh

RULES = ((r"dense/kernel$", ("fsdp", "tensor")), (r"bias$", ()), (r"table$", (None, ("fsdp", "tensor"))))


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
        (Mesh(data=-1, fsdp=3), ["mesh.fsdp 3", "8 devices"]),
        (Mesh(data=4, fsdp=1), ["mesh.data 4", "there are 8 devices"]),
        (Mesh(data=-1, fsdp=-1), ["mesh.data", "mesh.fsdp", "-1"]),
        (Mesh(tensor=0), ["mesh.tensor 0"]),
    ],
)
def test_a_mesh_that_does_not_fit_the_devices_names_the_field(sizes: Mesh, words: list[str]) -> None:
    with pytest.raises(InputError) as error:
        make_mesh(sizes)
    assert all(word in str(error.value) for word in words)


def test_optimizer_state_lies_where_its_parameter_lies() -> None:
    tree = {
        "params": {"a": {"dense": {"kernel": shape(4, 6), "bias": shape(6)}, "table": shape(3, 8)}},
        "optimizer": (None, {"mu": {"a": {"dense": {"kernel": shape(4, 6)}}}, "count": shape()}),
    }
    placed = shardings(tree, RULES, make_mesh(Mesh(2, 2, 2)))
    assert placed["params"]["a"]["dense"]["kernel"].spec == PartitionSpec("fsdp", "tensor")
    assert placed["params"]["a"]["table"].spec == PartitionSpec(None, ("fsdp", "tensor"))
    assert placed["optimizer"][1]["mu"]["a"]["dense"]["kernel"].spec == PartitionSpec("fsdp", "tensor")
    assert placed["optimizer"][1]["count"].spec == PartitionSpec()


def test_a_parameter_without_a_rule_is_named() -> None:
    with pytest.raises(InputError, match="params/new/scale"):
        shardings({"params": {"new": {"scale": shape(4)}}}, RULES, make_mesh(Mesh()))


def test_a_dimension_that_the_axis_does_not_divide_is_named() -> None:
    with pytest.raises(InputError, match=r"a/dense/kernel: dimension 1 of 5 .*mesh\.tensor = 2"):
        shardings({"a": {"dense": {"kernel": shape(4, 5)}}}, RULES, make_mesh(Mesh(2, 2, 2)))
