"""What every family's config tells. No JAX here: recipes import the configs."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import ClassVar, NamedTuple

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_fields import flag
from pretrain.open_union import members

DEFAULT_CONFIG = "BertConfig"
"""The config of a recipe that names none."""
PADDING = "pad_token_id"
"""The field of families whose computation depends on which token pads."""


class RowShape(NamedTuple):
    """Sizes of a training row, of which its FLOPs are made.

    - `length`, `target_length`: tokens of the row and of its target (0 without one).
    - `vocabulary_size`: entries of the vocabulary.
    - `predictions`: positions whose token is predicted.
    - `attended`: pairs of a query and a key that attention computes for the model's sake: both real tokens of one segment. None
      means each token with each, length x length.
    """

    length: int
    target_length: int
    vocabulary_size: int
    predictions: int
    attended: float | None = None

    @property
    def pairs(self) -> float:
        """`attended`, or those of a row that is one segment without padding."""
        return self.length**2 if self.attended is None else self.attended


class LongestRow(NamedTuple):
    """What limits a row's tokens.

    - `field`: the config's field; `value`: what it is.
    - `tokens`: of the longest row; fewer than `value` where a family keeps positions for itself.
    """

    field: str
    value: int
    tokens: int


@dataclass(frozen=True)
class ModelConfig(ABC):
    """The sizes of a model. A family's own lies in its `config.py`, with Hugging Face's names for the fields.

    `TrainingRecipe.model` takes any of them: which one it holds is the choice of the family.
    """

    pools_tokens: ClassVar[bool] = False
    """Whether neighbouring tokens become one on the way: a row is then one text, for segments do not keep several apart, and how far it
    is padded changes what is said of it."""

    @property
    @abstractmethod
    def vocab_size(self) -> int | None:
        """Entries of the vocabulary; None: the records say."""

    @abstractmethod
    def longest_row(self) -> LongestRow | None:
        """What limits a row's tokens; None where nothing does."""

    def misfit(self, named: Callable[[str], str]) -> str | None:
        """A sentence on fields that do not go together; None where all do.

        - `named`: what the user calls a field: its flag, or its name in config.json.
        """
        return None

    @abstractmethod
    def token_types(self) -> tuple[str, int] | None:
        """The field that counts token types, and its value; None where the family has none."""

    @abstractmethod
    def tensor_divides(self) -> Mapping[str, int]:
        """Fields whose value the devices along mesh.tensor must divide."""

    @abstractmethod
    def in_words(self) -> str:
        """Its sizes, after "a Korean BERT of": "12 layers, 768 wide"."""

    def generator(self, hidden_share: float, layers_share: float, *, shares_tables: bool = True) -> "ModelConfig":
        """The config of the generator that proposes replacements to a discriminator of this config.

        - `hidden_share`, `layers_share`: its width and its layers as shares of the discriminator's.
        - `shares_tables`: whether its tables are the discriminator's, whose width a family without a map behind them then keeps.

        Raises InputError where the family has no generators, or the share makes no width that suits it.
        """
        raise InputError(
            f"model is a {type(self).__name__}, which has no generator; replaced-token detection needs a family such as "
            "ElectraConfig"
        )

    @abstractmethod
    def has_dropout(self) -> bool:
        """Whether anything is dropped while training."""

    @abstractmethod
    def parameter_count(self, vocab_size: int, heads: frozenset[str]) -> int:
        """Parameters of the encoder, without heads that map to the vocabulary or to labels."""

    @abstractmethod
    def flops_per_row(self, row: RowShape, heads: frozenset[str]) -> float:
        """Model FLOPs of a training row, forward and backward: three times the forward's multiply-adds, two each.

        Counts matrix products only, as is usual for MFU (Kaplan et al. 2020, arXiv 2001.08361, section 2.1); those of attention
        for `row.pairs`, whatever a kernel computes beside them.
        """


def check_config(config: ModelConfig, vocabulary_size: int) -> None:
    """Raises InputError for fields that do not go together, and where `vocab_size` is not the vocabulary's."""
    if misfit := config.misfit(lambda field: flag("training", f"model.{field}")):
        raise InputError(misfit)
    if config.vocab_size not in (None, vocabulary_size):
        raise InputError(
            f"--training.model.vocab-size {config.vocab_size}: the vocabulary has {vocabulary_size} entries; leave it unset"
        )


def with_vocabulary(config: ModelConfig, size: int) -> ModelConfig:
    """The config with its vocabulary's size filled in."""
    return replace(config, vocab_size=size)  # type: ignore[call-arg]  # the property is a field of each


def with_padding(config: ModelConfig, pad_id: int) -> ModelConfig:
    """The config with the id of the padding filled in, where its family has a field for it.

    Raises InputError where that holds another.
    """
    if not any(field.name == PADDING for field in fields(config)):
        return config
    told = getattr(config, PADDING)
    if told not in (None, pad_id):
        raise InputError(f"{flag('training', f'model.{PADDING}')} {told}: the records have {pad_id}; leave it unset")
    return replace(config, **{PADDING: pad_id})


def config_classes() -> tuple[type[ModelConfig], ...]:
    """The config of each family: of every package beside this file, and of any other that was imported."""
    return members(ModelConfig, __package__, "config")  # type: ignore[type-abstract]


def default_config() -> ModelConfig:
    """The default family's config with its default sizes."""
    return next(kind() for kind in config_classes() if kind.__name__ == DEFAULT_CONFIG)
