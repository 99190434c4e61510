"""Replaced-token detection, as recipes declare it. No JAX here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from data_pipeline.contract.recipe_fields import ABOVE_ZERO, ABOVE_ZERO_TO_ONE, AT_LEAST_ZERO, number
from pretrain.models.config import ModelConfig
from pretrain.objectives.config import LOSS, Headline, ObjectiveRecipe
from pretrain.objectives.corruption.recipe import HidesTokens, Masking

DISCRIMINATOR, GENERATOR = "discriminator", "generator"
GOOGLES_MASKING = Masking(mask_share=0.85, random_share=0.0)
"""85 % of the tokens to predict become [MASK], the others stay (google-research/electra, pretrain_helpers.py, `mask`)."""


@dataclass(frozen=True)
class Generator:
    """The generator's sizes beside the discriminator's, whose head size it has; its feed-forward layers shrink as its width does
    (google-research/electra, configure_pretraining.py and run_pretraining.py)."""

    hidden_share: float = number(1 / 3, ABOVE_ZERO_TO_ONE)
    """Its width as a share of the discriminator's: 1/3 for base, 1/4 for small and large (Clark et al. 2020, table 6). A Funnel that shares
    its tables keeps d_model, and this is the share of its heads and of d_inner."""
    layers_share: float = number(1.0, ABOVE_ZERO_TO_ONE)
    """Its layers as a share of the discriminator's, of a Funnel those of each block and of the decoder."""


@dataclass(frozen=True)
class ReplacedToken(HidesTokens, ObjectiveRecipe):
    """Replaced-token detection (Clark et al. 2020, arXiv 2003.10555): a generator fills what was hidden, and for every token the
    discriminator, which is `training.model`, tells whether it is the original."""

    samples: ClassVar[bool] = True

    masking: Masking = GOOGLES_MASKING
    generator: Generator = field(default_factory=Generator)
    generator_weight: float = number(1.0, AT_LEAST_ZERO)
    """Weight of the generator's loss."""
    discriminator_weight: float = number(50.0, AT_LEAST_ZERO)
    """Weight of the discriminator's loss."""
    shared_embeddings: bool = True
    """Whether both have the same word, position and token type tables and the LayerNorm behind them."""
    temperature: float = number(1.0, ABOVE_ZERO)
    """Divides the generator's logits before a token is sampled."""

    @property
    def title(self) -> str:
        return "replaced-token"

    @property
    def method(self) -> str:
        return "replaced-token detection"

    def in_words(self) -> str:
        shares, tables = self.generator, "the same" if self.shared_embeddings else "its own"
        return (
            f"{self.masking.in_words()}, then filled by a generator of {shares.hidden_share:.3g} of the width of attention and "
            f"feed-forward layers and {shares.layers_share:.3g} of the layers with {tables} tables; loss: {self.generator_weight:g} x the "
            f"generator's + {self.discriminator_weight:g} x the discriminator's"
        )

    def models(self, config: ModelConfig) -> Mapping[str, ModelConfig]:
        shares = self.generator
        generator = config.generator(shares.hidden_share, shares.layers_share, shares_tables=self.shared_embeddings)
        return {DISCRIMINATOR: config, GENERATOR: generator}

    @classmethod
    def headlines(cls) -> tuple[Headline, ...]:
        return LOSS, Headline("discriminator_auc", "discriminator AUC", "", ".3f")
