"""What the launcher asks Python before it books: whether the command is right, what it needs, what it reads."""

import pytest

from data_pipeline.commands import sources
from data_pipeline.contract.errors import InputError
from pretrain.commands import needs


@pytest.mark.parametrize(
    ("flags", "extras"),
    [
        ((), []),
        (("--training.wandb-project", "p", "--training.probes.every-steps", "10"), ["wandb", "evaluate"]),
    ],
)
def test_a_training_names_its_extras(
    capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], extras: list[str]
) -> None:
    needs.run(["quickstart", *flags])
    assert capsys.readouterr().out.split() == extras


def test_a_wrong_override_is_found_without_training() -> None:
    with pytest.raises(InputError, match=r"--training\.max-stps: no such flag"):
        needs.run(["quickstart", "--training.max-stps", "3"])


def test_the_files_of_a_recipe_are_those_that_prepare_reads(capsys: pytest.CaptureFixture[str]) -> None:
    sources.run(["quickstart", "--source", "text:corpora/*.txt", "lines:more.txt", "--benchmark", "nsmc.tsv"])
    assert capsys.readouterr().out.split() == ["corpora/*.txt", "more.txt", "nsmc.tsv"]
