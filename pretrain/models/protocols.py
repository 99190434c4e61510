"""What the loop knows of a model: how it is computed, what it reads, which heads it has. A family implements these."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, get_args

import jax
import numpy as np
from jax.typing import DTypeLike

from data_pipeline.contract.records import Layout
from data_pipeline.contract.tokenizer import SpecialIds
from pretrain.models.config import ModelConfig
from pretrain.models.core.layers import Parameters
from pretrain.models.parameter_rules import Rules
from pretrain.models.task_heads import CLASSIFIER_DROPOUT, TaskHead


@dataclass(frozen=True)
class Compute:
    """How a model is computed; results change by rounding only.

    - `compute_dtype`: type of activations and matrix products.
    - `parameter_dtype`: type in which parameters are drawn and kept.
    - `remat`: one of `pretrain.models.core.remat.REMAT`.
    - `scan_unroll`: layers unrolled in each turn of the scan over layers.
    - `attention`: one of `pretrain.models.core.attention.IMPLEMENTATIONS`.
    """

    compute_dtype: DTypeLike = "float32"
    parameter_dtype: DTypeLike = "float32"
    remat: str = "none"
    scan_unroll: int = 1
    attention: str = "auto"


class Inputs(NamedTuple):
    """What an encoder reads, integers [B, L] each.

    - `tokens`: ids of the vocabulary.
    - `segments`: a token attends where the segment is its own; padding is a segment of its own.
    - `positions`: counted from 0 in each segment; an offset of the position table is the model's business.
    - `token_types`: rows of the token type table.
    """

    tokens: jax.Array
    segments: jax.Array
    positions: jax.Array
    token_types: jax.Array


class Model(Protocol):
    """A model with its heads: pure functions of a parameter tree."""

    @property
    def config(self) -> ModelConfig: ...
    @property
    def vocab_size(self) -> int: ...
    @property
    def heads(self) -> frozenset[str]: ...

    def init(self, key: jax.Array) -> Parameters:
        """Draws the parameters."""

    def encode(self, params: Parameters, inputs: Inputs, *, dropout_key: jax.Array | None = None) -> jax.Array:
        """The last hidden states [B, L, H]; a key [B] for each row, or one for all, switches dropout on."""


class VocabularyHead(Model, Protocol):
    """A model with the head `vocabulary`."""

    def vocabulary_logits(self, params: Parameters, hidden: jax.Array) -> jax.Array:
        """Scores of the vocabulary, float32 [..., V], for hidden states [..., H]; V may be padded."""


class PairHead(Model, Protocol):
    """A model with the head `pair`."""

    def pair_logits(self, params: Parameters, hidden: jax.Array) -> jax.Array:
        """Scores of the two labels of a pair of texts, float32 [B, 2], for hidden states [B, L, H]."""


class ReplacedHead(Model, Protocol):
    """A model with the head `replaced`."""

    def replaced_logits(self, params: Parameters, hidden: jax.Array) -> jax.Array:
        """Log-odds that a token replaced the original, float32 [...], for hidden states [..., H]."""


class NextTokenHead(Model, Protocol):
    """A causal model with the head `next_token`."""

    def next_token_table(self, params: Parameters) -> jax.Array:
        """The table [V, H] in the parameters' type, V padded, whose products with hidden states are the logits."""

    def next_token_logits(self, params: Parameters, hidden: jax.Array) -> jax.Array:
        """Scores of the token that follows, float32 [..., V], for hidden states [..., H]; V may be padded."""


class OutputTable(NamedTuple):
    """What scores the vocabulary at positions: the products of `hidden` [..., W] in the compute type with `table` [V, W] in the
    parameters' type, V padded, plus `bias` [V] where there is one."""

    hidden: jax.Array
    table: jax.Array
    bias: jax.Array | None


class Decoder(Model, Protocol):
    """An encoder-decoder with the head `target`: `encode` reads the source, and these write the target."""

    def decode(
        self,
        params: Parameters,
        target: Inputs,
        source: jax.Array,
        source_segments: jax.Array,
        *,
        dropout_key: jax.Array | None = None,
    ) -> jax.Array:
        """The decoder's last hidden states [B, T, H]: a position sees itself and earlier ones of its segment, and the source's
        tokens of that segment.

        - `target`: integers [B, T]; begins with the token that begins a target.
        - `source`: of `encode`, [B, S, H]; `source_segments`: integers [B, S].
        - `dropout_key`: as for `encode`, and another.
        """

    def output_table(self, params: Parameters, hidden: jax.Array) -> OutputTable:
        """What scores the token that follows, at hidden states [..., H] of `decode`."""

    def target_logits(self, params: Parameters, hidden: jax.Array) -> jax.Array:
        """Those scores, float32 [..., V], V padded."""


POOLER = "pooler"
"""What a model's `heads` name where it has a pooler and no head behind that."""


class PooledModel(Model, Protocol):
    """A model with the head `pooler`, or with one that looks through it."""

    def pooled(self, params: Parameters, first: jax.Array) -> jax.Array:
        """What transformers calls `pooler_output`, [..., H], for the hidden states [..., H] of first tokens."""


class TaskModel(Model, Protocol):
    """A model with the head of a task, which it is fine-tuned with."""

    @property
    def task(self) -> TaskHead | None: ...

    def task_logits(
        self, params: Parameters, hidden: jax.Array, inputs: Inputs, *, dropout_key: jax.Array | None = None
    ) -> jax.Array:
        """What transformers calls `logits`, float32: of a `classifier` [B, outputs]; of `tags` and of a `span`, whose outputs are start
        and end, [B, L, outputs]. A head of `dependencies` is asked by `pretrain.models.core.dependency_parser.parse`, one of
        `slots` by `pretrain.models.core.slot_generator.generate`.

        - `hidden`: of `encode`, [B, L, H]; `dropout_key`: as there, and of streams of its own.
        """

    @property
    def task_dropout(self) -> float:
        """Of the head, unless that is one of `dependencies`."""

    def word_table(self, params: Parameters) -> jax.Array:
        """The word table [V, W] in the parameters' type, V padded."""

    def summary(self, hidden: jax.Array, segments: jax.Array) -> jax.Array:
        """The hidden states [B, H] of the token of each row that tells its class, of [B, L, H]; `segments` are 0 for padding."""


@dataclass(frozen=True)
class Family:
    """What a model family brings: its package under `models/` holds one as `FAMILY` in `family.py`.

    - `name`: that of the package; `title`: for people.
    - `heads`: all that a model may have.
    - `make`: (config, rows of the vocabulary, heads, compute) -> model; InputError for sizes that do not fit.
    - `rules`: (config, heads) -> the table of its parameters.
    - `model_types`: what `model_type` of a config.json says that this family reads.
    - `current_names`: tensors of a Hugging Face file under the names of `rules`, whatever their age.
    - `not_parameters`: beginnings of tensor names that are copies or constants, and are not read.
    - `config_to_json`: (config, rows of the vocabulary, ids of its specials, heads) -> content of config.json.
    - `config_from_json`: the config that a config.json tells; InputError for what this family does not compute.
    - `must_match`: fields of the config that must be equal where one model starts from another.
    - `auto_class`: transformers' class that loads an export with such heads for the proof; empty where it has none.
    - `logits`: (model, parameters, inputs) -> what that class calls `logits`; of an encoder-decoder those of the inputs as source and as
      target, without token types there.
    - `layouts`: of the rows that its models can read.
    - `zero_padding`: whether the word table's row of `config.pad_token_id` is zero and stays so, because transformers sets it to zero
      whenever it reads a model.
    - `shared_with_generator`: path of the parameters that a generator (`ModelConfig.generator`) may share with its discriminator;
      empty where the family has no generators.
    - `template`: what an export's tokenizer makes of a text: `text` and roles of `SpecialIds`; empty leaves the tokenizer's own.
    - `generation_config`: ids of the specials -> content of generation_config.json; None where the family writes no text.
    - `sentinels`: whether an export's tokenizer finds [unusedN] in texts, because the family's models are asked with such.
    - `caveat`: sentences that a card says of every model of the family.
    - `heads_in_body`: beginnings of tensor names, behind the module that has the encoder ("bert."), which are of a head all the same:
      a start leaves them behind where no head here has them.
    - `adds_pooler`: whether transformers' AutoModel adds a pooler, at random, to an export with such heads.
    - `starts_from`: by the name of another family, its tensors -> those under the names of `rules` that a run of this family may begin
      with (`TrainingRecipe.start_from`).
    - `for_task`: (config, rows of the vocabulary, head, compute) -> model with that head alone, which `rules` knows by its kind; None
      where the family is not fine-tuned here.
    - `class_prefix`: how transformers' names of its classes begin; only with `for_task`.
    - `task_dropout`: what its config.json calls the dropout of a task's head.
    - `has_pooler`: whether its models may have POOLER, and are then a PooledModel.
    - `converts`: whether exports are converted to the formats of `pretrain.exporting.formats`.
    - `pair_task`: what transformers takes the head `pair` for: next_sentence or sentence_order (`RecordsHeader.pair_task`).
    """

    name: str
    title: str
    heads: frozenset[str]
    make: Callable[[Any, int, frozenset[str], Compute], Model]
    rules: Callable[[Any, frozenset[str]], Rules]
    model_types: tuple[str, ...]
    current_names: Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]
    not_parameters: tuple[str, ...]
    config_to_json: Callable[[Any, int, SpecialIds, frozenset[str]], dict[str, Any]]
    config_from_json: Callable[[Mapping[str, Any]], ModelConfig]
    must_match: tuple[str, ...]
    auto_class: Callable[[frozenset[str]], str]
    logits: Callable[[Any, Parameters, Inputs], jax.Array]
    layouts: tuple[Layout, ...] = get_args(Layout)
    zero_padding: bool = False
    shared_with_generator: str = ""
    template: tuple[str, ...] = ()
    generation_config: Callable[[SpecialIds], dict[str, Any]] | None = None
    sentinels: bool = False
    caveat: str = ""
    heads_in_body: tuple[str, ...] = ("pooler.",)
    adds_pooler: Callable[[frozenset[str]], bool] = lambda heads: False
    starts_from: Mapping[str, Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]] = field(default_factory=dict)
    for_task: Callable[[Any, int, TaskHead, Compute], TaskModel] | None = None
    class_prefix: str = ""
    task_dropout: str = CLASSIFIER_DROPOUT
    has_pooler: bool = False
    converts: bool = False
    pair_task: str = "next_sentence"

    def target_start(self, special: SpecialIds) -> int:
        """The id of the token that begins a target, of a family whose models have the head `target`."""
        assert self.generation_config
        start: int = self.generation_config(special)["decoder_start_token_id"]
        return start
