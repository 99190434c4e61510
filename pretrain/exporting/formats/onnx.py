"""ONNX of an exported folder: the model of transformers, exported by torch."""

import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pretrain.exporting.proof import quiet_transformers
from pretrain.hugging_face.folder import WEIGHTS
from pretrain.subject import Subject

OPSET = 18
"""Of the operators: onnxruntime reads these since 1.14."""
MOST_BYTES = 2**31 - 2**24
"""Of the weights inside the file: protobuf takes 2 GiB, with the graph; larger ones are in a file beside."""


def write_onnx(source: Path, subject: Subject, inputs: Sequence[str], outputs: Sequence[str], to: Path) -> None:
    """Writes model.onnx; arguments as for `pretrain.exporting.formats.conversion.Writer`."""
    import torch
    import transformers

    with quiet_transformers():
        model = getattr(transformers, subject.auto_class).from_pretrained(source).eval()
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # of torchvision, which is not installed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own parts that are deprecated, and of axes that have one name
        # Not dynamo=False: what that writes is wrong at every shape but the traced one, without a word.
        torch.onnx.export(
            model,
            kwargs={name: torch.ones((2, 8), dtype=torch.int64) for name in inputs},
            f=to / "model.onnx",
            dynamo=True,
            opset_version=OPSET,
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes={name: {0: batch, 1: length} for name in inputs},
            external_data=(source / WEIGHTS).stat().st_size > MOST_BYTES,
            verbose=False,
        )


def ask_onnx(folder: Path, rows: Mapping[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
    """What the written model answers; arguments as for `pretrain.exporting.formats.conversion.Asker`."""
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    answers: list[np.ndarray] = session.run(list(outputs), dict(rows))
    return answers
