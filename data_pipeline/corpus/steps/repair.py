"""What broken conversions, old fonts and fixed line widths did to a text, put right before it is cleaned."""

import re
from dataclasses import replace
from functools import cache

from data_pipeline.contract.packages import needed
from data_pipeline.corpus.document import Document, Dropped, Step
from data_pipeline.corpus.steps.join_lines import join_lines
from data_pipeline.recipe import Repair

LOST = "\ufffd"
"""The replacement character: a conversion left it where it could not read a character."""
_HANYANG = re.compile("[\ue0bc-\uefff\uf100-\uf66e\uf784-\uf800\uf806-\uf864\uf86a-\uf8f7]")
"""Where Hanyang's fonts, and Hangul 97 to 2007, have old Hangul. Other fonts have icons there, hence the switch."""
_FIRST_BYTES = (b"\xee", b"\xef")
"""Of all characters from U+E000 to U+FFFF in UTF-8."""


def repairer(recipe: Repair) -> Step:
    """Makes the step that comes before cleaning. Drops a document with too large a share of lost characters as "lost characters"."""

    def repaired(text: str) -> str:
        if recipe.hanyang:
            text = text.translate(_hanyang_table())
        return join_lines(text) if recipe.join_lines else text

    def repair(document: Document) -> Document | Dropped:
        lost, characters = document.whole.count(LOST), len(document.whole)
        if lost and lost > recipe.max_lost_share * characters:
            return Dropped(document, "lost characters", f"{lost / characters:.1%} of its characters are U+FFFD")
        if not (recipe.hanyang or recipe.join_lines):
            return document
        return replace(document, text=repaired(document.text))

    return repair


def damage_counts(text: str, content: bytes, recipe: Repair) -> dict[str, int]:
    """What a text holds of damaged characters; empty for nearly every text.

    - `content`: the text in UTF-8, of which this looks at two bytes only.

    `lost_characters`: of U+FFFD; `hanyang`: private-use characters that are mapped, `private_use`: those that would be.
    """
    if not any(byte in content for byte in _FIRST_BYTES):
        return {}
    private = "hanyang" if recipe.hanyang else "private_use"
    found = {"lost_characters": text.count(LOST), private: len(_HANYANG.findall(text))}
    return {name: number for name, number in found.items() if number}


@cache
def _hanyang_table() -> dict[int, str]:
    """Code point -> the syllable in conjoining jamo (KS X 1026-1), as NFC has it."""
    translate = needed("hypua2jamo", "--data.repair.hanyang", "hanyang").translate
    codes = [code for code in range(0xE0BC, 0xF8F8) if _HANYANG.match(chr(code))]
    return {code: translate(chr(code)) for code in codes}
