"""An exported GPT-2 in transformers 4 and 5: our tokens, our logits, and prompts as it saw texts in training."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compiled_once import traced_once
from tiny_run import LENGTH, PIECES, TINY, VOCABULARY, changed, write_records

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.run_folder import RunFolder
from pretrain.exporting.continuation import continuations
from pretrain.exporting.export import export
from pretrain.models.gpt2.config import GPT2Config
from pretrain.objectives.causal_lm.recipe import CausalLM
from pretrain.subject import load_subject
from pretrain.train import train

RECIPE = changed(
    TINY,
    model=GPT2Config(n_layer=2, n_embd=32, n_head=2, n_positions=LENGTH, initializer_range=0.2),
    objective=CausalLM(),
    evaluation={"rows": 0},
    stop_at_step=2,
)
TEXT = "가 나 다 라 마 AB"
SAMPLING = {"top_k": 20, "temperature": 1.0, "seed": 3}
TRANSFORMERS_4 = Path(sys.prefix) / "transformers-4"
LOAD = """
import json, sys
import torch, transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline

folder, text = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(folder)
model, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
rows = tokenizer([text, text[:3]], padding=True, return_tensors="pt")
ids = tokenizer(text, return_tensors="pt")
write = pipeline("text-generation", model=folder, device="cpu")
print(json.dumps({
    "version": transformers.__version__,
    "ids": tokenizer(text)["input_ids"],
    "pair": tokenizer(text, text)["input_ids"],
    "names": sorted(rows),
    "length": tokenizer.model_max_length,
    "specials": [tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token],
    "missing": sorted(info["missing_keys"]) + sorted(info["unexpected_keys"]),
    "logits": model.eval()(**ids).logits.detach()[0].tolist(),
    "greedy": model.generate(**ids, do_sample=False, max_new_tokens=20)[0].tolist(),
    "written": write(text, do_sample=False, max_new_tokens=20)[0]["generated_text"],
    "generation": [model.generation_config.bos_token_id, model.generation_config.eos_token_id, model.generation_config.pad_token_id],
}))
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunFolder]:
    run = RunFolder(tmp_path_factory.mktemp("causal") / "run")
    run.path.mkdir()
    write_records(run.examples, layout="causal")
    with traced_once():
        train(run, "causal", RECIPE)
        export(run, None, run.export)
        yield run


@pytest.mark.parametrize("generation", ["4", "5"])
def test_transformers_reads_the_export_and_continues_a_text_as_we_do(generation: str, exported: RunFolder) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    if generation == "4" and not TRANSFORMERS_4.exists():
        pytest.skip("transformers 4 is not installed beside the current one; run_tests.sh does that")
    environment = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "PATH": "", "HOME": str(exported.path)}
    if generation == "4":
        environment["PYTHONPATH"] = str(TRANSFORMERS_4)
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(exported.export), TEXT],
        capture_output=True, text=True, env=environment, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["version"].split(".")[0] == generation
    assert found["missing"] == []
    sep = PIECES.index("[SEP]")
    assert found["ids"][0] == sep, "a text begins after [SEP], and nothing ends it"
    assert PIECES.index("[CLS]") not in found["ids"]
    assert found["ids"].count(sep) == 1
    assert found["pair"] == found["ids"] * 2
    assert found["names"] == ["attention_mask", "input_ids"], "GPT-2 would add rows of its word table for token types"
    assert found["length"] == LENGTH
    assert found["specials"] == ["[SEP]", "[SEP]", "[PAD]"]
    assert found["generation"] == [sep, sep, PIECES.index("[PAD]")]

    subject = load_subject(exported.export)
    assert subject.tokenizer.backend.encode(TEXT).ids == found["ids"]
    ids = np.array([found["ids"]])
    np.testing.assert_allclose(subject.logits(ids, 0 * ids, 0 * ids + 1)[0], found["logits"], atol=1e-4)
    prompt = len(found["ids"])
    written = found["greedy"][prompt:]
    ends = written[: written.index(sep)] if sep in written else written
    (ours,) = continuations(subject, TEXT, count=1, tokens=20, top_k=0, temperature=0.0, seed=0)
    assert ours == f"{TEXT} {subject.tokenizer.backend.decode(ends)}"
    # The pipeline of transformers 5 decodes what is new apart, and so loses the blank before it.
    assert ours.replace(" ", "") == found["written"].replace(" ", "")
    assert len(ends) > 3, "it wrote something"


def test_a_run_and_its_export_continue_a_text_alike(exported: RunFolder) -> None:
    """The run's own tokenizer makes `[CLS] text [SEP]` of a text, which this model never saw."""
    subjects = load_subject(exported.path), load_subject(exported.export)
    theirs, ours = (continuations(each, TEXT, count=3, tokens=12, **SAMPLING) for each in subjects)  # type: ignore[arg-type]
    assert theirs == ours
    assert len(set(ours)) == 3
    assert all(text.startswith(TEXT) for text in ours), "as it was given, also where it is [UNK]"
    again = continuations(subjects[1], TEXT, count=3, tokens=12, **SAMPLING | {"seed": 4})  # type: ignore[arg-type]
    assert again != ours


def test_a_run_and_its_export_put_the_same_specials_around_texts(exported: RunFolder) -> None:
    run, folder = (load_subject(place).tokenizer for place in (exported.path, exported.export))
    for texts in ((TEXT,), (TEXT, "가")):
        assert run.backend.encode(*texts).ids == folder.backend.encode(*texts).ids
    assert run.backend.encode(TEXT).ids[0] == run.special.sep


def test_the_likeliest_tokens_alone_are_drawn(exported: RunFolder) -> None:
    subject = load_subject(exported.export)
    choices: dict[str, Any] = {"count": 2, "tokens": 10, "seed": 1}
    greedy = continuations(subject, TEXT, top_k=0, temperature=0.0, **choices)
    assert continuations(subject, TEXT, top_k=1, temperature=1.0, **choices) == greedy
    assert continuations(subject, TEXT, top_k=0, temperature=1e-4, **choices) == greedy
    assert continuations(subject, TEXT, top_k=VOCABULARY, temperature=5.0, **choices) != greedy


def test_a_text_that_leaves_no_room_is_refused(exported: RunFolder) -> None:
    with pytest.raises(
        InputError, match=r"the text has 7 tokens with its \[SEP\], and 26 are to be written; the model reads 32"
    ):
        continuations(load_subject(exported.export), TEXT, count=1, tokens=26, **SAMPLING)  # type: ignore[arg-type]
