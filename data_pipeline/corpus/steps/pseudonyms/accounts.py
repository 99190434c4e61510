"""Card numbers and bank accounts."""

import re
from collections.abc import Iterator

from data_pipeline.corpus.steps.pseudonyms.line import Found, Line

# Four groups of four, or American Express's 4-6-5; the first digits of ISO/IEC 7812 payment cards, 9 for domestic ones.
_CARD = re.compile(
    r"(?<![0-9A-Za-z])(?<![0-9][\-.,])(?:[2-69][0-9]{3}([-. _/]?)[0-9]{4}\1[0-9]{4}\1[0-9]{4}|3[47][0-9]{2}([-. _/]?)[0-9]{6}\2[0-9]{5})"
    r"(?![0-9A-Za-z])(?!-[0-9])"
)
_CARD_WORDS = re.compile(r"카드|결제|유효\s?기간|cvc|cvv|card|visa|비자|마스터", re.IGNORECASE)

_ACCOUNT = re.compile(
    r"(?<![0-9A-Za-z])(?<![0-9][\-.,])[0-9]{2,16}(?:[- ][0-9]{1,8}){0,4}(?![0-9A-Za-z])(?![-.,][0-9])(?!\s?[원만억년월명건주개])"
)
_BANK = (
    r"은행|뱅크|농협|신협|수협|축협|새마을\s?금고|우체국|(?:국민|신한|우리|하나|기업|제일|외환|씨티|대구|부산|광주|전북|경남|토스|카뱅|케뱅)"
    r"(?=\s?[:(]?\s?$)|(?<![A-Za-z])(?:KB|NH|IBK|KEB|SC|DGB|BNK|MG)(?![A-Za-z])"
)
_BANK_WORDS = re.compile(_BANK, re.IGNORECASE)
_BANK_JUST_BEFORE = re.compile(rf"(?:{_BANK})(?:\s?계좌)?(?:\s?번호)?\s?[:：(]?\s?$", re.IGNORECASE)
_ACCOUNT_WORDS = re.compile(r"계좌|예금주|입금|송금|이체|통장|후원금")
_OTHER_NUMBERS = re.compile(r"사업자|법인|등록번호|송장|운송장|주문|고유번호|접수|사건|문서")
_DATE = re.compile(r"(?:19|20)[0-9]{2}[- ](?:0?[1-9]|1[0-2])[- ][0-9]{1,2}")


def cards(line: Line) -> Iterator[Found]:
    """Fifteen or sixteen digits whose Luhn sum is right; in one run only beside a word such as 카드."""
    for match in _CARD.finditer(line.text, line.start):
        if not has_luhn_digit(re.sub("[^0-9]", "", match[0])):
            continue
        if match[1] or match[2] or line.near(_CARD_WORDS, *match.span(), before=20, after=10):
            yield Found("card", match.start(), match.end(), match.start())


def has_luhn_digit(digits: str) -> bool:
    """Whether the last digit is the check digit of ISO/IEC 7812-1, annex B (Luhn)."""
    values = [int(digit) for digit in reversed(digits)]
    return (sum(values[::2]) + sum(sum(divmod(2 * value, 10)) for value in values[1::2])) % 10 == 0


def bank_accounts(line: Line) -> Iterator[Found]:
    """Ten to sixteen digits in groups, beside a bank's name or a word such as 계좌; groups parted by blanks need the bank just before.

    Not dates, and not numbers that a word such as 사업자 calls something else.
    """
    for match in _ACCOUNT.finditer(line.text, line.start):
        if not 10 <= sum(map(str.isdigit, match[0])) <= 16 or _DATE.match(match[0]):
            continue
        span = match.span()
        bank = line.near(_BANK_WORDS, *span, before=18, after=12)
        if " " in match[0] and not line.near(_BANK_JUST_BEFORE, *span, before=18):
            continue
        if (bank or line.near(_ACCOUNT_WORDS, *span, before=25, after=12)) and not line.near(
            _OTHER_NUMBERS, *span, before=12
        ):
            yield Found("bank_account", match.start(), match.end(), match.start())
