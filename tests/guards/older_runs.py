"""Run folders that older code left after two of six steps, kept in older_runs.tar.xz: today's code resumes and exports them.

    python tests/guards/older_runs.py --write FILE.tar.xz      makes such an archive with today's code

The archive holds OPTIMIZER-KIND/ for each run, and expected.json: the metrics of steps 3 to 6 as the code that wrote it computed
them, and the hashes of what it exported from step 2.
"""

import hashlib
import itertools
import json
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[depth] / below) for depth, below in ((2, ""), (1, ""), (1, "support"))]
    import conftest  # noqa: F401  eight devices

from compiled_once import traced_once
from safetensors.numpy import load_file
from tiny_run import LENGTH, TINY, changed, untimed, write_records

from data_pipeline.contract.run_folder import RunFolder
from pretrain.checkpoints.restore import restore_params
from pretrain.checkpoints.verify import facts_of, step_folder
from pretrain.exporting.export import export
from pretrain.hugging_face.folder import CONFIG, WEIGHTS, write_folder
from pretrain.models.bert.config import BertConfig
from pretrain.recipe import Phase, TrainingRecipe, training_recipe_from_plain
from pretrain.train import train

ARCHIVE = Path(__file__).parent / "older_runs.tar.xz"
EXPECTED = "expected.json"
SHORT, STOP = 24, 2
OPTIMIZERS = ("adamw", "lamb", "adafactor", "muon")
KINDS: dict[str, dict[str, Any]] = {
    "packed": {},
    "pairs": {},
    "two_phases": {"phases": (Phase(SHORT, 0.5), Phase(LENGTH, 0.5, accumulation=2))},
}
RUNS = [f"{optimizer}-{kind}" for kind, optimizer in itertools.product(KINDS, OPTIMIZERS)]


def recipe_of(name: str) -> TrainingRecipe:
    """The recipe of one of RUNS: the tiny one, narrower so that twelve states fit in the archive."""
    optimizer, kind = name.split("-")
    found: TrainingRecipe = changed(
        TINY,
        model={"hidden_size": 8, "intermediate_size": 16, "hidden_dropout_prob": 0.1},
        optimizer={"name": optimizer},
        checkpoints={"keep": 1},
        **KINDS[kind],
    )
    return found


def exported(run: RunFolder, to: Path) -> dict[str, str]:
    """SHA-256 of the weights and of config.json that an export of step STOP writes, with what exports came to change as it is in
    the checkpoint: the dropouts, which are fine-tuning's now, and token types that were never trained, now copies of type 0."""
    export(run, STOP, to)
    checkpoint = step_folder(run.checkpoints, STOP)
    model = training_recipe_from_plain(facts_of(checkpoint)["recipe"]).model
    assert isinstance(model, BertConfig)
    dropouts = ("hidden_dropout_prob", "attention_probs_dropout_prob")
    types = restore_params(checkpoint)["bert"]["embeddings"]["token_type_embeddings"]["embedding"]
    tensors = {**load_file(to / WEIGHTS), "bert.embeddings.token_type_embeddings.weight": types}
    config = {**json.loads((to / CONFIG).read_text()), **{name: getattr(model, name) for name in dropouts}}
    write_folder(to, tensors, config)
    return {name: hashlib.sha256((to / name).read_bytes()).hexdigest() for name in (WEIGHTS, CONFIG)}


def later_metrics(run: RunFolder) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl after step STOP, without the machine's speed."""
    return [line for line in untimed(run) if line["step"] > STOP]


def unpack(folder: Path) -> dict[str, Any]:
    """Unpacks the archive and returns what is expected of each run."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    expected: dict[str, Any] = json.loads((folder / EXPECTED).read_text())
    return expected


def write(archive: Path) -> None:
    """Trains the runs, keeps them as they are after step STOP, and notes how they end."""
    with tempfile.TemporaryDirectory() as temporary, traced_once():
        kept, expected = Path(temporary) / "kept", {}
        for name in RUNS:
            run, recipe = RunFolder(Path(temporary) / "run"), recipe_of(name)
            layout = "sentence_pairs" if name.endswith("pairs") else "packed"
            write_records(run.examples, layout=layout)
            if name.endswith("two_phases"):
                write_records(run.examples / str(SHORT), length=SHORT, seed=1, vocabulary=run.vocabulary)
            train(run, "tiny", changed(recipe, stop_at_step=STOP))
            shutil.copytree(run.path, kept / name, ignore=shutil.ignore_patterns("events.*", "*.shard", ".lock"))
            hashes = exported(run, Path(temporary) / "export")
            train(run, "tiny", recipe)
            expected[name] = {"exported": hashes, "metrics": later_metrics(run)}
            for folder in (run.path, Path(temporary) / "export"):
                shutil.rmtree(folder)
        (kept / EXPECTED).write_text(json.dumps(expected, indent=1))
        with tarfile.open(archive, "w:xz") as written:
            for path in sorted(kept.iterdir()):
                written.add(path, path.name)


if __name__ == "__main__":
    write(Path(sys.argv[2]))
