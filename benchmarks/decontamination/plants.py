"""Copies of benchmark sentences, edited as people and crawlers edit text."""

import random
import re
from collections.abc import Callable, Sequence

PARTICLES = ("은", "는", "이", "가", "을", "를", "에", "에서", "의", "도", "로", "으로", "와", "과", "만", "까지")
_PARTICLE = re.compile(f"(?<=[가-힣])(?:{'|'.join(sorted(PARTICLES, key=len, reverse=True))})$")
_LETTER = re.compile("[0-9A-Za-z가-힣]")
_SYLLABLE = re.compile("[가-힣]")


class Editor:
    """Edits that keep a sentence recognisable; the same seed gives the same edits.

    - `carriers`: sentences of a corpus, for what stands around a sentence and what replaces its characters.
    """

    def __init__(self, carriers: Sequence[str], seed: int) -> None:
        self._random = random.Random(seed)
        self._carriers = carriers
        self._syllables = _SYLLABLE.findall("".join(carriers[:2000]))

    def spacing(self, text: str) -> str:
        """Half of the blanks go, and one character in ten gets one behind it."""
        kept = "".join(c for c in text if c != " " or self._random.random() < 0.5)
        return "".join(c + " " * (self._random.random() < 0.1) for c in kept).strip()

    def particles(self, text: str) -> str:
        """Half of the eojeols that end in a particle get another one, one at least."""
        words = text.split(" ")
        places = [place for place, word in enumerate(words) if _PARTICLE.search(word)]
        for place in self._random.sample(places, (len(places) + 1) // 2):
            words[place] = _PARTICLE.sub(self._random.choice(PARTICLES), words[place])
        return " ".join(words)

    def characters(self, text: str) -> str:
        """6 % of the letters and digits, one at least, become syllables of the corpus."""
        places = [place.start() for place in _LETTER.finditer(text)]
        changed = list(text)
        for place in self._random.sample(places, max(1, round(0.06 * len(places)))):
            changed[place] = self._random.choice(self._syllables)
        return "".join(changed)

    def truncation(self, text: str) -> str:
        """The first 60 % of the characters."""
        return text[: round(0.6 * len(text))]

    def reordering(self, text: str) -> str:
        """The eojeols are cut into three runs, which change places; nothing changes where there are fewer than three."""
        words = text.split(" ")
        if len(words) < 3:
            return text
        first, second = sorted(self._random.sample(range(1, len(words)), 2))
        return " ".join([*words[second:], *words[first:second], *words[:first]])

    def embedding(self, text: str) -> str:
        """Between two sentences of the corpus, without the marks that end them: one long sentence."""
        before, after = (self._random.choice(self._carriers).rstrip(" .!?") for _ in range(2))
        return f"{before} {text.rstrip(' .!?')} {after}"

    def embedding_with_characters(self, text: str) -> str:
        """Embedding, after 6 % of the characters."""
        return self.embedding(self.characters(text))

    def combined(self, text: str) -> str:
        """Spacing, particles and characters."""
        return self.characters(self.particles(self.spacing(text)))


EDITS: dict[str, Callable[[Editor, str], str]] = {
    "copy": lambda _, text: text,
    "spacing": Editor.spacing,
    "particles": Editor.particles,
    "6 % of the characters": Editor.characters,
    "truncated to 60 %": Editor.truncation,
    "reordered": Editor.reordering,
    "embedded": Editor.embedding,
    "spacing, particles, 6 % of the characters": Editor.combined,
    "embedded, 6 % of the characters": Editor.embedding_with_characters,
}
"""What a plant is: name -> edit."""
