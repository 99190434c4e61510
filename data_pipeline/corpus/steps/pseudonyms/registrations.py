"""Resident and foreigner registration numbers, passports, customs codes, driver's licences."""

import datetime
import re
from collections.abc import Iterator

from data_pipeline.corpus.steps.pseudonyms.line import Found, Kind, Line

_REGISTRATION = re.compile(
    r"(?<![0-9A-Za-z])(?<![0-9][\-./])([0-9]{6})(\s?[-.~_/:]{1,2}\s?|\s?다시\s?|\s)?([1-8])([0-9]{6})(?![0-9A-Za-z])(?![-.][0-9])"
)
_WORDS = re.compile(
    r"주민\s?(?:등록)?\s?(?:번호|증)|주민\s?등록|주\s?민\s?번\s?호|외국인\s?(?:등록)?\s?번호|거소\s?신고|등록\s?증|민증|생년월일"
)
_OTHER_NUMBERS = re.compile(r"법인|주문|송장|운송|접수|문서|사건|모델|품번|상품|관리\s?번호|일련")
_WEIGHTS = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)

_PASSPORT = re.compile(
    r"(?<![0-9A-Za-z])(?:[A-Z]{1,2}[0-9]{7,8}|[A-Z][0-9]{3}[A-Z][0-9]{4})(?![0-9A-Za-z])", re.IGNORECASE
)
_PASSPORT_WORDS = re.compile(r"여권|passport", re.IGNORECASE)

_CUSTOMS_CODE = re.compile(r"(?<![0-9A-Za-z])P[- ]?(?P<digits>[0-9]{12})(?![0-9A-Za-z])(?![-.][0-9])", re.IGNORECASE)
_CUSTOMS_WORDS = re.compile("통관|부호")
_NUMBER_BEFORE = re.compile(r"[0-9]\s+$")
_NUMBER_BEHIND = re.compile(r"\s+[0-9]{2}")

_REGIONS = "서울|부산|경기남부|경기북부|경기|강원|충북|충남|전북|전남|경북|경남|제주|대구|인천|광주|대전|울산"
_LICENCE = re.compile(
    rf"(?<![0-9A-Za-z\-])(?:(?:1[1-9]|2[0-68])|(?:{_REGIONS})\s?)(?P<separator>[-\s])?(?P<rest>[0-9]{{2}}[-\s]?[0-9]{{6}}[-\s]?[0-9]{{2}})(?![0-9A-Za-z\-])"
)
_LICENCE_WORDS = re.compile(r"면허")


def registration_numbers(line: Line) -> Iterator[Found]:
    """Thirteen digits: a birth date, a digit for century, sex and nationality, six more.

    A hyphen (or dot, blank, ...) after a birth date that can be is enough, since numbers given from October 2020 on hold no check
    digit (주민등록법 시행규칙, 2020). Without one, and in a row of numbers with blanks between, the check digit must be right or a word
    such as 주민번호 nearby.
    Not numbers that a word such as 법인 or 주문 calls something else.
    """
    for match in _REGISTRATION.finditer(line.text, line.start):
        birth, separator, century = match[1], (match[2] or "").strip(), match[3]
        apart = match[2] and not (
            _NUMBER_BEFORE.search(line.text, max(0, match.start() - 12), match.start())
            or _NUMBER_BEHIND.match(line.text, match.end())
        )
        named = line.near(_WORDS, *match.span(), before=20, after=0)
        if not is_birth_date(birth, century) or (
            not named and line.near(_OTHER_NUMBERS, *match.span(), before=15, after=0)
        ):
            continue
        if separator or apart or named or has_check_digit(match[1] + match[3] + match[4]):
            kind: Kind = "resident_number" if century in "1234" else "foreigner_number"
            yield Found(kind, match.start(), match.end(), match.start())


def customs_codes(line: Line) -> Iterator[Found]:
    """개인통관고유부호: P and twelve digits (관세청 고시). Not where a word such as 품번 calls it something else."""
    for match in _CUSTOMS_CODE.finditer(line.text, line.start):
        if line.near(_CUSTOMS_WORDS, *match.span(), before=20, after=10) or not line.near(
            _OTHER_NUMBERS, *match.span(), before=15, after=0
        ):
            yield Found("customs_code", match.start(), match.end(), match.start("digits"))


def is_birth_date(birth: str, century: str) -> bool:
    """Whether YYMMDD is a date of the century that the digit names: 1 2 5 6 the 1900s, 3 4 7 8 the 2000s (up to 2039)."""
    year = int(birth[:2]) + (1900 if century in "1256" else 2000)
    try:
        datetime.date(year, int(birth[2:4]), int(birth[4:]))
    except ValueError:
        return False
    return year < 2040


def has_check_digit(digits: str) -> bool:
    """Whether the last of thirteen digits is the check digit, (11 - weighted sum mod 11) mod 10.

    Foreigners' numbers follow this rule or the one with 13 for 11. Sources: python-stdnum, stdnum.kr.rrn (one rule for
    both), and the customary check of 외국인등록번호.
    """
    rest = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, digits, strict=False)) % 11
    allowed = {(11 - rest) % 10} | ({(13 - rest) % 10} if digits[6] in "5678" else set())
    return int(digits[12]) in allowed


def passports(line: Line) -> Iterator[Found]:
    """A letter or two and digits, or M123A4567 (the form since December 2021), beside 여권: part numbers look the same."""
    for match in _PASSPORT.finditer(line.text, line.start):
        if line.near(_PASSPORT_WORDS, *match.span(), before=25, after=10):
            yield Found("passport", match.start(), match.end(), match.start())


def driver_licences(line: Line) -> Iterator[Found]:
    """Region, two digits of the year, six, two: 11-09-123456-01, or 서울 09-123456-01; without hyphens only beside 면허."""
    for match in _LICENCE.finditer(line.text, line.start):
        region_apart = match["separator"] == "-" or not match[0][0].isdigit()
        hyphened = region_apart and match["rest"].count("-") == 2
        if hyphened or line.near(_LICENCE_WORDS, *match.span(), before=20):
            yield Found("driver_licence", match.start(), match.end(), match.start("rest"))
