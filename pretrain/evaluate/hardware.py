"""How fine-tuning is computed. No JAX here: the command line imports this file."""

from dataclasses import dataclass, field
from typing import Literal

from data_pipeline.contract.recipe_fields import AT_LEAST_ONE, number
from pretrain.recipe import Mesh


@dataclass(frozen=True)
class Hardware:
    """How fine-tuning is computed; results change by rounding only, but for dropout_rng."""

    mesh: Mesh = field(default_factory=Mesh)
    compute_dtype: Literal["float32", "bfloat16"] | None = None
    """Type of activations and matrix products; None means float32 on CPUs and bfloat16 elsewhere."""
    dropout_rng: Literal["threefry", "rbg"] = "threefry"
    """Generator of dropout bits; rbg is faster on TPU, but its bits change with the mesh."""
    attention: Literal["auto", "xla", "cudnn", "splash", "pallas"] = "auto"
    """Kernel of attention, as of pretraining."""
    scan_unroll: int = number(1, AT_LEAST_ONE)
    """Encoder layers unrolled in each turn of the scan over layers."""

    def dtype_on(self, platform: str) -> str:
        """The type of activations on devices of a platform, as JAX names it."""
        return self.compute_dtype or ("float32" if platform == "cpu" else "bfloat16")
