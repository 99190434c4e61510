"""Mobile and landline numbers.

Formats: the Korean numbering plan (전기통신번호관리세칙; ITU-T E.164 country code 82). Numbers of companies (1588-1234,
080-...) and services (112) are nobody's and stay.
"""

import re
from collections.abc import Iterator

from data_pipeline.corpus.steps.pseudonyms.line import Found, Line

_SEPARATOR = r"(?:\s?[-.)/·~_]\s?|\s)"
# And what people say or put for a hyphen where the prefix tells that it is one: 010에 1234에 5678, 010다시 1234, 010*1234*5678
_MOBILE_SEPARATOR = r"(?:\s?[-.)/·~_*:+=]{1,2}\s?|\s?(?:에|의|다시)\s?|\s)"
_START = r"(?<![0-9])(?<![0-9][\-.,])(?<![A-Za-z]-)"
_END = r"(?![0-9])(?!-[0-9])(?!\.[0-9])"
_COUNTRY = r"(?:(?:\+\s?|(?<![0-9])00)82\)?[-.\s]{0,2}|(?<![0-9A-Za-z.,\-])82(?:\)\s?|[-.\s_]))(?:\(0\)\s?|0)?"

_MOBILE = re.compile(
    rf"(?:{_COUNTRY}|{_START}0)(1[016789])(?P<separator>\)?{_MOBILE_SEPARATOR})?(?P<line>[0-9]{{3,4}}){_MOBILE_SEPARATOR}?(?P<last>[0-9]{{4}}){_END}"
)
# Digits in Hangul or as the letter o, against search engines: 공일공, o1o.
_DIGIT = "[0-9공영일이삼사오육륙칠팔구oO]"
_SPELLED = re.compile(
    rf"(?<![0-9가-힣A-Za-z])[0공영oO]\s?[1일]\s?[0공영oO]({_MOBILE_SEPARATOR}?){_DIGIT}{{4}}{_MOBILE_SEPARATOR}?{_DIGIT}{{4}}(?![0-9A-Za-z])"
)
_SPELLED_DIGIT = re.compile("[공영일이삼사오육륙칠팔구oO]")
_AREA = r"(?:2|3[1-3]|4[1-4]|5[1-5]|6[1-4]|70|50[2-8])"
_LANDLINE = re.compile(
    rf"(?:{_COUNTRY}{_AREA}|{_START}(?P<bracket>\(\s?)?(?P<code>0{_AREA}))(?P<separator>\s?\)?{_SEPARATOR})?"
    rf"(?P<exchange>[1-9][0-9]{{2,3}}){_SEPARATOR}?[0-9]{{4}}{_END}"
)
_COMPANY = re.compile("1[568][0-9]{2}|0+")
_LOCAL = re.compile(rf"{_START}(?<!-)(?P<exchange>[2-9][0-9]{{2,3}})-[0-9]{{4}}{_END}(?!\s?[만억천원년명개월%])")
_WORDS = re.compile(
    r"전화|연락|휴대|핸드폰|핸폰|폰번|휴대폰|문의|팩스|번호|☎|☏|📞|(?<![A-Za-z])(?:tel|phone|fax|mobile|h\.?\s?p|c\.?p|T|F|M)(?![A-Za-z])",
    re.IGNORECASE,
)
_LOCAL_WORDS = re.compile(
    r"(?:전화(?:번호)?|연락처|팩스|전송|☎|☏|tel|fax)\s?[.:)]?\s?(?:[0-9]{3,4}-[0-9]{4}\s?[,/]\s?)?$", re.I
)


def mobiles(line: Line) -> Iterator[Found]:
    """010 and the older 011, 016-019, with or without separators and country code (82- too); spelled in Hangul too.

    An older number of ten digits in a row is one only beside a word such as 전화.
    """
    for match in _MOBILE.finditer(line.text, line.start):
        if not match["separator"] and match[1] != "10" and not line.near(_WORDS, *match.span(), before=12):
            continue
        if not match["separator"] and match[1] == "10" and len(match["line"]) != 4:
            continue
        if (match["line"] + match["last"]).strip("0"):  # 010-0000-0000 is masked
            yield Found("mobile", match.start(), match.end(), match.start("line"))
    for match in _SPELLED.finditer(line.text, line.start):
        if _SPELLED_DIGIT.search(match[0]):
            yield Found("mobile", match.start(), match.end(), match.end(1))


def landlines(line: Line) -> Iterator[Found]:
    """Area codes, 070 and 0502-0508; without separators, or without an area code, only beside a word such as 전화.

    An exchange such as 1588 (02-1588-...) is a company's, whatever stands before it.
    """
    for match in _LANDLINE.finditer(line.text, line.start):
        if _COMPANY.fullmatch(match["exchange"]):
            continue
        if match["separator"] or match["bracket"] or line.near(_WORDS, *match.span(), before=15):
            start = match.start() if match["code"] is None else match.start("code")
            yield Found("landline", start, match.end(), match.start("exchange"))
    for match in _LOCAL.finditer(line.text, line.start):
        if line.near(_LOCAL_WORDS, *match.span(), before=22):
            yield Found("landline", match.start(), match.end(), match.start())
