"""Tiny models on a page."""

from pathlib import Path

import pytest
from families import FAMILIES, drawn, stored

SHOWN = {"bert": "vocabulary", "electra": "replaced", "gpt2": "next_token", "bert_shared": "target"}
"""Family -> its head."""


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder of a model for each head that answers, by its head."""
    place = tmp_path_factory.mktemp("shown")
    return {
        head: stored(place / name, *drawn(FAMILIES[name].config, frozenset({head}))) for name, head in SHOWN.items()
    }
