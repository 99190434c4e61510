"""The compiled steps of the tiny recipe as hashes: an equal hash is the same program, so equal bits, without training.

    python tests/guards/step_programs.py             prints what differs from step_programs.json
    python tests/guards/step_programs.py --write     keeps the hashes of this jax there

A change that should move no bit leaves the hashes as they are; one that means to changes them in the same commit.
"""

import hashlib
import itertools
import json
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[depth] / below) for depth, below in ((2, ""), (1, ""), (1, "support"))]
    import conftest  # noqa: F401  eight devices

import jax
from tiny_run import LENGTH, TINY, changed, write_records

from data_pipeline.contract.records import read_header, row_fields
from pretrain.devices.sharding import batch_sharding, make_mesh
from pretrain.input.batches import abstract_batch
from pretrain.input.phases import records_folder
from pretrain.input.schedule import stretches
from pretrain.job import objective_of
from pretrain.optimization.step import make_steps
from pretrain.recipe import Phase

HASHES = Path(__file__).parent / "step_programs.json"
SHORT = 24
MESHES: dict[str, tuple[int, dict[str, int]]] = {
    "1 device": (1, {}),
    "data 8": (8, {"data": 8}),
    "fsdp 8": (8, {"data": 1, "fsdp": 8}),
    "tensor 2": (2, {"data": 1, "tensor": 2}),
}
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "accumulated": {"accumulation": 2},
    "pairs": {},
    "two lengths": {"phases": (Phase(SHORT, 0.5), Phase(LENGTH, 0.5))},
}
OPTIMIZERS = ("adamw", "lamb", "adafactor", "muon")
RECIPE = changed(
    TINY, compute_dtype="bfloat16", model={"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}
)
"""With dropout and casts, so that their places in the program count."""
NAMES = re.compile(r'jax\.result_info = "[^"]*"|jax\.arg_info = "[^"]*"')


class Case(NamedTuple):
    """One of the programs: its mesh, what the rows are, the optimizer."""

    mesh: str
    kind: str
    optimizer: str

    def __str__(self) -> str:
        return ", ".join(self)


CASES = [Case(*each) for each in itertools.product(MESHES, KINDS, OPTIMIZERS)]


def write_examples(folder: Path) -> None:
    """The records of all cases, `packed/examples` with two lengths and `pairs/examples`."""
    write_records(folder / "packed" / "examples")
    vocabulary = folder / "packed" / "vocabulary"
    write_records(folder / "packed" / "examples" / str(SHORT), length=SHORT, vocabulary=vocabulary)
    write_records(folder / "pairs" / "examples", layout="sentence_pairs")


def hashes(folder: Path, case: Case) -> Iterator[tuple[str, str]]:
    """The name and hash of each program of a case: the train step of each length, and for adamw the evaluation step.

    - `folder`: of `write_examples`.
    """
    devices, sizes = MESHES[case.mesh]
    recipe = changed(RECIPE, mesh=sizes, optimizer={"name": case.optimizer}, **KINDS[case.kind])
    examples = folder / ("pairs" if case.kind == "pairs" else "packed") / "examples"
    mesh = make_mesh(recipe.mesh, jax.devices()[:devices])
    rows = batch_sharding(mesh)
    with jax.set_mesh(mesh):
        for stretch in stretches(recipe):
            header = read_header(records_folder(examples, stretch))
            steps = make_steps(objective_of(stretch.recipe, header), stretch.recipe, mesh)
            name = f"{case}" if stretch.length is None else f"{case}, {stretch.length} tokens"
            fields = row_fields(header)
            batch = abstract_batch(fields, stretch.recipe.global_batch_size, stretch.recipe.accumulation, rows)
            yield f"train: {name}", _hash(steps.train.lower(steps.abstract_state, batch))
            if case.optimizer == "adamw":
                size = stretch.recipe.global_batch_size // stretch.recipe.accumulation
                lowered = steps.evaluate.lower(  # type: ignore[attr-defined]
                    steps.abstract_state["params"], abstract_batch(fields, size, 1, rows)
                )
                yield f"evaluate: {name}", _hash(lowered)


def _hash(lowered: jax.stages.Lowered) -> str:
    """Of the StableHLO without the names of arguments, results and functions."""
    text = NAMES.sub("", lowered.as_text())
    places: dict[str, str] = {}
    text = re.sub(r"@[\w.]+", lambda found: places.setdefault(found[0], f"@{len(places)}"), text)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def kept() -> dict[str, str]:
    """The hashes of step_programs.json for the jax that is installed; none for a jax that was never written."""
    of_versions: dict[str, dict[str, str]] = json.loads(HASHES.read_text()) if HASHES.exists() else {}
    return of_versions.get(jax.__version__, {})


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_examples(Path(folder))
        found = {name: value for case in CASES for name, value in hashes(Path(folder), case)}
    if sys.argv[1:] == ["--write"]:
        of_versions = json.loads(HASHES.read_text()) if HASHES.exists() else {}
        content = {**of_versions, jax.__version__: found}
        HASHES.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
        return
    before = kept()
    differing = [name for name in {**before, **found} if before.get(name) != found.get(name)]
    print("\n".join(differing) or f"{len(found)} programs, all as before")
    sys.exit(bool(differing))


if __name__ == "__main__":
    main()
