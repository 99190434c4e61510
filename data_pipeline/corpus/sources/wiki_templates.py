"""Wikipedia's templates whose value is part of the sentence around them, and what the absence of another leaves."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from itertools import takewhile

from data_pipeline.corpus.document import HOLE

_LABELS = ("표시", "보이기", "lt", "label", "display")
_CASE: dict[str, Callable[[str], str]] = {"lc": str.lower, "uc": str.upper, "formatnum": str}
_RANGES = {"to": "~", "-": "~", "–": "~", "~": "~", "and": ", ", "or": ", ", "by": "×", "x": "×", "×": "×", "+/-": "±"}
_SIGNS = {
    "!": "|",
    "=": "=",
    "·": " · ",
    "•": " • ",
    "nbsp": " ",
    "공백": " ",
    "ndash": "–",
    "mdash": "—",
    "snd": " – ",
    "spaced ndash": " – ",
}
LEFT_OUT = "\x02"
"""Stands in a text for a template that was left out, until its surroundings tell whether that left a hole."""
_PARTICLE = (
    r"(?:은|는|이|가|을|를|의|에|에서|에게|와|과|도|만|로|으로|부터|까지|이다|이며|이고|이자|이었\w*|였\w*|이라\w*|라\w*|년\w*|월\w*|일\w*|명\w*|"
    r"세\w*|살\w*|개\w*|원\w*|미터\w*|번\w*|위\w*)(?!\w)"
)
_LEFT_OUT = re.compile(rf"(?P<colon>:?)(?P<gap>[ \xa0]*){LEFT_OUT}(?: ?{LEFT_OUT})*(?P<blank>[ \xa0]*)")
_MARK_BEHIND_WORD = re.compile(r"[\w.,!?%)\]'\"”’」』〉》]")
_QUOTES = dict(zip("\"'“‘《〈「『", "\"'”’》〉」』", strict=True))
_ASIDE_WITH_HOLE = re.compile(rf" ?\([^()\n{HOLE}]{{0,40}}{HOLE}[^()\n]{{0,40}}\)")
"""The sentence is whole without it."""
_HANGUL = re.compile("[가-힣]")
_STARTS_WITH_PARTICLE = re.compile(_PARTICLE)
_COPULA = re.compile(r"(?:이다|이며|이고|이자|은|는|을|를|의|에서|으로|로|와|과)(?!\w)|(?:이었|였|이라)\w*")
Arguments = Sequence[str]
Value = Callable[[str, Arguments, Mapping[str, str]], str | None]


def template_value(name: str, unnamed: Arguments, named: Mapping[str, str]) -> str | None:
    """The text that a template stands for; empty for what is no part of a sentence, None where it is not known.

    - `name`: as written, `formatnum:123` included. `unnamed`: its arguments by place. `named`: the others.
    """
    name = re.sub(r"[\s_]+", " ", name).strip().lower().removeprefix("틀:").removeprefix("template:")
    function, colon, argument = name.partition(":")
    if colon and function in _CASE:
        return _CASE[function](argument).strip() or None
    if name in _SIGNS:
        return _SIGNS[name]
    value = _value_of(name)
    if value is _nothing:
        return ""
    if value not in (_first, _second, _last) and any(LEFT_OUT in argument for argument in unnamed):
        return None
    return value(name, [argument.strip() for argument in unnamed], named) or None


@lru_cache(10_000)
def _value_of(name: str) -> Value:
    return next((value for pattern, value in _VALUES if pattern.fullmatch(name)), _unknown)


def _nothing(name: str, arguments: Arguments, named: Mapping[str, str]) -> str | None:
    return ""


def _unknown(name: str, arguments: Arguments, named: Mapping[str, str]) -> str | None:
    return None


def _first(name: str, arguments: Arguments, named: Mapping[str, str]) -> str | None:
    return arguments[0] if arguments else None


def _second(name: str, arguments: Arguments, named: Mapping[str, str]) -> str | None:
    return arguments[1] if len(arguments) > 1 else None


def _last(name: str, arguments: Arguments, named: Mapping[str, str]) -> str | None:
    return arguments[-1] if arguments else None


def _link(name: str, arguments: Arguments, named: Mapping[str, str]) -> str | None:
    label = next((named[label].strip() for label in _LABELS if named.get(label, "").strip()), "")
    return label or _first(name, arguments, named)


def _date(name: str, arguments: Arguments, named: Mapping[str, str]) -> str | None:
    """Year, month and day, as many as are numbers; a date that is written out as it stands."""
    numbers = list(takewhile(str.isdecimal, arguments[:3]))
    if not numbers:
        return _first(name, arguments, named)
    return " ".join(f"{int(number)}{unit}" for number, unit in zip(numbers, "년월일", strict=False))


def _age(name: str, arguments: Arguments, named: Mapping[str, str]) -> str | None:
    """Whole years between two dates; with one date the value depends on the day of the reader."""
    try:
        born, then = (date(*map(int, arguments[start : start + 3])) for start in (0, 3))
    except (TypeError, ValueError):
        return None
    return str(then.year - born.year - ((then.month, then.day) < (born.month, born.day)))


def _measure(name: str, arguments: Arguments, named: Mapping[str, str]) -> str | None:
    """A quantity with the unit that it is given in: 1950 m, 10~20 km, 5 ft 10 in."""
    if len(arguments) < 2 or not arguments[0]:
        return None
    value, unit, *rest = arguments
    while unit.lower() in _RANGES and len(rest) >= 2:
        value, unit, *rest = f"{value}{_RANGES[unit.lower()]}{rest[0]}", *rest[1:]
    while len(rest) >= 2 and re.fullmatch(r"[\d.,]+", rest[0]):
        value, unit, *rest = f"{value} {unit} {rest[0]}", *rest[1:]
    return f"{value} {unit}".strip()


def _number(name: str, arguments: Arguments, named: Mapping[str, str]) -> str | None:
    unit = named.get("u") or named.get("ul") or ""
    return f"{arguments[0]} {unit}".strip() if arguments else None


def _fraction(name: str, arguments: Arguments, named: Mapping[str, str]) -> str | None:
    whole, *parts = arguments if len(arguments) == 3 else ("", *arguments)
    return f"{whole} {'/'.join(parts)}".strip()


def _money(name: str, arguments: Arguments, named: Mapping[str, str]) -> str | None:
    return f"{name.upper()}{arguments[0]}" if arguments else None


_VALUES: tuple[tuple[re.Pattern[str], Value], ...] = (
    (  # flags, blanks, footnotes, citations: nothing is missing where they stood
        re.compile(
            r"국기 ?그림|국기 ?아이콘|flagicon.*|icon|아이콘|0|-|clear|빈 문단|각주.*|주|refn|efn.*|sfn.*|r|출처.*|.* 인용|cite.*"
        ),
        _nothing,
    ),
    (
        re.compile(
            r"(?:출생일|사망일|생년월일|시작일|종료일|개봉일|날짜|연월일|(?:(?:birth|death|start|end|film|release)[ -]?)?date)"
            r"(?: ?(?:과|및|and) ?(?:나이|age|given age))?2?|bda|dda"
        ),
        _date,
    ),
    (re.compile(r"(?:만 ?)?나이\d?|age"), _age),
    (re.compile(r"임시 ?링크|interlanguage link.*|ill2?|red link|빨간 ?링크"), _link),
    (re.compile(r"convert|cvt|단위 ?변환|변환"), _measure),
    (re.compile(r"val|num|숫자"), _number),
    (re.compile(r"분수|s?frac|fraction"), _fraction),
    (re.compile(r"(?:us|ca?|au?|hk|nt|sg)?[$₩€£¥]"), _money),
    (re.compile(r"ll?ang|언어|colou?r|색|글자색|font color"), _second),
    (re.compile(r"transl|transliteration|로마자|번자"), _last),
    (
        re.compile(
            r"ll?ang-.*|한자|한글|nowrap|nobr|small|big|작게|크게|작은 글씨|큰 글씨|굵게|기울임|bold|italic|underline|밑줄|위첨자|"
            r"아래첨자|sup|sub|인용문2?|인용문단|quote|blockquote|abbr|도움말풍선|tooltip|툴팁|ruby|루비|학명|math|mvar|수학|tt|code|em|strong|"
            r"국기나라|국기|flag|flagcountry|nihongo\d*|[가-힣]+어"
        ),
        _first,
    ),
)


def with_holes(text: str) -> str:
    """The text with a hole for each template that was left out of the middle of a sentence, and nothing for every other.

    One behind a word or a mark was a footnote. Elsewhere Hangul right behind it wants what is missing: any where a sentence runs
    already, a particle, an ending or a counted noun at its beginning (where an icon may stand). So does a copula or a lone particle
    behind a blank, and a pair of quotation marks with nothing in it. An aside in parentheses goes with its hole.
    """

    def resolved(found: re.Match[str]) -> str:
        before = text[max(0, found.start() - 40) : found.start()].rpartition("\n")[2]
        colon, gap, blank = found["colon"], found["gap"], found["blank"]
        attached = not gap and not colon and bool(_MARK_BEHIND_WORD.match(before[-1:]))
        begins = not before or before[-1] in ".!?"
        rest = text[found.end() : found.end() + 12]
        if blank:
            hole = not begins and bool(_COPULA.match(rest))
        else:
            hole = bool((_STARTS_WITH_PARTICLE if begins else _HANGUL).match(rest))
        if _QUOTES.get(before[-1:]) == rest[:1] != "":
            hole, attached = True, False
        if hole and not attached:
            return f"{colon}{gap}{HOLE}{blank}"
        if before[-1:] in ("(", "[") or rest[:1] in (")", "]"):  # (독일어: )
            return ""
        return colon + ("" if rest[:1] in (",", ".") else gap or blank)

    if LEFT_OUT in text:
        text = _LEFT_OUT.sub(resolved, text)
    return _ASIDE_WITH_HOLE.sub("", text) if HOLE in text else text
