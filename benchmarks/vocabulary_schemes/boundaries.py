"""How well the cuts of a vocabulary agree with hand-made morpheme boundaries: UD Korean-GSD."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from data_pipeline.contract.tokenizer import Tokenizer


@dataclass(frozen=True)
class Eojeol:
    """An eojeol and the characters, counted from 0, at which its second and later morphemes begin."""

    text: str
    boundaries: frozenset[int]


@dataclass(frozen=True)
class Gold:
    """The eojeols that can be judged, and of how many."""

    eojeols: tuple[Eojeol, ...]
    of: int


@dataclass(frozen=True)
class Agreement:
    """Shares of boundaries inside eojeols, 0 to 1."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        return 2 * self.precision * self.recall / max(1e-9, self.precision + self.recall)


def gold(folder: Path) -> Gold:
    """All eojeols of the treebank's files whose lemmas, joined, are the eojeol: of the others (했다: 하+었+다) no cut is right."""
    found, of = [], 0
    for form, lemmas in _tokens(folder):
        of += 1
        morphemes = lemmas.split("+")
        if "".join(morphemes) == form and all(morphemes):
            found.append(Eojeol(form, frozenset(list(accumulate(map(len, morphemes)))[:-1])))
    return Gold(tuple(found), of)


def _tokens(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.glob("*.conllu")):
        for line in path.read_text(encoding="utf-8").splitlines():
            fields = line.split("\t")
            if fields[0].isdecimal():
                yield fields[1], fields[2]


def agreement(tokenizer: Tokenizer, eojeols: tuple[Eojeol, ...]) -> Agreement:
    """Of the cuts of a vocabulary with the treebank's boundaries, over all eojeols together."""
    right = cut = there = 0
    encodings = tokenizer.backend.encode_batch([eojeol.text for eojeol in eojeols], add_special_tokens=False)
    for eojeol, encoding in zip(eojeols, encodings, strict=True):
        cuts = {start for start, _ in encoding.offsets} - {0}
        right += len(cuts & eojeol.boundaries)
        cut += len(cuts)
        there += len(eojeol.boundaries)
    return Agreement(right / max(1, cut), right / max(1, there))
