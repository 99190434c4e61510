"""How much of a row is hidden, and by what. No JAX here: recipes import this file."""

import math
from dataclasses import dataclass
from typing import Literal

from data_pipeline.contract.errors import InputError
from pretrain.recipe_fields import ABOVE_ZERO_TO_ONE, AT_LEAST_ONE, ZERO_TO_ONE, number


@dataclass(frozen=True)
class Masking:
    """Whole-word masking (Devlin et al. 2019, section 3.1; the word unit belongs to the records)."""

    rate: float = number(0.15, ABOVE_ZERO_TO_ONE)
    """Share of a row's tokens to predict, 0 to 1."""
    max_predictions: int | None = number(None, AT_LEAST_ONE)
    """Most predictions a row; None means rate x length, rounded up."""
    mask_share: float = number(0.8, ZERO_TO_ONE)
    """Share of predicted tokens replaced by [MASK], 0 to 1."""
    random_share: float = number(0.1, ZERO_TO_ONE)
    """Share of predicted tokens replaced by a random token, 0 to 1; the rest stays."""
    replace_unit: Literal["token", "word"] = "token"
    """What the two shares are drawn for: token (each piece of a word for itself, as google-research/bert) or word (one draw for
    all pieces of a word, as KoBigBird)."""
    static_masks: int | None = number(None, AT_LEAST_ONE)
    """Different masks a row ever gets, in turn over the epochs (dupe_factor in Google's code); None draws one anew each epoch."""

    def predictions(self, length: int) -> int:
        """Predictions a row, K.

        - `length`: tokens a row.
        """
        return self.max_predictions or math.ceil(self.rate * length)

    def check(self, length: int) -> None:
        """Raises InputError where rows of this length cannot have as many predictions as max_predictions wants."""
        if (self.max_predictions or 1) > length:
            raise InputError(
                f"objective.masking.max_predictions {self.max_predictions}: must be 1 to {length}, the tokens of a row"
            )

    def in_words(self) -> str:
        """What is masked, in a line."""
        return (
            f"{self.rate:.0%} of tokens predicted, of these {self.mask_share:.0%} masked and {self.random_share:.0%} replaced "
            "at random" + (", all pieces of a word alike" if self.replace_unit == "word" else "")
        )
