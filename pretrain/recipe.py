"""TrainingRecipe: what configs/*.py declare about model and training. Plain data, no JAX; every field can be overridden on the command line."""

from dataclasses import dataclass, field
from typing import Any, Literal

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_file import from_plain
from pretrain.models.bert.config import BertConfig

FREE = {"resume": "free"}
"""Metadata of a field that may differ when a run is resumed; every other field must stay, or the run is another run."""


@dataclass(frozen=True)
class Masking:
    """Whole-word masking (Devlin et al. 2019, section 3.1; the word unit belongs to the records)."""

    rate: float = 0.15
    """Share of a row's tokens to predict, 0 to 1."""
    max_predictions: int | None = None
    """Most predictions a row; None means rate x length, rounded up."""
    mask_share: float = 0.8
    """Share of predicted tokens replaced by [MASK], 0 to 1."""
    random_share: float = 0.1
    """Share of predicted tokens replaced by a random token, 0 to 1; the rest stays."""
    static_masks: int | None = None
    """Different masks a row ever gets, in turn over the epochs (dupe_factor in Google's code); None draws one anew each epoch."""


@dataclass(frozen=True)
class Optimizer:
    """The optimizer with decoupled weight decay (none on biases and LayerNorm), and the schedule of its learning rate."""

    learning_rate: float = 1e-4
    """Peak learning rate; with adafactor relative to the size of each parameter."""
    warmup_steps: int = 10_000
    """Steps of linear warmup from zero."""
    name: Literal["adamw", "lamb", "adafactor", "muon"] = "adamw"
    """adamw; lamb for batches of thousands of rows; adafactor with a fraction of the memory; muon for matrices and adamw for the
    rest."""
    schedule: Literal["linear", "cosine", "warmup_stable_decay"] = "linear"
    """What follows the warmup: linear or cosine decay until max_steps, or the peak and then a short 1 - sqrt decay."""
    decay_steps: int | None = None
    """Steps of the decay of warmup_stable_decay, the last of the run; None means a tenth of those after the warmup."""
    final_share: float = 0.0
    """Learning rate at max_steps as a share of the peak, 0 to 1."""
    weight_decay: float = 0.01
    """Decoupled weight decay."""
    beta1: float = 0.9
    """Adam's first decay rate."""
    beta2: float = 0.999
    """Adam's second decay rate."""
    epsilon: float = 1e-6
    """Adam's epsilon (1e-6 in Google's BERT code)."""
    momentum: float = 0.95
    """Muon's momentum."""
    moment_dtype: Literal["float32", "bfloat16"] = "float32"
    """Type in which the first moment is kept (adafactor has none); Adam's second is float32, for in bfloat16 it would stand still at a beta2 of 0.999."""
    clip_norm: float = 1.0
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

    every_steps: int = field(default=1000, metadata=FREE)
    """Steps between checkpoints; 0 means only by minutes and at the end."""
    every_minutes: float = field(default=30.0, metadata=FREE)
    """Minutes between checkpoints; 0 means only by steps and at the end."""
    keep: int = field(default=3, metadata=FREE)
    """Newest checkpoints kept."""
    milestone_every_steps: int = field(default=0, metadata=FREE)
    """Steps between checkpoints that stay for good; 0: none."""


@dataclass(frozen=True)
class Evaluation:
    """Loss and masked accuracy on held-out records, with masks that never change."""

    every_steps: int = field(default=1000, metadata=FREE)
    """Steps between evaluations; 0 means only at the end."""
    rows: int = field(default=4096, metadata=FREE)
    """Most held-out rows used."""


@dataclass(frozen=True)
class BatchWarmup:
    """A batch that grows: small ones learn as much a step at the beginning (McCandlish et al. 2018, arXiv 1812.06162)."""

    first_rows: int = 0
    """Rows of the first step; the batch grows by as many, evenly. 0 means that all steps have global_batch_size rows."""
    steps: int = 0
    """Steps until the batch has global_batch_size rows."""


@dataclass(frozen=True)
class Phase:
    """A part of the steps, on rows of one length: 128 for most of the run, then 512 (Devlin et al. 2019, appendix A.2)."""

    length: int
    """Tokens a row; the records of this length are prepared with data.examples.length or data.other_lengths."""
    share: float
    """Share of max_steps, 0 to 1; those of all phases add up to 1."""
    global_batch_size: int | None = None
    """Rows a step; None means the recipe's global_batch_size."""
    accumulation: int | None = field(default=None, metadata=FREE)
    """Microbatches a step; None means the recipe's accumulation."""


@dataclass(frozen=True)
class TrainingRecipe:
    """Records to checkpoints."""

    model: BertConfig = field(default_factory=BertConfig)
    masking: Masking = field(default_factory=Masking)
    optimizer: Optimizer = field(default_factory=Optimizer)
    mesh: Mesh = field(default_factory=Mesh, metadata=FREE)
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    evaluation: Evaluation = field(default_factory=Evaluation)
    global_batch_size: int = 256
    """Rows a step, over all devices and microbatches."""
    batch_warmup: BatchWarmup = field(default_factory=BatchWarmup)
    accumulation: int = field(default=1, metadata=FREE)
    """Microbatches a step; each holds global_batch_size / accumulation rows."""
    max_steps: int = 100_000
    """Steps of the whole run; the learning rate reaches zero here."""
    stop_at_step: int | None = field(default=None, metadata=FREE)
    """Stop early, after this step, with the schedule of the whole run; None means max_steps."""
    stop_after_minutes: float | None = field(default=None, metadata=FREE)
    """Save and stop after so many minutes of this start, with exit code 75 unless all is done; None means no limit."""
    max_rejected_updates: int = field(default=10, metadata=FREE)
    """Updates whose loss or gradient is not finite are left out; more than these in one start stop the run."""
    start_from: str | None = None
    """A Hugging Face BERT folder, or a run folder, whose parameters a new run begins with; steps and optimizer begin anew."""
    phases: tuple[Phase, ...] = ()
    """Row lengths in turn; empty means all steps on rows of data.examples.length."""
    seed: int = 0
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
    scan_unroll: int = field(default=1, metadata=FREE)
    """Encoder layers unrolled in each turn of the scan over layers; never changes parameters or checkpoints."""
    attention: Literal["xla", "cudnn", "splash"] = field(default="xla", metadata=FREE)
    """Kernel of attention: xla (plain products, on every device), cudnn (NVIDIA GPUs from Ampere on), splash (TPUs from v4 on). The
    fused ones keep no scores in memory and have no dropout on attention probabilities."""
    log_every_steps: int = field(default=50, metadata=FREE)
    """Steps between log lines."""
    wandb_project: str | None = field(default=None, metadata=FREE)
    """Project at Weights & Biases to which metrics are sent as well; None means nowhere."""
    xla_options: tuple[str, ...] = field(default=(), metadata=FREE)
    """Options for XLA, NAME=VALUE, over those that pretrain/devices/xla_options.py has for the machine."""
    peak_tflops_per_device: float | None = field(default=None, metadata=FREE)
    """Dense bf16 peak of one JAX device in TFLOP/s, the denominator of MFU; None means the table in pretrain/devices/peaks.py."""


def training_recipe_from_plain(value: Any) -> TrainingRecipe:
    """The recipe that `data_pipeline.contract.recipe_file.plain` wrote down.

    Raises InputError where it is none, or one with fields that this code does not have.
    """
    classes = (TrainingRecipe, BertConfig, Masking, Optimizer, Mesh, Checkpoints, Evaluation, BatchWarmup, Phase)
    try:
        recipe = from_plain(value, classes)
    except (InputError, TypeError) as error:
        recipe = error
    if not isinstance(recipe, TrainingRecipe):
        raise InputError(
            f"the training recipe that this run wrote down is not one that this code knows ({recipe}); use the version of "
            "the code that trained it (manifest.json: train, software, code), or train again"
        )
    return recipe
