"""The Keras peer of benchmarks.train_step: keras-hub's BertMaskedLM on JAX in `Model.fit`, masked by keras-hub's own mask generator.

Only the peer's own process imports this file: it looks for Keras in a folder of its own.
"""

import os
import re
import sys
from typing import Any

import grain
import numpy as np
from safetensors.numpy import load_file

from benchmarks.train_step.floor import bert_of, masking_of, max_predictions
from benchmarks.train_step.rounds import KERAS_HUB, Facts, Setting, Turns
from benchmarks.train_step.rows import difference_from_ours, first_rows, loss_of
from data_pipeline.contract.records import RecordsHeader
from pretrain.recipe import TrainingRecipe

sys.path.insert(0, str(KERAS_HUB))
os.environ["KERAS_BACKEND"] = "jax"
os.environ["KERAS_HOME"] = str(KERAS_HUB)  # the user's keras.json stays unread, and none is made in their home
import keras
import keras_hub

LAYERS = {
    "token_embedding": "bert.embeddings.word_embeddings",
    "position_embedding": "bert.embeddings.position_embeddings",
    "segment_embedding": "bert.embeddings.token_type_embeddings",
    "embeddings_layer_norm": "bert.embeddings.LayerNorm",
    "self_attention_layer/query": "attention.self.query",
    "self_attention_layer/key": "attention.self.key",
    "self_attention_layer/value": "attention.self.value",
    "self_attention_layer/attention_output": "attention.output.dense",
    "self_attention_layer_norm": "attention.output.LayerNorm",
    "feedforward_intermediate_dense": "intermediate.dense",
    "feedforward_output_dense": "output.dense",
    "feedforward_layer_norm": "output.LayerNorm",
    "mlm_head": "cls.predictions",
    "mlm_head/intermediate_dense": "cls.predictions.transform.dense",
    "mlm_head/intermediate_layer_norm": "cls.predictions.transform.LayerNorm",
}
"""Keras's layers (those of an encoder layer without its number) -> Hugging Face's."""
BIASES = ("bias", "beta", "output_bias")


def train_with_keras(turns: Turns, setting: Setting) -> None:
    """keras-hub's `fit`, compiled; an epoch is a round. Single tokens are masked; a row is read as one text."""
    recipe = setting.recipe
    keras.utils.set_random_seed(recipe.seed)
    rows, header = first_rows(setting)
    model = _model(setting, header)
    model.compile(
        optimizer=_optimizer(recipe),
        # Its default divides by all slots, empty ones as well.
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight"),
        jit_compile=True,
    )
    turns.tell({**_facts(model, setting), "keras": keras.__version__, "keras-hub": keras_hub.__version__})
    model.fit(
        _batches(rows.tokens, header, recipe),
        steps_per_epoch=setting.steps,
        epochs=recipe.max_steps // setting.steps,
        callbacks=[_InTurns(turns)],
        shuffle=False,  # the batches are shuffled rows already
        verbose=0,
    )
    batch = np.load(setting.held_out)
    turns.tell({"loss": loss_of(_logits_at_predictions(model, batch), batch)})


class _InTurns(keras.callbacks.Callback):
    """Lets `fit` continue by an epoch at a time; at the end of each it has waited for the last step's metrics."""

    def __init__(self, turns: Turns) -> None:
        super().__init__()
        self._turns = iter(turns)

    def on_train_begin(self, logs: Any = None) -> None:
        next(self._turns)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.model.stop_training = next(self._turns, "over") == "over"


class _WarmupAndDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warmup from zero, then linear decay to zero at the last step; Keras's own linear decay has no warmup."""

    def __init__(self, recipe: TrainingRecipe) -> None:
        self._peak, self._warmup = recipe.optimizer.learning_rate, recipe.optimizer.warmup_steps
        self._steps = recipe.max_steps

    def __call__(self, step: Any) -> Any:
        step = keras.ops.cast(step, "float32")
        falling = (self._steps - step) / (self._steps - self._warmup)
        return self._peak * keras.ops.minimum(step / self._warmup, falling)


def _model(setting: Setting, header: RecordsHeader) -> Any:
    """BertMaskedLM with our parameters of step 0."""
    bert = bert_of(setting.recipe)
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=header.vocabulary_size,
        num_layers=bert.num_hidden_layers,
        num_heads=bert.num_attention_heads,
        hidden_dim=bert.hidden_size,
        intermediate_dim=bert.intermediate_size,
        dropout=bert.hidden_dropout_prob,
        max_sequence_length=bert.max_position_embeddings,
        num_segments=bert.type_vocab_size,
        dtype="float32",
    )
    backbone.pooled_dense.trainable = False  # the head does not read it
    for layer in backbone.transformer_layers:
        # BertBackbone has one dropout for hidden states and attention probabilities, and the tanh approximation of GELU.
        attention = layer._self_attention_layer
        attention._dropout = attention._dropout_layer.rate = bert.attention_probs_dropout_prob
        layer._feedforward_intermediate_dense.activation = keras.activations.gelu
    model = keras_hub.models.BertMaskedLM(backbone)
    model.masked_lm_head._intermediate_layer_norm.epsilon = bert.layer_norm_eps
    tensors = load_file(setting.start / "model.safetensors")
    for variable in model.trainable_variables:
        tensor = tensors[_hugging_face_name(variable.path)]
        variable.assign((tensor.T if variable.name == "kernel" else tensor).reshape(variable.shape))
    return model


def _hugging_face_name(path: str) -> str:
    layer, _, kind = path.rpartition("/")
    encoder = re.fullmatch(r"transformer_layer_(\d+)/(.+)", layer)
    prefix, layer = (f"bert.encoder.layer.{encoder[1]}.", encoder[2]) if encoder else ("", layer)
    return f"{prefix}{LAYERS[layer]}.{'bias' if kind in BIASES else 'weight'}"


def _optimizer(recipe: TrainingRecipe) -> Any:
    settings = recipe.optimizer
    optimizer = keras.optimizers.AdamW(
        _WarmupAndDecay(recipe),
        weight_decay=settings.weight_decay,
        beta_1=settings.beta1,
        beta_2=settings.beta2,
        epsilon=settings.epsilon,
        global_clipnorm=settings.clip_norm,
    )
    optimizer.exclude_from_weight_decay(var_names=[*BIASES, "gamma"])
    return optimizer


def _batches(tokens: np.ndarray, header: RecordsHeader, recipe: TrainingRecipe) -> grain.IterDataset:
    """Inputs, labels and weights of one batch after another, without end; the next one is made while a step is taken."""
    masking = masking_of(recipe)
    mask = keras_hub.layers.MaskedLMMaskGenerator(
        header.vocabulary_size,
        masking.rate,
        header.mask_id,
        mask_selection_length=max_predictions(recipe, header.length),
        unselectable_token_ids=[header.pad_id, header.unk_id, header.cls_id, header.sep_id, header.mask_id],
        mask_token_rate=masking.mask_share,
        random_token_rate=masking.random_share,
    )

    def example(batch: np.ndarray) -> tuple[Any, Any, Any]:
        masked = mask(batch)
        inputs = _inputs(masked["token_ids"], batch != header.pad_id, masked["mask_positions"])
        return inputs, masked["mask_ids"], masked["mask_weights"]

    rows = grain.MapDataset.source(tokens.astype(np.int32)).seed(recipe.seed).shuffle().repeat()
    ahead = grain.ReadOptions(num_threads=1, prefetch_buffer_size=1)
    return rows.batch(recipe.global_batch_size).map(example).to_iter_dataset(ahead)


def _inputs(token_ids: Any, there: np.ndarray, mask_positions: Any) -> dict[str, Any]:
    return {
        "token_ids": token_ids,
        "segment_ids": np.zeros(there.shape, np.int32),
        "padding_mask": there.astype(np.int32),
        "mask_positions": mask_positions,
    }


def _facts(model: Any, setting: Setting) -> Facts:
    batch, backbone = np.load(setting.held_out), model.backbone
    logits = _logits_at_predictions(model, batch)
    return {
        "parameters": sum(variable.value.size for variable in model.trainable_variables),
        "dropouts": (backbone.dropout, backbone.transformer_layers[0]._self_attention_layer.dropout),
        "loss": loss_of(logits, batch),
        "logits": difference_from_ours(logits, batch),
    }


def _logits_at_predictions(model: Any, batch: Any) -> np.ndarray:
    """float32 [B, K, V], without dropout, one segment of the rows after another, each moved to the front of its row: BertBackbone
    numbers positions from there, and its mask knows only which keys are there."""
    inputs, segments, positions = (batch[name] for name in ("inputs", "segments", "positions"))
    rows, length = inputs.shape
    index = np.arange(rows)[:, None]
    found = np.zeros((*positions.shape, model.backbone.vocabulary_size), np.float32)
    for segment in np.unique(segments):
        within = segments == segment
        starts = within.argmax(-1)[:, None]
        moved = (starts + np.arange(length)) % length
        outputs = model.predict_on_batch(
            _inputs(inputs[index, moved], within[index, moved], np.maximum(positions - starts, 0))
        )
        of_segment = within[index, positions]
        found[of_segment] = outputs[of_segment]
    return found
