"""A trained model, from a run, a run in a bucket or a Hugging Face folder: what export, fill and start_from work on."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import jax
import numpy as np

from data_pipeline.contract.errors import InputError, WorkError
from data_pipeline.contract.recipe_file import from_plain
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.checkpoints.facts import exported_models, models_of
from pretrain.checkpoints.held import held
from pretrain.checkpoints.provenance import UNKNOWN, licences, trained_token_types
from pretrain.checkpoints.restore import restore_params
from pretrain.checkpoints.verify import Facts, facts_of, fault, list_steps, newest_valid, step_folder
from pretrain.hugging_face.folder import licences_of, read_config, read_configuration, read_model, set_template
from pretrain.hugging_face.weights import (
    from_hugging_face,
    tensor_names,
    to_hugging_face,
    token_types_used,
    with_unused_token_types,
)
from pretrain.models.config import PADDING, ModelConfig, config_classes, with_vocabulary
from pretrain.models.core.layers import Parameters
from pretrain.models.parameter_rules import Rules
from pretrain.models.protocols import Compute, Family, Inputs, Model, PairHead, TaskModel
from pretrain.models.registry import family_of, family_of_hugging_face
from pretrain.models.task_heads import CLASSES, TaskHead, task_to_json
from pretrain.objectives.parts import part_of
from pretrain.recipe import training_recipe_from_plain
from pretrain.remote.fetched import fetch_run, is_url


@dataclass(frozen=True)
class Subject:
    """A trained model on the host.

    - `config`: with the size of the vocabulary; `heads`: those of `tensors`.
    - `tensors`: float arrays by Hugging Face's names, from whichever place.
    - `tokenizer`: in whose text [MASK] is meant as such, and which puts special tokens around a text as the family's template says.
    - `origin`: the place, for people.
    - `licences`: of all that it was made from; `token_types`: rows of that table that training has used, None where unknown.
    - `unknown_heads`: tensors of its folder that are of heads which its family does not have here.
    - `task`: the head of a fine-tuned model; `heads` is then its kind alone.
    - `step`: of the run's checkpoint, None of a folder.
    - `of_run`: whether `config` has the dropouts of pretraining; a folder's are those of fine-tuning.
    """

    family: Family
    config: ModelConfig
    heads: frozenset[str]
    tensors: Mapping[str, np.ndarray]
    tokenizer: Tokenizer
    origin: str
    licences: tuple[str, ...] = (UNKNOWN,)
    token_types: int | None = None
    unknown_heads: tuple[str, ...] = ()
    task: TaskHead | None = None
    of_run: bool = False
    step: int | None = None

    @property
    def rules(self) -> Rules:
        """The table of its parameters."""
        return self.family.rules(self.config, self.heads)

    @cached_property
    def model(self) -> Model:
        """The model, computed in float32."""
        if self.task:
            return self.with_task(self.task, Compute())
        return self.family.make(self.config, self.vocab_size, self.heads, Compute())

    def with_task(self, task: TaskHead, compute: Compute) -> TaskModel:
        """A model of these sizes with the head of a task and the dropouts of fine-tuning. Raises InputError where its family has no
        such heads."""
        return self.head_maker(self.fine_tuning_config, self.vocab_size, task, compute)

    @property
    def head_maker(self) -> Callable[[Any, int, TaskHead, Compute], TaskModel]:
        """What makes a model of its family with the head of a task. Raises InputError where the family has no such heads."""
        if self.family.for_task is None:
            raise InputError(
                f"{self.origin}: is a {self.family.title}, which is not fine-tuned here; give another model"
            )
        return self.family.for_task

    @cached_property
    def fine_tuning_config(self) -> ModelConfig:
        """The config with the dropouts of fine-tuning: a run's are those that config.json of its export names."""
        if not self.of_run:
            return self.config
        special = self.tokenizer.special
        return self.family.config_from_json(
            self.family.config_to_json(self.config, self.vocab_size, special, self.heads)
        )

    @cached_property
    def digest(self) -> str:
        """SHA-256 of its tensors and their names, in hexadecimal digits."""
        found = hashlib.sha256()
        for name in sorted(self.tensors):
            found.update(name.encode())
            found.update(np.ascontiguousarray(self.tensors[name]).data)
        return found.hexdigest()

    @property
    def configuration(self) -> dict[str, Any]:
        """The content of its config.json."""
        heads = frozenset() if self.task else self.heads
        told = self.family.config_to_json(self.config, self.vocab_size, self.tokenizer.special, heads)
        if not self.task:
            return told
        return {**told, **task_to_json(self.task, self.family.class_prefix, self.family.task_dropout)}

    @property
    def auto_class(self) -> str:
        """transformers' class that loads its export; empty where there is none."""
        return f"AutoModel{CLASSES[self.task.kind]}" if self.task else self.family.auto_class(self.heads)

    @cached_property
    def params(self) -> Parameters:
        """Its parameters, float32 numpy arrays. Raises InputError where a tensor is missing or of another shape."""
        shapes = jax.eval_shape(self.model.init, jax.eval_shape(lambda: jax.random.key(0)))
        return from_hugging_face(self.tensors, shapes, self.rules, self.vocab_size)

    @cached_property
    def params_on_device(self) -> Parameters:
        """`params` on the first device, for what is asked again and again."""
        placed: Parameters = jax.device_put(self.params)
        return placed

    def under_names_of(self, config: ModelConfig) -> tuple[Family, Mapping[str, np.ndarray]]:
        """The family of a config that may begin with this model (`may_begin_with`), and this model's tensors by its names."""
        family = family_of(config)
        if family.name == self.family.name:
            return family, self.tensors
        return family, family.starts_from[self.family.name](self.tensors)

    @property
    def vocab_size(self) -> int:
        """Entries of the vocabulary."""
        assert self.config.vocab_size is not None
        return self.config.vocab_size

    @property
    def parameter_count(self) -> int:
        """Parameters of its tensors, heads included; one that several tensors hold counts once."""
        shapes = jax.eval_shape(self.model.init, jax.eval_shape(lambda: jax.random.key(0)))
        return sum(self.tensors[name].size for name in tensor_names(shapes, self.rules, copies=False))

    def forward(
        self, params: Parameters, token_ids: jax.Array, token_types: jax.Array, attends: jax.Array
    ) -> jax.Array:
        """What `logits` computes, as a function of parameters as well that may be traced."""
        inputs = _whole_rows(token_ids, token_types, attends)
        if self.task:
            model = cast(TaskModel, self.model)
            return model.task_logits(params, model.encode(params, inputs), inputs)
        return self.family.logits(self.model, params, inputs)

    def logits(self, token_ids: np.ndarray, token_types: np.ndarray, attends: np.ndarray) -> np.ndarray:
        """What transformers calls `logits`, float32 [B, L, ...], or [B, ...] of a classifier, for int [B, L] inputs; `attends` is its
        attention_mask."""
        with jax.default_matmul_precision("highest"):
            return np.asarray(self._forward(self.params_on_device, token_ids, token_types, attends))

    @cached_property
    def _forward(self) -> Callable[[Parameters, np.ndarray, np.ndarray, np.ndarray], jax.Array]:
        """Compiled once for each shape of its inputs."""
        return jax.jit(self.forward)

    def pair_logits(self, token_ids: np.ndarray, token_types: np.ndarray, attends: np.ndarray) -> np.ndarray:
        """What the head `pair` says, float32 [B, 2], of inputs as for `logits`."""

        def forward(params: Parameters, *rows: jax.Array) -> jax.Array:
            model = cast(PairHead, self.model)
            return model.pair_logits(params, model.encode(params, _whole_rows(*rows)))

        with jax.default_matmul_precision("highest"):
            found = jax.jit(forward)(self.params, token_ids, token_types, attends)
        return np.asarray(found)


def _whole_rows(token_ids: jax.Array, token_types: jax.Array, attends: jax.Array) -> Inputs:
    """What a model reads of rows that are one text or pair each, integers [B, L], of which `attends` says what is no padding."""
    positions = jax.numpy.broadcast_to(jax.numpy.arange(token_ids.shape[1]), token_ids.shape)
    return Inputs(token_ids, attends, positions, token_types)


def is_run(place: str | Path) -> bool:
    """Whether a place is a run, by its URL or as a folder; else it should be a Hugging Face folder."""
    return is_url(str(place)) or (Path(place).expanduser() / "checkpoints").is_dir()


def load_subject(place: str | Path, *, step: int | None = None, part: str = "", called: str = "") -> Subject:
    """The model that lies at a place.

    - `place`: a run folder, its URL, or a Hugging Face folder.
    - `step`: of a run's checkpoint; None means the newest valid one.
    - `part`: of a run whose objective has several models; empty means the one that `export/` holds.
    - `called`: what an error calls the place, as "--training.start-from PLACE"; empty means the place itself.

    Raises InputError where nothing can be read there, WorkError where it is damaged.
    """
    called = called or str(place)
    if is_run(place):
        return subject_of_run(_run_at(place, step), step, part, called)
    folder = Path(place).expanduser()
    configuration = read_configuration(folder, called)
    family = family_of_hugging_face(configuration, called)
    stored = read_model(folder, family, configuration, called)
    tokenizer = Tokenizer(folder)
    tokenizer.backend.encode_special_tokens = False
    assert stored.config.vocab_size is not None
    if tokenizer.size > stored.config.vocab_size:
        raise InputError(
            f"{folder}: the tokenizer has {tokenizer.size} rows, config.json says {stored.config.vocab_size}; export again"
        )
    return Subject(
        family,
        stored.config,
        stored.heads,
        stored.tensors,
        tokenizer,
        called,
        licences_of(folder),
        token_types=token_types_used(stored.tensors, family.rules(stored.config, stored.heads)),
        unknown_heads=stored.unknown_heads,
        task=stored.task,
    )


def config_at(place: str | Path, *, called: str = "") -> ModelConfig:
    """The config of the model that lies at a place, of a run that of the model in `export/`; as for `load_subject`."""
    called = called or str(place)
    if is_run(place):
        run = _run_at(place, None)
        with held_step(run, None, called) as step:
            facts = _facts_of(run, step)
            return _config_of(models_of(facts, run)[exported_models(facts)[""]])
    folder = Path(place).expanduser()
    configuration = read_configuration(folder, called)
    return read_config(folder, family_of_hugging_face(configuration, called), configuration, called)


def parts_at(place: str | Path, *, called: str = "") -> tuple[str, ...]:
    """The names of the models that a run has; none where a Hugging Face folder should be."""
    if not is_run(place):
        return ()
    run = _run_at(place, None)
    with held_step(run, None, called or str(place)) as step:
        return tuple(models_of(_facts_of(run, step), run))


def size_fields(config: ModelConfig) -> tuple[str, ...]:
    """The fields of a config that must be equal where one model starts from another, and the field that counts positions.

    The id of the padding is none: it is that of the records, wherever position tables begin for its sake.
    """
    counted = [found[0] for found in (config.token_types(), config.longest_row()) if found]
    return tuple(dict.fromkeys(name for name in (*family_of(config).must_match, *counted) if name != PADDING))


def may_begin_with(config: ModelConfig, theirs: ModelConfig) -> bool:
    """Whether a model of a config may begin with the parameters of one of another config, as far as their families go."""
    return type(theirs) is type(config) or family_of(theirs).name in family_of(config).starts_from


def subject_of_run(run: RunFolder, step: int | None = None, part: str = "", called: str = "") -> Subject:
    """The model of a run's checkpoint, as an export holds it; arguments and errors as for `load_subject`."""
    with held_step(run, step, called or str(run.path)) as step:
        facts = _facts_of(run, step)
        models = models_of(facts, run)
        if part and part not in models:
            raise InputError(f"{called or run.path}: has no model {part}; its models are {', '.join(models)}")
        part = part or exported_models(facts)[""]
        described = models[part]
        params = part_of(restore_params(step_folder(run.checkpoints, step)), described)
    config = _config_of(described)
    family, heads = family_of(config), frozenset(described["heads"])
    size = described["config"]["vocab_size"]
    rules, used = family.rules(config, heads), trained_token_types(facts, run, part)
    tensors = to_hugging_face(params, rules, size)
    if used is not None:
        tensors = with_unused_token_types(tensors, rules, used)
    tokenizer = text_tokenizer(config, run.vocabulary)
    config, origin = with_vocabulary(config, size), called or str(run.path)
    return Subject(
        family, config, heads, tensors, tokenizer, origin, licences(facts, run), used, of_run=True, step=step
    )


def text_tokenizer(config: ModelConfig, vocabulary: Path) -> Tokenizer:
    """The tokenizer of a run for whole texts: [MASK] is meant as such, and special tokens are put around a text as in its export."""
    tokenizer, template = Tokenizer(vocabulary), family_of(config).template
    tokenizer.backend.encode_special_tokens = False
    if template:
        set_template(tokenizer, template)
    return tokenizer


def _run_at(place: str | Path, step: int | None) -> RunFolder:
    return fetch_run(str(place), step) if is_url(str(place)) else RunFolder(Path(place).expanduser())


def _facts_of(run: RunFolder, step: int) -> Facts:
    facts = facts_of(step_folder(run.checkpoints, step))
    training_recipe_from_plain(facts["recipe"])  # whose modules are imported, so that their families are known
    return facts


def _config_of(described: Mapping[str, Any]) -> ModelConfig:
    config: ModelConfig = from_plain(described["config"], config_classes())
    return config


def find_step(run: RunFolder, step: int | None, called: str = "") -> int:
    """The step asked for, or that of the newest valid checkpoint; an InputError where there is none."""
    steps = list_steps(run.checkpoints)
    if step is not None:
        if step not in steps:
            raise InputError(f"--step {step}: no such checkpoint; there are {', '.join(map(str, steps)) or 'none'}")
        if problem := fault(step_folder(run.checkpoints, step)):
            raise WorkError(f"{step_folder(run.checkpoints, step)}: {problem}; choose another --step")
        return step
    found = newest_valid(run.checkpoints)
    if found is None:
        raise InputError(f"{called or run.checkpoints}: no checkpoint yet; run `python -m pretrain train` first")
    return found[0]


@contextmanager
def held_step(run: RunFolder, step: int | None, called: str = "") -> Iterator[int]:
    """`find_step`, whose checkpoint training does not remove while the block runs: the next newest where one went meanwhile."""
    while True:
        found = find_step(run, step, called)
        with held(step_folder(run.checkpoints, found)) as there:
            if there:
                yield found
                return
