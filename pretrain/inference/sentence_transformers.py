"""A model as a folder that sentence-transformers loads, with the same vectors as here: Transformer, Pooling and BERT's pooler as Dense.

The files are those of its releases 2 to 6 (`modules.json`, a folder with `config.json` for each module).
"""

from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from data_pipeline.contract.errors import InputError, WorkError, machine_errors_at
from data_pipeline.contract.licences import licence_lines
from data_pipeline.contract.packages import cannot_import
from data_pipeline.contract.storage import write_json
from pretrain.exporting.card import REPOSITORY_NAME, place_name
from pretrain.exporting.card_of_use import PLACE
from pretrain.exporting.exported import CARD, new_folder, place_of, replace_export, sync_export
from pretrain.exporting.fine_tuned import PROOF_TEXTS
from pretrain.exporting.tokenizer_files import copy_tokenizer
from pretrain.hugging_face.folder import WEIGHTS, hub_id_of, write_folder
from pretrain.inference.embeddings import Pooling, embed, encoder_tensors, pooler_tensors, refuse_pooling
from pretrain.inference.running import Running
from pretrain.subject import Subject, load_subject

MODULES = "modules.json"
TOLERANCE = 1e-5
"""Largest difference between a vector's cell there and here, in units of the largest cell; float32."""


def export_embedder(subject: Subject, pooling: Pooling, max_length: int | None, to: Path) -> str:
    """Writes the folder, and returns how it was proven.

    - `max_length`: most tokens of a text; None means all that the model reads.
    - `to`: a new or an empty folder, or an earlier one of this kind, which is replaced.

    Raises InputError where `to` holds something else or transformers has no class for the encoder, WorkError where the vectors are not the same or the disk does not take it.
    """
    refuse_pooling(subject, pooling)
    if not subject.family.class_prefix:
        raise InputError(
            f"{subject.origin}: is a {subject.family.title}, of which transformers has no class for the encoder alone; leave out --export, or "
            "give another model"
        )
    if subject.config.pools_tokens:
        raise InputError(
            f"{subject.origin}: is a {subject.family.title}, whose vectors change with the padding behind a text, and sentence-transformers pads "
            "each batch to its longest text; leave out --export"
        )
    if to.exists() and not (to.is_dir() and ((to / MODULES).is_file() or not any(to.iterdir()))):
        raise InputError(f"--export {to}: holds other files; choose an empty or a new folder")
    longest = subject.config.longest_row()
    most = min(max_length or 2**20, longest.tokens) if longest else max_length or 512
    with new_folder(to) as fresh:
        with machine_errors_at(to):
            _write_encoder(fresh, subject)
            copy_tokenizer(subject, fresh, most)
            _write_modules(fresh, subject, pooling, most)
            (fresh / CARD).write_text(_card(subject, pooling, most), encoding="utf-8")
        proof = _prove(fresh, subject, pooling, most)
        with machine_errors_at(to):
            sync_export(fresh)
            replace_export(place_of(to), fresh)
    return proof


def _write_encoder(folder: Path, subject: Subject) -> None:
    """Weights and config of the encoder, with its pooler where it has one and without heads, which nobody asks here."""
    family, names = subject.family, encoder_tensors(subject) | pooler_tensors(subject)
    configuration = family.config_to_json(subject.config, subject.vocab_size, subject.tokenizer.special, frozenset())
    configuration["architectures"] = [f"{family.class_prefix}Model"]
    write_folder(folder, {name: subject.tensors[name] for name in sorted(names)}, configuration)


def _write_modules(folder: Path, subject: Subject, pooling: Pooling, max_length: int) -> None:
    width = _width(subject)
    modules = [("", "Transformer"), ("1_Pooling", "Pooling"), *([("2_Dense", "Dense")] if pooling == "pooler" else [])]
    write_json(
        folder / MODULES,
        [
            {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{name}"}
            for index, (path, name) in enumerate(modules)
        ],
    )
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": max_length, "do_lower_case": False})
    modes = {"cls_token": pooling != "mean", "mean_tokens": pooling == "mean", "max_tokens": False}
    pooled: dict[str, Any] = {f"pooling_mode_{name}": on for name, on in modes.items()}
    write_json(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": width, **pooled})
    if pooling == "pooler":
        dense = {name.rpartition(".")[2]: subject.tensors[name] for name in pooler_tensors(subject)}
        activation = "torch.nn.modules.activation.Tanh"
        config = {"in_features": width, "out_features": width, "bias": True, "activation_function": activation}
        write_json(folder / "2_Dense" / "config.json", config)
        weights = save({f"linear.{name}": tensor for name, tensor in dense.items()}, metadata={"format": "pt"})
        (folder / "2_Dense" / WEIGHTS).write_bytes(weights)


def _width(subject: Subject) -> int:
    vectors = embed(subject, PROOF_TEXTS[:1], "mean", Running())
    return int(vectors.shape[1])


def _prove(folder: Path, subject: Subject, pooling: Pooling, max_length: int) -> str:
    running = Running(max_length=max_length)
    ours = embed(load_subject(folder), PROOF_TEXTS, pooling, running)
    if not np.array_equal(ours, embed(subject, PROOF_TEXTS, pooling, running)):
        raise WorkError("the folder gives other vectors than the model; not exported")
    if missing := cannot_import("sentence_transformers"):
        return f"read back; not compared with sentence-transformers, because {missing} (pip install .[export])"
    import sentence_transformers

    model = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
    theirs = model.encode(list(PROOF_TEXTS), show_progress_bar=False)
    difference = float(np.abs(theirs - ours).max() / np.abs(ours).max())
    if difference > TOLERANCE:
        raise WorkError(f"vectors differ from sentence-transformers' by {difference:.1e}; not exported")
    return f"vectors within {difference:.1e} of sentence-transformers {sentence_transformers.__version__}"


def _card(subject: Subject, pooling: Pooling, max_length: int) -> str:
    hub_id = hub_id_of(subject.origin)
    base = place_name({"place": subject.origin, "hub_id": hub_id})
    base_model = f"base_model: {hub_id}\n" if hub_id else ""
    licence = "\n".join(licence_lines(subject.licences))
    name = base.removesuffix("/export").rpartition("/")[2]
    return f"""---
language: ko
{licence}
{base_model}library_name: sentence-transformers
pipeline_tag: sentence-similarity
tags:
- korean
- sentence-transformers
- feature-extraction
- {subject.family.name}
---

# {name}-embeddings

Vectors of Korean texts from `{base}` ({subject.family.title}, {subject.config.in_words()}), by {REPOSITORY_NAME}: pooling {pooling}
of the last layer, texts of at most {max_length} tokens. The model was not trained to put texts of like meaning close together:
cosines are high between any two texts, and only their order says something. Train it on pairs for better vectors.

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("{PLACE}")
vectors = model.encode(["음악이 정말 좋았다.", "노래가 마음에 들었다.", "내일은 비가 온다."])
print(model.similarity(vectors, vectors))
```
"""
