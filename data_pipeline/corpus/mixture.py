"""How often each document is trained on: sources and categories weighted against each other, the same in every run."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from data_pipeline.contract.file_names import tidy_name
from data_pipeline.corpus.corpus_files import SplitDocument
from data_pipeline.recipe import DataRecipe


@dataclass(frozen=True)
class Mixture:
    """The weights that bear on one source.

    - `weight`: of the source. `categories`: further factors, by category; 1 for those not named.
    - `seed`: draws which documents a fraction of a copy falls to.
    """

    weight: float = 1.0
    categories: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0

    def copies(self, document: SplitDocument) -> int:
        """How often to train on a document; a held out one stands once, whatever its weight.

        A weight of 2.5 is two copies, and a third one of half of the documents: those whose text and the seed hash low.
        """
        if document.split != "train":
            return 1
        whole, fraction = divmod(self.weight * self.categories.get(document.category, 1.0), 1)
        if not fraction:
            return int(whole)
        digest = hashlib.blake2b(f"{self.seed} {document.key}".encode(), digest_size=8).digest()
        return int(whole) + (int.from_bytes(digest) / 2**64 < fraction)

    def numbers_of_copies(self) -> list[int]:
        """Every number of copies, but none, that a document may have, ascending."""
        weights = {self.weight * factor for factor in (1.0, *self.categories.values())}
        return sorted({bound for weight in weights for bound in (math.floor(weight), math.ceil(weight))} - {0})


def mixture_of(recipe: DataRecipe, weight: float) -> dict[str, Any]:
    """The fields of the Mixture of a source with this weight, JSON-ready."""
    return {
        "weight": weight,
        "categories": {tidy_name(name): factor for name, factor in recipe.category_weights},
        "seed": recipe.seed,
    }
