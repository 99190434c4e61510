"""Which letters of a sentence say what language it is in: not those of addresses, nor those of glosses."""

import re

HANGUL_WEIGHT = 2.5
"""Latin letters that a Hangul, Han or Kana character stands for: a syllable or a word of its own."""
_HOSTS = "com|net|org|info|biz|edu|gov|kr|jp|cn|us|uk|eu|io|co|me|tv|be|ly|gl|ai|app|dev"
# Of ASCII alone: 를 in http://a.kr/b를 is text. Possessive and anchored behind no letter, so that no search goes back.
_ADDRESS = re.compile(
    r"(?:(?:https?|ftp):?//|www\.)[!-~]+"
    r"|(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]++@[A-Za-z0-9-]++(?:\.[A-Za-z0-9-]++)+"
    rf"|(?<![A-Za-z0-9@.-])(?:[A-Za-z0-9-]++\.)+(?:{_HOSTS})(?![A-Za-z0-9-])(?:[/?#:][!-~]*)?",
    re.IGNORECASE,
)
_HAN_OR_KANA = (
    "\u3005-\u3007\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
)
_GLOSS = re.compile(
    rf"(?<=[가-힣]) ?[(（\[〔](?=[^()（）\[\]〔〕가-힣]*[{_HAN_OR_KANA}])[^()（）\[\]〔〕가-힣]{{1,60}}[)）\]〕]"
)


def without_addresses_and_glosses(sentence: str) -> str:
    """The sentence without URLs, e-mail addresses, hosts, and Han or Kana in parentheses behind Hangul."""
    if "." in sentence or "/" in sentence:
        sentence = _ADDRESS.sub(" ", sentence)
    return _GLOSS.sub("", sentence)
