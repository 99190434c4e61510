"""What every objective's recipe is. No JAX here: recipes import these."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Self

from pretrain.models.config import ModelConfig
from pretrain.open_union import members

DEFAULT_OBJECTIVE = "MaskedLM"
"""The recipe of the objective where a training recipe names none."""


class Headline(NamedTuple):
    """A metric that people look at first.

    - `metric`: its name in metrics.jsonl; `evaluation_` and the name is the one on held-out rows.
    - `title`: what console, plots and the card call it; `unit`: "nats", or empty.
    - `style`: how a value is printed, a format specification.
    """

    metric: str
    title: str
    unit: str
    style: str


LOSS = Headline("loss", "loss", "nats", ".4f")


@dataclass(frozen=True)
class ObjectiveRecipe(ABC):
    """What is learnt, and how strongly. An objective's own lies in its `recipe.py`, and `objective.py` beside it computes it.

    `TrainingRecipe.objective` takes any of them: which one it holds is the choice of the objective.
    """

    samples: ClassVar[bool] = False
    """Whether training draws from what a model says: a draw may turn out otherwise where the sums before it round otherwise."""

    scheduled: ClassVar[frozenset[str]] = frozenset()
    """Fields of which values that change with the step are made ("masking.rate"): they change over the whole run, or over a phase
    whose settings name one of them."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What its loss is called: "masked-LM"."""

    @property
    @abstractmethod
    def method(self) -> str:
        """How it trains, after "pretrained with": "masked language modelling"."""

    @abstractmethod
    def in_words(self) -> str:
        """Its settings, in a line of the model card."""

    def models(self, config: ModelConfig) -> Mapping[str, ModelConfig]:
        """The configs of the models that it trains, by part.

        - `config`: `TrainingRecipe.model`.

        Raises InputError where the config's family cannot make one of them.
        """
        return {"model": config}

    def evaluated_as(self, last: Self) -> Self:
        """Itself, held-out rows corrupted as in the run's last phase, so that their losses compare. Raises InputError where it asks
        for something else."""
        return self

    @classmethod
    @abstractmethod
    def headlines(cls) -> tuple[Headline, ...]:
        """The loss first."""

    def held_out(self, pairs: str) -> tuple[Headline, ...]:
        """What a card says of held-out rows; the first is named after the objective.

        - `pairs`: the task of the records' sentence pairs, next_sentence or sentence_order; empty without pairs.
        """
        return self.headlines()


def objective_classes() -> tuple[type[ObjectiveRecipe], ...]:
    """The recipe of each objective: of every package beside this file, and of any other that was imported."""
    return members(ObjectiveRecipe, __package__, "recipe")  # type: ignore[type-abstract]


def default_objective() -> ObjectiveRecipe:
    """The default objective with its default settings."""
    return next(kind() for kind in objective_classes() if kind.__name__ == DEFAULT_OBJECTIVE)
