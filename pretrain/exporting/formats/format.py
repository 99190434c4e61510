"""The further formats of an exported folder: where each lies, what writes it, and what a card says of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

FormatName = Literal["onnx", "savedmodel"]
"""What `--format` calls them, and the extras of setup.cfg that bring what writes them."""


@dataclass(frozen=True)
class Format:
    """A further format.

    - `title`: for people.
    - `folder`: its place in the exported folder.
    - `modules`: what writes it; `runtime`: the module that it is asked in.
    - `said`: what a card says of it; `snippet`: Python that asks it, with PLACE for the folder and OUTPUT for the name of an output.
    """

    title: str
    folder: str
    modules: tuple[str, ...]
    runtime: str
    said: str
    snippet: str


INPUTS = 'inputs = AutoTokenizer.from_pretrained("PLACE")("대한민국의 수도는 서울이다.", return_tensors="np")'
FORMATS: Mapping[FormatName, Format] = {
    "onnx": Format(
        title="ONNX",
        folder="onnx",
        modules=("torch", "transformers", "onnx", "onnxscript"),
        runtime="onnxruntime",
        said="`onnx/model.onnx` computes in float32 what `transformers` computes from this folder, for any number of texts and tokens.",
        snippet=f"""import onnxruntime
from transformers import AutoTokenizer

{INPUTS}
model = onnxruntime.InferenceSession("PLACE/onnx/model.onnx")
print(model.run(["OUTPUT"], dict(inputs))[0])""",
    ),
    "savedmodel": Format(
        title="SavedModel",
        folder="saved_model",
        modules=("tensorflow",),
        runtime="tensorflow",
        said="`saved_model/` is a model of TensorFlow 2, in float32 and for any number of texts and tokens.",
        snippet=f"""import tensorflow as tf
from transformers import AutoTokenizer

{INPUTS}
model = tf.saved_model.load("PLACE/saved_model/1").signatures["serving_default"]
print(model(**{{name: tf.constant(rows) for name, rows in inputs.items()}})["OUTPUT"])""",
    ),
}
