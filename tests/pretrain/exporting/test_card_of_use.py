"""A card says of its model what its heads do and no more: metadata that the hub takes, snippets that run, what was never trained."""

import contextlib
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from tiny_run import LENGTH, TINY, changed, write_records
from toy_family.config import ToyConfig
from toy_objective.recipe import Tandem

from data_pipeline.contract.records import Layout
from data_pipeline.contract.run_folder import RunFolder
from pretrain.commands.asking.fill import run as fill
from pretrain.exporting.card_of_use import PLACE, use
from pretrain.exporting.export import export
from pretrain.models.electra.config import ElectraConfig
from pretrain.models.gpt2.config import GPT2Config
from pretrain.models.roberta.config import RobertaConfig
from pretrain.objectives.causal_lm.recipe import CausalLM
from pretrain.objectives.replaced_token.recipe import Generator, ReplacedToken
from pretrain.recipe import Phase, TrainingRecipe
from pretrain.train import train

pytestmark = pytest.mark.usefixtures("shared_programs")
TRANSFORMERS_4 = Path(sys.prefix) / "transformers-4"
BLOCK = re.compile(r"```python\n(.*?)\n```", re.DOTALL)
ENCODER = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
GENERATOR = Generator(hidden_share=0.5, layers_share=0.5)
RUNS: dict[str, tuple[Layout, dict[str, Any]]] = {
    "packed": ("packed", {}),
    "pairs": ("sentence_pairs", {}),
    "roberta": ("packed", {"model": RobertaConfig(**ENCODER, max_position_embeddings=LENGTH + 1)}),
    "discriminator": (
        "packed",
        {
            "model": ElectraConfig(**ENCODER, embedding_size=16, max_position_embeddings=LENGTH),
            "objective": ReplacedToken(generator=GENERATOR),
        },
    ),
    "gpt2": (
        "causal",
        {"model": GPT2Config(n_layer=2, n_embd=32, n_head=2, n_positions=64), "objective": CausalLM()},
    ),
    "tandem": ("packed", {"model": ToyConfig(), "objective": Tandem()}),
}
"""A run of each kind: the layout of its rows, and what its recipe has other than TINY."""
EVERY = ("packed", "pairs", "roberta", "discriminator", "generator", "gpt2")
"""Exports that transformers loads."""
FAST = ("packed", "gpt2")
EACH = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in FAST else pytest.mark.slow) for name in EVERY]
)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, shared_programs: None) -> Callable[[str], Path]:
    """The export of one of RUNS, trained when it is first asked for, or the generator below the discriminator's."""
    folder = tmp_path_factory.mktemp("cards")

    @cache
    def make(name: str) -> Path:
        if name == "generator":
            return make("discriminator") / "generator"
        layout, fields = RUNS[name]
        run = RunFolder(folder / name)
        run.path.mkdir()
        write_records(run.examples, layout=layout)
        train(run, "tiny", changed(TINY, **fields, max_steps=3, stop_at_step=2))
        export(run, None, run.export)
        return run.export

    return make


def card_of(folder: Path) -> str:
    return (folder / "README.md").read_text(encoding="utf-8")


@EACH
def test_every_snippet_of_a_card_runs(name: str, exported: Callable[[str], Path]) -> None:
    blocks = BLOCK.findall(card_of(exported(name)))
    assert len(blocks) == (1 if name in ("generator", "gpt2") else 2)
    for block in blocks:
        assert PLACE in block
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(block.replace(PLACE, str(exported(name))), {})
        assert printed.getvalue().strip()


@EACH
def test_fill_asks_each_of_them(name: str, exported: Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    fill([str(exported(name)), *(["--tokens", "4"] if name == "gpt2" else [])])
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if not line.startswith("  ")]) == 2, "two examples"
    assert len([line for line in lines if "%" in line or name == "gpt2"]) >= 8


@pytest.mark.slow
def test_every_snippet_runs_with_transformers_4(exported: Callable[[str], Path]) -> None:
    if not TRANSFORMERS_4.exists():
        pytest.skip(f"{TRANSFORMERS_4} is not there; ./run_tests.sh makes it")
    blocks = [
        block.replace(PLACE, str(exported(name))) for name in EVERY for block in BLOCK.findall(card_of(exported(name)))
    ]
    code = "import json, sys\nfor block in json.loads(sys.argv[1]):\n    exec(block, {})"
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(blocks)], capture_output=True, text=True, timeout=600,
        env={"PYTHONPATH": str(TRANSFORMERS_4)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


TASKS = {"roberta": "fill-mask", "generator": "fill-mask", "discriminator": None, "gpt2": "text-generation"}


@EACH
def test_the_metadata_are_the_hubs(name: str, exported: Callable[[str], Path]) -> None:
    from transformers.pipelines import SUPPORTED_TASKS

    card = ModelCard(card_of(exported(name)))  # raises where the block is no YAML, or a value of another type
    task = TASKS.get(name, "fill-mask")
    told = card.data.to_dict()
    assert told["language"] == "ko"
    assert told["library_name"] == "transformers"
    assert told.get("pipeline_tag") == task
    assert task is None or task in SUPPORTED_TASKS
    assert [tag for tag in told["tags"] if tag in SUPPORTED_TASKS] == ([task] if task else [])
    assert ("mask_token" in told) == (task == "fill-mask")
    assert all(isinstance(example["text"], str) for example in told.get("widget", []))
    assert ("widget" in told) == (task is not None)
    if task == "fill-mask":
        assert all(told["mask_token"] in example["text"] for example in told["widget"])


SAID = {
    "packed": ("with a masked-language-model head", "and filling masks. It does not generate text.", "No pooler was"),
    "pairs": (
        "with masked-language-model and next-sentence heads",
        "The pooler and the next-sentence head were trained on sentence pairs.",
    ),
    "roberta": ("It has no token types for the texts of a pair, and its tokenizer makes none.",),
    "discriminator": (
        "with a replaced-token-detection head",
        "This is the discriminator. Trained together with it and exported beside it: the generator (`generator`, with a "
        "masked-language-model head).",
        "(classification, tagging, span extraction), and telling which tokens of a text were replaced. It does not fill masks",
    ),
    "generator": (
        "the discriminator (`..`, with a replaced-token-detection head)",
        "Filling masks. For fine-tuning take the discriminator instead (`..`).",
    ),
    "gpt2": ("with a next-token-prediction head", "answered in text, and continuing texts. What it writes need not be true."),
}  # fmt: skip
NEVER_SAID = {
    "packed": ("replaced-token", "Trained together"),
    "discriminator": ("fill-mask", "[MASK]", "complete sentences", "pooler"),
    "generator": ("AutoModelForSequenceClassification",),
    "gpt2": ("fill-mask", "[MASK]", "does not generate", "understanding tasks"),
}


def test_a_card_warns_of_a_pair_head_that_transformers_takes_for_another() -> None:
    facts = {
        "heads": ["pair", "vocabulary"],
        "auto_class": "AutoModelForMaskedLM",
        "main": "",
        "pairs": "next-sentence",
    }
    others = {"token_types": 2, "token_types_trained": (2, 2), "trained_length": 64, "positions": 64, "dropout": None}
    for taken_for, warned in (("next-sentence", False), ("sentence-order", True)):
        said = use({**facts, **others, "taken_for": taken_for}, "")
        assert ("takes that head for one of sentence-order prediction, which it was not trained for." in said) == warned


@EACH
def test_a_card_says_what_its_heads_do(name: str, exported: Callable[[str], Path]) -> None:
    card = card_of(exported(name))
    for words in SAID[name]:
        assert words in card
    for words in NEVER_SAID.get(name, ()):
        assert words not in card


@EACH
def test_a_card_names_a_pooler_that_transformers_would_draw(name: str, exported: Callable[[str], Path]) -> None:
    from transformers import AutoModel

    _, info = AutoModel.from_pretrained(exported(name), output_loading_info=True)
    assert {key.partition(".")[0] for key in info["missing_keys"]} <= {"pooler"}
    assert ("No pooler was trained" in card_of(exported(name))) == bool(info["missing_keys"])


def test_models_that_were_trained_together_point_to_each_other(exported: Callable[[str], Path]) -> None:
    """And one that transformers has no class for is not said to be its."""
    folder = exported("tandem")
    first, second = card_of(folder), card_of(folder / "helper")
    assert first.count("# tandem-toy-first\n") == second.count("# tandem-toy-second\n") == 1
    assert "This is the first." in first
    assert "the second (`helper`, with a masked-language-model head)" in first
    assert "This is the second." in second
    assert "the first (`..`, with a masked-language-model head)" in second
    for card in (first, second):
        assert re.search(r"held-out tandem loss: \d\.\d{4}; second's accuracy: 0\.\d{4} \(at step \d+\)\n", card)
        assert "transformers has no class for it" in card
        assert "fill-mask" not in card
        assert "library_name" not in ModelCard(card).data.to_dict()
        (block,) = BLOCK.findall(card)
        exec(block.replace(PLACE, str(folder)), {})


def test_positions_that_no_row_reached_are_named(
    tiny: TrainingRecipe, new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pretrain.exporting.export.prove", lambda *_: "not proven")
    short, start = new_run("short"), new_run("start")
    recipe = changed(tiny, model={"max_position_embeddings": 64}, max_steps=3, stop_at_step=1, evaluation={"rows": 0})
    train(short, "tiny", recipe)
    export(short, None, short.export)
    card = card_of(short.export)
    assert "Training rows had at most 32 tokens: positions 33 to 64 were never trained, and its tokenizer cuts" in card
    assert "- rows of at most 32 tokens, layout packed, word unit bert_word\n" in card
    assert '"model_max_length": 32' in (short.export / "tokenizer_config.json").read_text()
    train(start, "tiny", changed(recipe, start_from=(str(short.path),)))
    export(start, None, start.export)
    assert "rows had at most 32 tokens here: positions 33 to 64 are those of `short`." in card_of(start.export)
    assert '"model_max_length": 64' in (start.export / "tokenizer_config.json").read_text()


def test_rows_of_a_phase_that_has_not_begun_count_for_nothing(
    tiny: TrainingRecipe, new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pretrain.exporting.export.prove", lambda *_: "not proven")
    run = new_run()
    write_records(run.examples / "24", length=24)
    recipe = changed(
        tiny, phases=(Phase(length=24, share=0.5), Phase(length=LENGTH, share=0.5)), max_steps=4, evaluation={"rows": 0}
    )
    train(run, "tiny", recipe)
    for step, positions in ((2, True), (4, False)):
        to = run.path / f"of-{step}"
        export(run, step, to)
        assert ("positions 25 to 32 were never trained" in card_of(to)) == positions
