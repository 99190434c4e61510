"""SavedModel of an exported folder: this code's model, through jax2tf."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from pretrain.models.core.layers import erf_in_elementary_operations
from pretrain.subject import Subject

VERSION = "1"
"""The folder of the model: TensorFlow Serving takes the one with the highest number."""
SIGNATURE = "serving_default"
PLATFORMS = ("cpu", "cuda", "tpu")


def write_saved_model(source: Path, subject: Subject, inputs: Sequence[str], outputs: Sequence[str], to: Path) -> None:
    """Writes the folder 1; arguments as for `pretrain.exporting.formats.conversion.Writer`."""
    import tensorflow as tf
    from jax.experimental import jax2tf

    module = tf.Module()
    module.parameters_of_model = jax.tree.map(lambda leaf: tf.Variable(leaf, trainable=False), subject.params)
    forward = jax2tf.convert(
        subject.forward,
        with_gradient=False,
        polymorphic_shapes=(None, *["(batch, length)"] * 3),
        native_serialization_platforms=PLATFORMS,
    )

    @tf.function(autograph=False, input_signature=[tf.TensorSpec((None, None), tf.int64, name) for name in inputs])  # type: ignore[untyped-decorator]
    def answer(*rows: Any) -> dict[str, Any]:
        given = {name: tf.cast(row, tf.int32) for name, row in zip(inputs, rows, strict=True)}
        tokens = given["input_ids"]
        types = given.get("token_type_ids", tf.zeros_like(tokens))
        logits = forward(module.parameters_of_model, tokens, types, given["attention_mask"])
        return dict(zip(outputs, [logits] if len(outputs) == 1 else tf.unstack(logits, axis=-1), strict=True))

    with jax.default_matmul_precision("highest"), erf_in_elementary_operations():
        tf.saved_model.save(module, str(to / VERSION), signatures={SIGNATURE: answer})


def ask_saved_model(folder: Path, rows: Mapping[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
    """What the written model answers; arguments as for `pretrain.exporting.formats.conversion.Asker`."""
    import tensorflow as tf

    model = tf.saved_model.load(str(folder / VERSION)).signatures[SIGNATURE]
    answers = model(**{name: tf.constant(each) for name, each in rows.items()})
    return [answers[name].numpy() for name in outputs]
