"""How a model is run over texts. No JAX here: the command lines import this file."""

from dataclasses import dataclass, field
from functools import partial

from data_pipeline.contract.recipe_fields import AT_LEAST_ONE, check_limits, flag, number
from pretrain.evaluate.hardware import Hardware


@dataclass(frozen=True, kw_only=True)
class Running:
    """How a model is run over texts; results change by rounding only, but for max_length."""

    batch_size: int = number(32, AT_LEAST_ONE)
    """Rows computed together."""
    max_length: int | None = number(None, AT_LEAST_ONE)
    """Most tokens of a row, special ones included; what is beyond is cut. None means all that the model reads."""
    hardware: Hardware = field(default_factory=Hardware)

    def check(self) -> None:
        """Raises InputError for a number out of its range."""
        check_limits(self, partial(flag, ""))
