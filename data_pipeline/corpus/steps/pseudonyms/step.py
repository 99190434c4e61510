"""The step that replaces personal data by pseudonyms."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from data_pipeline.corpus.document import Document, Sentence, Step
from data_pipeline.corpus.steps.pseudonyms.accounts import bank_accounts, cards
from data_pipeline.corpus.steps.pseudonyms.fakes import fake
from data_pipeline.corpus.steps.pseudonyms.line import Detector, Found, line_of
from data_pipeline.corpus.steps.pseudonyms.network import emails, ip_addresses, mentions, messenger_ids, urls
from data_pipeline.corpus.steps.pseudonyms.places import NO_UNIT, NUMBER, PLATE_LETTERS, addresses, plates
from data_pipeline.corpus.steps.pseudonyms.registrations import (
    customs_codes,
    driver_licences,
    passports,
    registration_numbers,
)
from data_pipeline.corpus.steps.pseudonyms.telephones import landlines, mobiles
from data_pipeline.corpus.steps.removal import sentences_of
from data_pipeline.recipe import Pseudonyms

MESSENGERS = "톡|텔레|라인|위챗|디스코드|스카이프|kakao|telegram|chat|discord|skype|line"
# In this order: what one has claimed, no later one may touch. Each with a cheap sign of what it needs in a line.
_DETECTORS: tuple[tuple[re.Pattern[str], Detector], ...] = (
    (re.compile("@|골뱅이|앳|at ?[)\\]}>]|\\sat\\s", re.IGNORECASE), emails),
    (re.compile("[A-Za-z]/|://|www\\.", re.IGNORECASE), urls),
    (re.compile("[0-9]\\.[0-9]{1,3}\\.[0-9]|:[0-9A-Fa-f]{0,4}:"), ip_addresses),
    (re.compile(MESSENGERS, re.IGNORECASE), messenger_ids),
    (re.compile("[0-9]{6}[^0-9]{0,4}[0-9]{7}"), registration_numbers),
    (re.compile("P[- ]?[0-9]{12}", re.IGNORECASE), customs_codes),
    (re.compile("[0-9]{6}"), driver_licences),
    (re.compile("[0-9]{4}[-. _/]?[0-9]{4}"), cards),
    (re.compile("(?<![0-9])01[016-9]|82|[0공영oO] ?[1일] ?[0공영oO]"), mobiles),
    (re.compile("(?<![0-9])0[2-7]|82|[0-9]{3}-[0-9]{4}"), landlines),
    (re.compile("[0-9]{10}|[0-9]{2}[- ][0-9]+"), bank_accounts),
    (re.compile("[A-Za-z][0-9]{3}"), passports),
    (re.compile(f"[0-9] ?[{PLATE_LETTERS}] ?[0-9]{{4}}"), plates),
    (re.compile(f"[로길동리가] ?{NUMBER}{NO_UNIT}|번지|[0-9] ?동 ?제?[0-9]"), addresses),
    (re.compile("@"), mentions),
)
# Personal data has one of these characters, or of a few words; and one of the signs. That leaves 7 % of the sentences.
_CHARACTER = re.compile("[0-9@/０-９＠]")
_SIGN = re.compile(
    "[0-9]{4}(?! ?[년원만억])|[@＠/０-９]|[로길동리가] ?(?:산 ?|지하 ?)?[0-9]|[0-9] ?[동번]|[0공영oO] ?[1일] ?[0공영oO]"
    "|[0-9]\\.[0-9]{1,3}\\.[0-9]|:[0-9A-Fa-f]{0,4}:"
)


@dataclass(frozen=True, slots=True)
class Value:
    """Personal data in a sentence: `text[start:end]`, of which `found.body` and what follows is replaced."""

    found: Found
    start: int
    end: int


def find(sentence: str, sentence_before: str = "") -> list[Value]:
    """The personal data of a sentence, of every type, in its order and without overlap.

    - `sentence_before`: its last words may say what a number is.
    """
    if not may_hold(sentence):
        return []
    line = line_of(sentence, sentence_before)
    found: list[Found] = []
    for sign, detector in _DETECTORS:
        if sign.search(line.text, line.start):
            for new in detector(line):
                if all(new.end <= old.start or old.end <= new.start for old in found):
                    found.append(new)
    found.sort(key=lambda each: each.start)
    return [Value(each, each.start - line.start, each.end - line.start) for each in found]


def may_hold(text: str) -> bool:
    """Whether a text has what all personal data has: a cheap sieve. Not a loop over the words, it runs for every sentence."""
    if _CHARACTER.search(text) and _SIGN.search(text):
        return True
    return (
        "골뱅이" in text
        or "톡" in text
        or "텔레" in text
        or "디스코드" in text
        or "위챗" in text
        or "스카이프" in text
        or "라인" in text
        or " ID" in text
        or "(at)" in text
        or "[at]" in text
        or " at " in text
        or "www." in text
        or "WWW." in text
        or "공일공" in text
        or "공 일 공" in text
        or "영일영" in text
    )


def pseudonymiser(recipe: Pseudonyms, seed: int) -> Step:
    """Makes the step that replaces personal data in the sentences of a document; nothing is ever dropped.

    A fake has the length and form of the value, and depends on the seed, the document's whole text and the value: the
    same value has the same fake everywhere in a document, its title in `metadata` included, and another one elsewhere. A type that is switched off is
    still found, so that its digits are not taken for another's. `Document.replaced` names the type of each replacement.
    """
    on = {kind for kind in recipe.__dataclass_fields__ if getattr(recipe, kind) and kind != "enabled"}

    def pseudonymise(document: Document) -> Document:
        sentences = sentences_of(document)
        key = b""
        new: dict[int, Sentence] = {}
        replaced: list[str] = []
        for number, sentence in enumerate(sentences):
            if not may_hold(sentence.text):
                continue
            before = sentences[number - 1].text if number else ""
            values = [value for value in find(sentence.text, before) if value.found.kind in on]
            if values:
                key = key or hashlib.blake2b(f"{seed}\0{document.text}".encode()).digest()
                new[number] = sentence._replace(text=_with_fakes(sentence.text, values, key))
                replaced += [value.found.kind for value in values]
        metadata = document.metadata
        if metadata.title and may_hold(metadata.title):
            values = [value for value in find(metadata.title) if value.found.kind in on]
            if values:
                key = key or hashlib.blake2b(f"{seed}\0{document.text}".encode()).digest()
                # Not counted: the title of a petition or article is in the text, too.
                document = replace(document, metadata=metadata._replace(title=_with_fakes(metadata.title, values, key)))
        if not new:
            return document
        sentences = tuple(new.get(number, sentence) for number, sentence in enumerate(sentences))
        return replace(document, sentences=sentences, replaced=tuple(replaced))

    return pseudonymise


def _with_fakes(text: str, values: Sequence[Value], key: bytes) -> str:
    pieces, position = [], 0
    for value in values:
        body = value.start + value.found.body - value.found.start
        names = tuple((start - value.found.body, end - value.found.body) for start, end in value.found.names)
        pieces += [text[position:body], fake(value.found.kind, text[body : value.end], names, key)]
        position = value.end
    return "".join((*pieces, text[position:]))
