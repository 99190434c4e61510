"""Texts as they are typed in a hurry: what spacing, typos and appended jamo cost a fine-tuned model.

Every noise is a pure function of a text and random numbers, which the names of noise and example decide: models and seeds are scored on
the same texts. Source of the layout: KS X 5002, the two-set keyboard.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from data_pipeline.contract.errors import InputError
from pretrain.evaluate.tasks.examples import TextExample

Noise = Callable[[str, np.random.Generator], str]

SPACING_RATE = 0.2
"""Probability that a blank is dropped, and that one is inserted between two characters that are not blank."""
TYPO_RATE = 0.1
"""Probability that a jamo of a syllable is mistyped."""

KEYS = ("ㅂㅈㄷㄱㅅㅛㅕㅑㅐㅔ", "ㅁㄴㅇㄹㅎㅗㅓㅏㅣ", "ㅋㅌㅊㅍㅠㅜㅡ")
"""The rows of keys without shift. Each row is half a key to the right of the one above."""
INITIALS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
MEDIALS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
FINALS = "\0ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"
"""The jamo of a syllable's three places in the order of Unicode (chapter 3.12); \\0 means no final consonant."""
FIRST_SYLLABLE, LAST_SYLLABLE = "가", "힣"


def _neighbours() -> dict[str, str]:
    """For each jamo with a key of its own the jamo on adjacent keys that can take its place: consonants for consonants."""
    found: dict[str, set[str]] = {key: set() for row in KEYS for key in row}
    beside = [pair for row in KEYS for pair in pairwise(row)]
    below = [
        pair
        for upper, lower in pairwise(KEYS)
        for place, key in enumerate(lower)
        for pair in [(upper[place], key), *([(upper[place + 1], key)] if place + 1 < len(upper) else [])]
    ]
    for one, other in beside + below:
        if (one in MEDIALS) == (other in MEDIALS):
            found[one].add(other)
            found[other].add(one)
    return {key: "".join(sorted(others)) for key, others in found.items()}


NEIGHBOURS = _neighbours()


def without_blanks(text: str, _: np.random.Generator) -> str:
    """No blank is left."""
    return "".join(text.split())


def spaced_syllables(text: str, _: np.random.Generator) -> str:
    """A blank between a Hangul syllable and any character beside it that is not blank."""
    return re.sub(
        rf"(?<=[{FIRST_SYLLABLE}-{LAST_SYLLABLE}])(?=\S)|(?<=\S)(?=[{FIRST_SYLLABLE}-{LAST_SYLLABLE}])", " ", text
    )


def random_spacing(text: str, random: np.random.Generator) -> str:
    """Each blank is dropped, and a blank inserted between any two characters that are not blank, with SPACING_RATE."""
    drawn = random.random(len(text)) < SPACING_RATE
    found = []
    for place, character in enumerate(text):
        if character.isspace():
            found.append("" if drawn[place] else character)
        else:
            inner = place + 1 < len(text) and not text[place + 1].isspace()
            found.append(f"{character} " if inner and drawn[place] else character)
    return "".join(found)


def typos(text: str, random: np.random.Generator) -> str:
    """One jamo of a syllable, with TYPO_RATE, is a neighbour on the keyboard; jamo that take shift or two keys stay."""
    drawn = random.random((len(text), 3))
    return "".join(
        _mistyped(character, which, other)
        if FIRST_SYLLABLE <= character <= LAST_SYLLABLE and hit < TYPO_RATE
        else character
        for character, (hit, which, other) in zip(text, drawn, strict=True)
    )


def _mistyped(syllable: str, which: float, other: float) -> str:
    """The syllable with one jamo replaced; `which` and `other`, from 0 to 1, choose the jamo and its neighbour."""
    code = ord(syllable) - ord(FIRST_SYLLABLE)
    places = (INITIALS, MEDIALS, FINALS)
    jamo = [INITIALS[code // 588], MEDIALS[code // 28 % 21], FINALS[code % 28]]
    typed = [place for place, each in enumerate(jamo) if each in NEIGHBOURS]
    if not typed:
        return syllable
    place = typed[int(which * len(typed))]
    near = NEIGHBOURS[jamo[place]]
    jamo[place] = near[int(other * len(near))]
    first, middle, last = (letters.index(each) for letters, each in zip(places, jamo, strict=True))
    return chr(ord(FIRST_SYLLABLE) + (first * 21 + middle) * 28 + last)


NOISES: Mapping[str, Noise] = {
    "without_blanks": without_blanks,
    "spaced_syllables": spaced_syllables,
    "random_spacing": random_spacing,
    "typos": typos,
    "laughing": lambda text, _: f"{text}ㅋㅋ",
    "crying": lambda text, _: f"{text}ㅠㅠ",
}
"""By name. A noise of one's own is another line."""


def noises_named(names: Sequence[str]) -> tuple[str, ...]:
    """The noises that --noise names; `all` are all. Raises InputError for a name that is none."""
    if unknown := [name for name in names if name not in (*NOISES, "all")]:
        raise InputError(f"--noise {unknown[0]}: unknown; must be all, or some of {', '.join(NOISES)}")
    return tuple(name for name in NOISES if name in names or "all" in names)


def noisy(example: TextExample, noise: str) -> TextExample:
    """The example with its text, or both of its texts, changed by a noise of NOISES; name and label stay."""
    seed = hashlib.sha256(f"{noise}\0{example.name}".encode()).digest()
    random = np.random.default_rng(np.frombuffer(seed, np.uint32))
    change = NOISES[noise]
    first = change(example.first, random)
    return replace(example, first=first, second=None if example.second is None else change(example.second, random))
