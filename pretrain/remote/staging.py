"""Which training records a host needs: those of the phases that are still to be trained."""

from pathlib import Path

from data_pipeline.contract.records import HEADER, read_header
from pretrain.input.phases import records_folder
from pretrain.input.schedule import stretches
from pretrain.recipe import TrainingRecipe


def folders_to_stage(examples: Path, recipe: TrainingRecipe, step: int) -> list[str]:
    """The folders below `examples`, "." for itself, whose training rows are needed from a step on.

    - `examples`: with the headers of all lengths.
    - `step`: steps done, by the newest checkpoint.

    The main length is among them where it holds no rows out: the proof of an export then reads its first training rows. Raises
    InputError for a recipe that asks for other lengths than there are.
    """
    if not (examples / HEADER).exists():
        return []
    folders = {records_folder(examples, stretch) for stretch in stretches(recipe) if stretch.stop > step}
    if not read_header(examples).rows.get("evaluation"):
        folders.add(examples)
    return sorted(str(folder.relative_to(examples)) for folder in folders)
