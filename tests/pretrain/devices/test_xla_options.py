import pytest

from data_pipeline.contract.errors import InputError
from pretrain.devices.xla_options import XLA_OPTIONS, xla_options


def test_a_recipes_options_stand_over_those_of_the_machine() -> None:
    table = XLA_OPTIONS["TPU v5"]
    name = next(iter(table))
    assert xla_options("TPU v5 lite", ()) == table
    assert xla_options("TPU v5 lite", (f"{name}=false",)) == {**table, name: False}
    assert xla_options("TPU v3", ()) == xla_options("cpu", ()) == {}
    given = ("xla_a=3", "xla_b=0.5", "xla_c=auto", "xla_d=x=y")
    assert xla_options("cpu", given) == {"xla_a": 3, "xla_b": 0.5, "xla_c": "auto", "xla_d": "x=y"}


@pytest.mark.parametrize("option", ["xla_a", "=3"])
def test_an_option_without_name_or_value_is_refused(option: str) -> None:
    with pytest.raises(InputError, match=f"--training.xla-options {option}: must be NAME=VALUE"):
        xla_options("cpu", (option,))
