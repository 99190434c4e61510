"""TrainingRecipe: what configs/*.py declare about model and training. Plain data, no JAX; every field can be overridden on the command line."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from tyro.conf import Suppress

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_fields import (
    ABOVE_ONE,
    ABOVE_ZERO,
    ABOVE_ZERO_TO_ONE,
    AT_LEAST_ONE,
    AT_LEAST_ZERO,
    FREE,
    UINT32,
    ZERO_TO_BELOW_ONE,
    ZERO_TO_ONE,
    Limit,
    limited,
    number,
)
from data_pipeline.contract.recipe_file import from_plain
from data_pipeline.contract.recipe_types import dataclasses_in
from pretrain.models.config import ModelConfig, config_classes, default_config
from pretrain.objectives.config import ObjectiveRecipe, default_objective, objective_classes
from pretrain.objectives.corruption.recipe import Masking as Masking  # recipe files take it from here
from pretrain.recipe_upgrade import upgraded


@dataclass(frozen=True)
class Optimizer:
    """The optimizer with decoupled weight decay (none on biases and LayerNorm), and the schedule of its learning rate."""

    learning_rate: float = number(1e-4, AT_LEAST_ZERO)
    """Peak learning rate; with adafactor relative to the size of each parameter."""
    warmup_steps: int = number(10_000, AT_LEAST_ZERO)
    """Steps of linear warmup from zero."""
    name: Literal["adamw", "lamb", "adafactor", "muon"] = "adamw"
    """adamw; lamb for batches of thousands of rows; adafactor with a fraction of the memory; muon for matrices and adamw for the
    rest."""
    schedule: Literal["linear", "cosine", "warmup_stable_decay"] = "linear"
    """What follows the warmup: linear or cosine decay until max_steps, or the peak and then a short 1 - sqrt decay."""
    decay_steps: int | None = None
    """Steps of the decay of warmup_stable_decay, the last of the run; None means a tenth of those after the warmup."""
    decay_from: Literal["warmup", "start"] = "warmup"
    """Step from which linear and cosine decay count: the end of the warmup, where the peak is; or step 0, as google-research/bert,
    where the rate falls at the end of the warmup from the peak to peak x (1 - warmup_steps / max_steps)."""
    final_share: float = number(0.0, ZERO_TO_ONE)
    """Learning rate at max_steps as a share of the peak, 0 to 1."""
    weight_decay: float = number(0.01, AT_LEAST_ZERO)
    """Decoupled weight decay."""
    beta1: float = number(0.9, ZERO_TO_BELOW_ONE)
    """Adam's first decay rate."""
    beta2: float = number(0.999, ZERO_TO_BELOW_ONE)
    """Adam's second decay rate."""
    epsilon: float = number(1e-6, ABOVE_ZERO)
    """Adam's epsilon (1e-6 in Google's BERT code)."""
    bias_correction: bool = True
    """Adam's moments divided by 1 - beta^step (Kingma and Ba 2015, algorithm 1); False: as they are, as google-research/bert."""
    momentum: float = number(0.95, ZERO_TO_BELOW_ONE)
    """Muon's momentum."""
    moment_dtype: Literal["float32", "bfloat16"] = "float32"
    """Type in which the first moment is kept (adafactor has none); Adam's second is float32, for in bfloat16 it would stand still at a beta2 of 0.999."""
    clip_norm: float = number(1.0, AT_LEAST_ZERO)
    """Largest global gradient norm; 0 switches clipping off."""


@dataclass(frozen=True)
class Mesh:
    """Devices along each axis; one may be -1, which takes what is left."""

    data: int = -1
    """Data parallelism: rows are split, parameters are copied."""
    fsdp: int = 1
    """Fully sharded data parallelism: rows and parameters are split."""
    tensor: int = 1
    """Tensor parallelism: heads, feed-forward and vocabulary are split."""


@dataclass(frozen=True)
class Checkpoints:
    """When checkpoints are written and how many stay."""

    every_steps: int = number(1000, AT_LEAST_ZERO, free=True)
    """Steps between checkpoints; 0 means only by minutes and at the end."""
    every_minutes: float = number(30.0, AT_LEAST_ZERO, free=True)
    """Minutes between checkpoints; 0 means only by steps and at the end."""
    keep: int = number(3, AT_LEAST_ONE, free=True)
    """Newest checkpoints kept."""
    milestone_every_steps: int = number(0, AT_LEAST_ZERO, free=True)
    """Steps between checkpoints that stay for good; 0: none."""


@dataclass(frozen=True)
class Evaluation:
    """The objective's losses on held-out records, with corruption that never changes."""

    every_steps: int = number(1000, AT_LEAST_ZERO, free=True)
    """Steps between evaluations; 0 means only at the end."""
    rows: int = number(4096, AT_LEAST_ZERO, free=True)
    """Most held-out rows used."""


@dataclass(frozen=True)
class Probes:
    """What the encoder, as it is, tells of tasks: linear probes on its pooled hidden states, and masked pseudo-perplexity."""

    every_steps: int = number(0, AT_LEAST_ZERO)
    """Steps between probes, which are then also made at the end; 0: none."""
    tasks: tuple[str, ...] = ("nsmc",)
    """Names of tasks of classes or scores (docs/tasks.md), or the paths of descriptions of one's own, NAME.py."""
    data: str = "data"
    """Folder with the training files of the tasks, or with a folder for each task; on every host."""
    train_rows: int = number(2000, AT_LEAST_ONE)
    """Rows of a task's training file that a probe is fitted to."""
    test_rows: int = number(1000, AT_LEAST_ONE)
    """Other rows of the same file that it is scored on, so that the task's own scored file stays unseen."""
    length: int = number(128, AT_LEAST_ONE)
    """Tokens at which a text is cut; at most a row's."""
    pooling: Literal["mean", "cls"] = "mean"
    """Features of a text: the mean of its last hidden states, or the first one (of a causal model that has seen no text)."""
    held_out_rows: int = number(64, AT_LEAST_ZERO)
    """Held-out rows of pseudo-perplexity; 0: none."""
    masked_positions: int = number(4, AT_LEAST_ONE)
    """Positions of each segment of these rows that are masked, one at a time."""
    time_share: float = number(0.02, ABOVE_ZERO_TO_ONE)
    """Largest share of the run's time; a probe that would exceed it waits for a later multiple of every_steps."""


@dataclass(frozen=True)
class SpikeGuard:
    """What is done about a step whose gradient norm is far above its running mean, though finite."""

    action: Literal["none", "skip", "rewind"] = "none"
    """none; skip: its update is left out, as one that is not finite; rewind: training goes back to the last checkpoint and leaves the
    batches from there to the spike out (Chowdhery et al. 2022, arXiv 2204.02311, section 5.1), and skips before the first checkpoint."""
    threshold: float = number(10.0, ABOVE_ONE)
    """Times the running mean above which a gradient norm is a spike."""
    mean_steps: int = number(100, AT_LEAST_ONE)
    """Steps that the running mean reaches back, with weights that fall exponentially; before as many there is no spike."""
    max_rewinds: int = number(10, AT_LEAST_ZERO)
    """How often a run may go back; one spike more stops it."""


@dataclass(frozen=True)
class BatchWarmup:
    """A batch that grows: small ones learn as much a step at the beginning (McCandlish et al. 2018, arXiv 1812.06162)."""

    first_rows: int = number(0, AT_LEAST_ZERO)
    """Rows of the first step; the batch grows by as many, evenly. 0 means that all steps have global_batch_size rows."""
    steps: int = number(0, AT_LEAST_ZERO)
    """Steps until the batch has global_batch_size rows."""


def _are_category_weights(value: object) -> bool:
    return (
        isinstance(value, tuple)
        and all(0 <= weight < math.inf for _, weight in value)
        and len(dict(value)) == len(value)
    )


@dataclass(frozen=True)
class Phase:
    """A part of the steps, on rows of one length: 128 for most of the run, then 512 (Devlin et al. 2019, appendix A.2)."""

    length: int = field(metadata=limited(AT_LEAST_ONE))
    """Tokens a row; the records of this length are prepared with data.examples.length or data.other_lengths."""
    share: float = field(metadata=limited(ABOVE_ZERO_TO_ONE))
    """Share of max_steps, 0 to 1; those of all phases add up to 1."""
    global_batch_size: int | None = number(None, AT_LEAST_ONE)
    """Rows a step; None means the recipe's global_batch_size."""
    accumulation: int | None = number(None, AT_LEAST_ONE, free=True)
    """Microbatches a step; None means the recipe's accumulation."""
    settings: tuple[str, ...] = ()
    """Fields of model and objective that differ in this phase, as on the command line: objective.masking.rate=0.05."""
    category_weights: Suppress[tuple[tuple[str, float], ...]] = field(
        default=(), metadata=limited(Limit("a weight of 0 or more for each category", _are_category_weights))
    )
    """Factors on how often this phase reads the rows of a category, beside the mixture that the records were prepared with:
    (("encyclopedia", 2.0), ("web", 0.5)); the rest stays. The records need data.rows_by_category."""


@dataclass(frozen=True)
class TrainingRecipe:
    """Records to checkpoints."""

    model: ModelConfig = field(default_factory=default_config)
    objective: ObjectiveRecipe = field(default_factory=default_objective)
    optimizer: Optimizer = field(default_factory=Optimizer)
    mesh: Mesh = field(default_factory=Mesh, metadata=FREE)
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    evaluation: Evaluation = field(default_factory=Evaluation)
    probes: Probes = field(default_factory=Probes, metadata=FREE)
    global_batch_size: int = number(256, AT_LEAST_ONE)
    """Rows a step, over all devices and microbatches."""
    batch_warmup: BatchWarmup = field(default_factory=BatchWarmup)
    accumulation: int = number(1, AT_LEAST_ONE, free=True)
    """Microbatches a step; each holds global_batch_size / accumulation rows."""
    max_steps: int = number(100_000, AT_LEAST_ONE)
    """Steps of the whole run; the learning rate reaches zero here."""
    stop_at_step: int | None = field(default=None, metadata=FREE)
    """Stop early, after this step, with the schedule of the whole run; None means max_steps."""
    stop_after_minutes: float | None = number(None, ABOVE_ZERO, free=True)
    """Save and stop after so many minutes of this start, with exit code 75 unless all is done; None means no limit."""
    max_rejected_updates: int = number(10, AT_LEAST_ZERO, free=True)
    """Updates whose loss or gradient is not finite are left out; more than these, over all starts of the run, stop it."""
    spikes: SpikeGuard = field(default_factory=SpikeGuard, metadata=FREE)
    start_from: tuple[str, ...] = ()
    """A Hugging Face folder of the model's family, or a run (folder or URL), whose parameters a new run begins with; steps and
    optimizer begin at 0. Sizes that the recipe leaves as the model's class has them are those of the folder. Where the objective
    trains several models, one for each; one that is not given is beside the first, where an export has it."""
    phases: tuple[Phase, ...] = ()
    """Row lengths in turn; empty means all steps on rows of data.examples.length."""
    seed: int = number(0, UINT32)
    """Seed of initialisation, order of rows, masks and dropout."""
    compute_dtype: Literal["bfloat16", "float32"] = "bfloat16"
    """Type of activations and matrix products; LayerNorm, softmax and loss are float32."""
    parameter_dtype: Literal["float32", "bfloat16"] = "float32"
    """Type in which parameters are kept; bfloat16 halves their memory, but loses updates below 1/256 of a parameter."""
    gradient_dtype: Literal["float32", "bfloat16"] = "float32"
    """Type in which devices send each other gradients, once a step; bfloat16 sends half. Each device adds up its microbatches in
    float32. With mesh.fsdp or mesh.tensor XLA chooses instead: the type of the product that made them."""
    dropout_rng: Literal["threefry", "rbg"] = "threefry"
    """Generator of dropout bits; rbg is faster on TPU, but its bits change with mesh and accumulation. Masks always use threefry."""
    remat: Literal["none", "attention", "dots", "full"] = field(default="none", metadata=FREE)
    """Rematerialisation in the backward pass of each layer: none, attention (compute its scores again), dots (keep products with
    weights), full (keep the layer's input)."""
    scan_unroll: int = number(1, AT_LEAST_ONE, free=True)
    """Encoder layers unrolled in each turn of the scan over layers; never changes parameters or checkpoints."""
    attention: Literal["auto", "xla", "cudnn", "splash", "pallas"] = field(default="auto", metadata=FREE)
    """Kernel of attention: xla (plain products, on every device), pallas (TPUs), cudnn (NVIDIA GPUs from Ampere on), splash (TPUs from
    v4 on). The last three keep no scores in memory; cudnn and splash have no dropout on attention probabilities. auto is pallas on
    a TPU where it takes the rows and heads, else xla."""
    log_every_steps: int = number(50, AT_LEAST_ONE, free=True)
    """Steps between log lines; each tells of all steps since the one before."""
    wandb_project: str | None = field(default=None, metadata=FREE)
    """Project at Weights & Biases to which metrics are sent as well; None means nowhere."""
    xla_options: tuple[str, ...] = field(default=(), metadata=FREE)
    """Options for XLA, NAME=VALUE, over those that pretrain/devices/xla_options.py has for the machine."""
    peak_tflops_per_device: float | None = number(None, ABOVE_ZERO, free=True)
    """Dense bf16 peak of one JAX device in TFLOP/s, the denominator of MFU; None means the table in pretrain/devices/peaks.py."""


def training_recipe_from_plain(value: Any) -> TrainingRecipe:
    """The recipe that `data_pipeline.contract.recipe_file.plain` wrote down.

    Raises InputError where it is none, or one with fields that this code does not have.
    """
    config_classes(), objective_classes()  # imported, so that they are known
    try:
        recipe = from_plain(upgraded(value), dataclasses_in(TrainingRecipe))
    except (TypeError, AttributeError, InputError) as error:
        recipe = error
    if not isinstance(recipe, TrainingRecipe):
        raise InputError(
            f"the training recipe that was written down is not one that this code knows ({recipe}); use the version of "
            "the code that trained it (manifest.json: train, software, code), or train again"
        )
    return recipe
