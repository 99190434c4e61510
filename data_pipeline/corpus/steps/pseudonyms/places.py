"""Vehicle plates and street addresses."""

import re
from collections.abc import Iterator

from data_pipeline.corpus.steps.pseudonyms.line import Found, Line
from data_pipeline.corpus.steps.pseudonyms.regions import DISTRICTS, PROVINCES, STREETS

# 자동차 등록번호판 등의 기준에 관한 고시: letters of private, commercial (바사아자), rental (하허호) and delivery (배) vehicles.
PLATE_LETTERS = "가나다라마거너더러머버서어저고노도로모보소오조구누두루무부수우주바사아자하허호배"
_PLATE = re.compile(
    rf"(?<![0-9])(?<![0-9][.,\-])(?P<region>(?:서울|부산|대구|인천|광주|대전|울산|세종|경기|강원|충북|충남|전북|전남|경북|경남|제주)\s?)?"
    rf"(?P<body>(?P<number>[0-9]{{2,3}}\s?)(?P<letter>[{PLATE_LETTERS}])\s?[0-9]{{4}})(?![0-9])(?![.,\-][0-9])"
    r"(?!\s?(?:[0-9]|여?\s?[만억천백]|원|명|년|개|건|번(?!호)|호|톤|대|㎡|㎏|%|km|kg|ha|평|세대|가구|석|권|달러|엔))"
)
# Codes of court cases (사건별 부호문자의 부여에 관한 예규) among the letters: two digits of the year, one of these, a number, no blank.
_CASE = re.compile("[0-9]{2}[나다라마노도로모보오고구누두루무부수우주허호][0-9]{4}")
# Letters that also follow a number that counts something (12조 3000억, 10호, 30도, 3주, 2배), or a list's (3나).
_COUNTING_LETTERS = frozenset("조호도주배구사오하수부노서고소모나마")
_PLATE_WORDS = re.compile(
    r"번호판|차량|택배|배송|견인차|소방차|구급차|경찰차|차\s?번호|차종|승용차|택시|버스|트럭|화물차|오토바이|차주|렌터카|렌트카|주차|운전|뺑소니|블랙박스|그랜저|쏘나타|소나타|아반떼|카니발|벤츠|BMW|제네시스|포터|스타렉스|K[3579]|SUV|(?<![0-9가-힣])차(?=[가를는도에 ]|$)"
)

# 대법원 96도2753 판결: the numbers of court cases look the same.
_CASE_WORDS = re.compile(
    "판례|판시|전원합의체|상고|항소|판결|선고|대법원|법원|지법|고법|헌재|사건|결정|소송|합의부|재판"
)

_REGION = rf"(?:{'|'.join(sorted({*PROVINCES, *DISTRICTS}, key=len, reverse=True))})"
_TOWN = r"(?:[가-힣]{1,4}[0-9]?(?:읍|면)\s)"
NUMBER = r"(?:산\s?|지하\s?)?[0-9]{1,4}(?:\s?-\s?[0-9]{1,4})?(?:\s?번지)?"
# Neither more of the number nor a unit that makes it a quantity (세종대로 110년, 강남구로 10명, 을지로 3가).
NO_UNIT = (
    r"(?![0-9]|[-~.,:/][0-9]|\s?(?:시(?!청|장)|일(?!대|원)|인(?!근|접)|위(?!치)|주(?!택|민|변|차)|대(?!지)|가(?![-가-힣])|여\s?[가-힣]|m(?![a-z])"
    r"|[만억천조원년월분초명개번회차편점등건장권배살세층평도쪽%㎡㎞]|미터|킬로|퍼센트|호선|단계|단지|통|지구|km))"
)
_ROAD_NAME = r"[가-힣]{1,8}?(?:[0-9]{1,3}(?:가|대)?)?(?:대로|로|길)"
_BRANCH = r"(?:\s?[0-9]{1,4}\s?(?:번|가|나|다)?\s?길)?"
_DETAIL = (
    r"(?:\s?\([가-힣0-9]{1,6}[동리가]\)(?=[,\s]{1,2}[가-힣A-Za-z0-9]{0,10}[0-9]{1,4}\s?[동층호]))?"
    r"(?:[,\s]{0,2}\(?[가-힣A-Za-z0-9]{1,10}(?:아파트|빌라|빌딩|오피스텔|타워|맨션|주택|하이츠|캐슬|자이|래미안|푸르지오|단지)\)?)?"
    r"(?:[,\s]{0,2}제?[0-9]{1,4}\s?동(?!안|네|시))?(?:[,\s]{0,2}(?:지하\s?)?[0-9]{1,3}\s?층(?!간))?(?:[,\s]{0,2}[0-9]{1,4}\s?호(?!선|기|실))?"
)
_AFTER_REGION = rf"(?<![가-힣]){_REGION}\s{{1,2}}{_TOWN}?"
_ROAD = re.compile(rf"{_AFTER_REGION}(?P<body>(?P<name>{_ROAD_NAME}{_BRANCH})\s?{NUMBER}{NO_UNIT}{_DETAIL})")
_LABELLED_ROAD = re.compile(rf"(?<![가-힣])(?P<body>(?P<name>{_ROAD_NAME}{_BRANCH})\s?{NUMBER}{NO_UNIT}{_DETAIL})")
_KNOWN_ROAD = re.compile(
    rf"(?<![가-힣])(?P<body>(?P<name>(?:{'|'.join(STREETS)}){_BRANCH})\s?(?:지하\s?)?[0-9]{{2,4}}(?:-[0-9]{{1,3}})?{NO_UNIT}{_DETAIL})"
)
# 앞으로, 법대로, 퇴근길: adverbs and nouns with the ending of a road.
_NOT_A_ROAD = re.compile(
    r".*으로|(?:바|따|서|주|새|별|때|홀|진짜|스스|실제|대체|이|그|위|아래|뒤|도|철|통|경|진|선|차|수|활주|고속도)로"
    r"|(?:그|이|저|마음|맘|뜻|법|말|제멋|멋|계획|예정|약속|원칙|규정|기대|생각|사실|반|절)?대로|(?:이|그|저|출근|퇴근|귀갓|하굣|등굣|갓|샛|철|손)길"
)
_LOT_NAME = r"[가-힣]{1,5}(?:[0-9](?:가|동))?(?:동|리|가)?(?<=[동리가])"
_LOT = re.compile(
    rf"{_AFTER_REGION}(?:[가-힣]{{1,4}}[동면읍]\s)?(?P<body>(?P<name>{_LOT_NAME})\s?{NUMBER}{NO_UNIT}{_DETAIL})"
)
_NAMED_LOT = re.compile(
    rf"(?<![가-힣])(?P<body>(?P<name>[가-힣]{{2,5}}(?<=[동리]))\s?(?:산\s?)?[0-9]{{1,4}}(?:-[0-9]{{1,4}})?\s?번지{_DETAIL})"
)
_ADDRESS_WORDS = re.compile(
    r"주\s?소(?:지|는|:)?|소재지|거주지|배송지|본적|등록지|사무소|사는\s?곳|오시는\s?길|위치\s?:|우편번호|(?<![0-9])\(?우\)?\s?[0-9]{5}"
)
_HOME = re.compile(r"(?<![0-9\-])(?P<body>제?[0-9]{2,4}\s?동\s?제?[0-9]{2,4}\s?호)(?![선기봉0-9])")


def plates(line: Line) -> Iterator[Found]:
    """12가 3456, 123가 3456, 서울 12 가 3456, with the letters that plates bear.

    A letter that also counts something (조, 호, 주, ...) needs a word such as 차량 nearby; one with a blank before it, and what may be a
    court case (95누1234), needs that or a region. The region stays.
    """
    for match in _PLATE.finditer(line.text, line.start):
        apart = match["number"][-1].isspace() and match["region"] is None
        case = match["region"] is None and _CASE.fullmatch(match["body"])
        doubtful = apart or case or match["letter"] in _COUNTING_LETTERS
        if doubtful and not line.near(_PLATE_WORDS, *match.span(), before=20, after=10):
            continue
        if match["region"] is None and line.near(_CASE_WORDS, *match.span(), before=25, after=8):
            continue
        yield Found("plate", match.start("body"), match.end(), match.start("body"))


def addresses(line: Line) -> Iterator[Found]:
    """Road-name and lot addresses from the road or village on, with building, floor and flat; and 101동 1203호 alone.

    A road and a number are an address after a city, county or district, after a word such as 주소, or for roads that
    everybody knows; a lot after one of these or before 번지. Nothing is one that a unit follows (10명, 3가).
    """
    for pattern in (_ROAD, _LOT, _KNOWN_ROAD, _NAMED_LOT):
        for match in pattern.finditer(line.text, line.start):
            if not _NOT_A_ROAD.fullmatch(match["name"]):
                yield _address(match)
    for match in _LABELLED_ROAD.finditer(line.text, line.start):
        if line.near(_ADDRESS_WORDS, *match.span(), before=20) and not _NOT_A_ROAD.fullmatch(match["name"]):
            yield _address(match)
    for match in _HOME.finditer(line.text, line.start):
        if any(digit in match["body"] for digit in "123456789"):  # 000동 000호 is masked already
            yield Found("address", *match.span("body"), match.start("body"))


def _address(match: re.Match[str]) -> Found:
    return Found("address", *match.span("body"), match.start("body"), (match.span("name"),))
