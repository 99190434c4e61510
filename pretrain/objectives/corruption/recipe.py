"""How much of a row is hidden, and by what. No JAX here: recipes import this file."""

import math
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, Self

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_fields import (
    ABOVE_ZERO_TO_ONE,
    AT_LEAST_ONE,
    ZERO_TO_ONE,
    Limit,
    flag,
    limited,
    number,
)


def _are_weights(value: object) -> bool:
    return isinstance(value, tuple) and all(0 <= weight < math.inf for weight in value) and sum(value) > 0


WEIGHTS = Limit("one weight or more, each 0 or more and one of them above 0", _are_weights)


def geometric(p: float, longest: int) -> tuple[float, ...]:
    """The weights of lengths 1 to `longest` that a geometric distribution gives them; what is longer has none."""
    return tuple(p * (1 - p) ** (length - 1) for length in range(1, longest + 1))


WORDS = (1.0,)
"""Weights of n-gram lengths: words one by one."""
ZIPF = (1.0, 1 / 2, 1 / 3)
"""Weights 1 / n of n-grams of up to 3 words (Lan et al. 2019, section 4.1); KoBigBird's script takes the first two."""
SPANBERT_SPANS = geometric(0.2, 10)
"""Weights of spans of 1 to 10 words, 3.8 in the mean (Joshi et al. 2020, section 3.1)."""


@dataclass(frozen=True)
class Masking:
    """Masking of whole words (Devlin et al. 2019, section 3.1; the word unit belongs to the records), one by one or as n-grams."""

    rate: float = number(0.15, ABOVE_ZERO_TO_ONE)
    """Share of a row's tokens to predict, 0 to 1."""
    final_rate: float | None = number(None, ABOVE_ZERO_TO_ONE)
    """The rate of the last step: it changes linearly from `rate` on, over the run, or over a phase whose settings name one of the
    two. None: `rate` throughout."""
    evaluation_rate: float | None = number(None, ABOVE_ZERO_TO_ONE)
    """The rate of held-out rows, the same throughout the run, so that its losses compare. None: the rate of the run's last step."""
    max_predictions: int | None = number(None, AT_LEAST_ONE)
    """Most predictions a row; None means rate x length, rounded up, with the larger of the two rates."""
    ngrams: tuple[float, ...] = field(default=WORDS, metadata=limited(WEIGHTS))
    """Weights of n-grams of 1, 2, 3, ... words, which are hidden together: 1 0.5 is KoBigBird's option, `ZIPF` ALBERT's, and
    `SPANBERT_SPANS` SpanBERT's. One weight: words one by one."""
    mask_share: float = number(0.8, ZERO_TO_ONE)
    """Share of predicted tokens replaced by [MASK], 0 to 1."""
    random_share: float = number(0.1, ZERO_TO_ONE)
    """Share of predicted tokens replaced by a random token, 0 to 1; the rest stays."""
    replace_unit: Literal["token", "word", "ngram"] = "token"
    """What the two shares are drawn for: token (each piece of a word for itself, as google-research/bert), word (one draw for
    all pieces of a word) or ngram (one draw for all its words, as KoBigBird and SpanBERT)."""
    static_masks: int | None = number(None, AT_LEAST_ONE)
    """Different masks a row ever gets, in turn over the epochs (dupe_factor in Google's code); None draws one anew each epoch."""

    @property
    def held_out_rate(self) -> float:
        """The rate of held-out rows."""
        return self.evaluation_rate or self.final_rate or self.rate

    def predictions(self, length: int, held_out: bool = False) -> int:
        """Predictions a row of training, or of evaluation; K.

        - `length`: tokens a row.
        """
        rate = self.held_out_rate if held_out else max(self.rate, self.final_rate or 0)
        return self.max_predictions or math.ceil(rate * length)

    def check(self, length: int) -> None:
        """Raises InputError where rows of this length cannot have as many predictions as the fields together want.

        One `rate` alone may want more: it then has a limit of tokens, as max_predictions_per_seq of Google's code.
        """
        if not 1 <= (self.max_predictions or 1) <= length:
            raise InputError(
                f"--training.objective.masking.max-predictions {self.max_predictions}: must be 1 to {length}, the tokens of a row"
            )
        scheduled = {"rate": self.rate, "final_rate": self.final_rate} if self.final_rate else {}
        for name, rate in {**scheduled, "evaluation_rate": self.evaluation_rate}.items():
            if rate and math.ceil(rate * length) > self.predictions(length, name == "evaluation_rate"):
                raise InputError(
                    f"--training.objective.masking.max-predictions {self.max_predictions}: "
                    f"{flag('training', f'objective.masking.{name}')} {rate} of {length} tokens needs {math.ceil(rate * length)}; make it as many, or leave it unset"
                )

    def evaluated_as(self, last: "Masking") -> "Masking":
        """Itself with the held-out rows of the run's last phase. Raises InputError where it names another rate for them."""
        if self.held_out_rate == last.held_out_rate:
            return self
        if self.evaluation_rate is not None:
            raise InputError(
                f"--training.objective.masking.evaluation-rate {self.evaluation_rate}: the last phase has {last.held_out_rate}, and held-out "
                "rows are masked alike in all phases; set it in the recipe itself, not in a phase's settings"
            )
        return replace(self, evaluation_rate=last.held_out_rate)

    def in_words(self) -> str:
        """What is masked, in a line."""
        changes = "" if self.final_rate is None else f" at first, changing linearly to {_percent(self.final_rate)}"
        words = f"{_percent(self.rate)} of tokens predicted{changes}"
        if self.held_out_rate != self.rate:
            words += f" ({_percent(self.held_out_rate)} of held-out rows throughout)"
        if len(self.ngrams) > 1:
            shares = (f"{weight / sum(self.ngrams):.0%}" for weight in self.ngrams)
            words += f" as n-grams of 1 to {len(self.ngrams)} words ({', '.join(shares)})"
        words += f", of these {_percent(self.mask_share)} masked and {_percent(self.random_share)} replaced at random"
        words += {"token": "", "word": ", all pieces of a word alike", "ngram": ", all words of an n-gram alike"}[
            self.replace_unit
        ]
        return words + (f"; {self.static_masks} masks a row, in turn" if self.static_masks else "")


@dataclass(frozen=True)
class HidesTokens:
    """What the recipes of objectives that mask have in common, beside `ObjectiveRecipe`."""

    scheduled: ClassVar[frozenset[str]] = frozenset({"masking.rate", "masking.final_rate"})

    masking: Masking = field(default_factory=Masking)

    def evaluated_as(self, last: Self) -> Self:
        """See `ObjectiveRecipe`."""
        return replace(self, masking=self.masking.evaluated_as(last.masking))


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"
