"""Exports in the transformers that is installed; as a script it prints what `read_exports` returns, with another one on PYTHONPATH."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def loaded(folder: str | Path) -> tuple[Any, dict[str, list[str]]]:
    """The model of the class that config.json names, and the names of tensors that it did not find or could not use."""
    import transformers

    [name] = json.loads((Path(folder) / "config.json").read_text())["architectures"]
    model, info = getattr(transformers, name).from_pretrained(folder, output_loading_info=True)
    return model, {kind: sorted(info[kind]) for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")}


def read_exports(folders: Sequence[str], pairs: Sequence[Sequence[str]]) -> dict[str, Any]:
    """By folder: the version of transformers, `loaded`'s names, the tokens of pairs of texts and the logits for them."""
    import torch
    import transformers

    found = {}
    for folder in folders:
        model, keys = loaded(folder)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        first, second = zip(*pairs, strict=True)
        rows = tokenizer(list(first), list(second), padding=True, return_tensors="pt")
        targets = {}
        if model.config.is_encoder_decoder:
            targets = {f"decoder_{name}": rows[name] for name in ("input_ids", "attention_mask")}
        with torch.no_grad():
            output = model.eval()(**rows, **targets)
        logits = output["prediction_logits"] if "prediction_logits" in output else output["logits"]
        found[folder] = {
            "version": transformers.__version__,
            "keys": keys,
            "tokens": rows["input_ids"].tolist(),
            "logits": logits.tolist(),
        }
    return found


if __name__ == "__main__":
    print(json.dumps(read_exports(*json.loads(sys.argv[1]))))
