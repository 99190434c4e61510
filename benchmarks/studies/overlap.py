"""What decontamination took of a corpus, and which benchmark texts are left in it: counted without the pipeline's index."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.decontamination.natural import found_in, letters
from benchmarks.studies.grid import Grid
from data_pipeline.contract.benchmark_files import read_benchmark
from data_pipeline.contract.compression import COMPRESSED
from data_pipeline.contract.run_folder import REPORT, RunFolder
from data_pipeline.contract.storage import read_json
from data_pipeline.corpus.corpus_files import read_sentences
from pretrain.evaluate.tasks.files import find_file

Overlap = dict[str, dict[str, Any]]


def overlap_of(grid: Grid, corpus: RunFolder, data: Path) -> Overlap:
    """By column of the grid: `texts` of its files; `removed`, sentences of the corpus that went for their sake; `left`, texts that
    are still in it, by letters and digits, long ones anywhere in a text and short ones as the whole of it; of these `formulae`, which
    so many documents hold that they are kept.

    - `corpus`: a prepared run folder.
    """
    report = read_json(corpus.corpus / REPORT)
    matched = report["sentences"]["matched"]
    formulae = {letters(text) for texts in report["formulae"]["formulae"].values() for text in texts}
    kept = list(_kept(corpus))
    found: Overlap = {}
    for spec in {spec.name: spec for spec in grid.tasks}.values():
        task = spec.task
        splits = (
            ["train"] if task.held_out else [split for split in ("train", "dev", task.scored) if split in task.files]
        )
        files = {find_file(task, data, split) for split in splits}  # type: ignore[arg-type]
        own = {letters(text.text) for file in files for text in read_benchmark(file)} - {""}
        left = set(found_in(own, kept))
        found[spec.name] = {
            "texts": len(own),
            "removed": sum(of_source.get(name, 0) for of_source in matched.values() for name in map(_called, files)),
            "left": len(left),
            "formulae": len(left & formulae),
        }
    return found


def _called(file: Path) -> str:
    """What the report calls a benchmark's file: its folder and its name without endings."""
    name = file.name
    for ending in COMPRESSED:
        name = name.removesuffix(ending)
    return f"{file.parent.name}/{Path(name).stem}"


def _kept(corpus: RunFolder) -> Iterator[str]:
    for path in sorted((corpus.corpus / "sentences" / "data").rglob("part.zst")):
        for document in read_sentences(str(path)):
            yield from ("".join(sentence.text for sentence in run) for run in document.runs())
