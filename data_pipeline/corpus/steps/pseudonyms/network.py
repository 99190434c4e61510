"""E-mail addresses, URLs, IP addresses, @mentions and ids of messengers."""

import ipaddress
import re
from collections.abc import Iterator

from data_pipeline.corpus.steps.pseudonyms.hosts import names_nobody
from data_pipeline.corpus.steps.pseudonyms.line import Found, Line

# Top-level domains that Korean text holds; asked for where nothing else tells a host from words with full stops.
TOP_LEVEL = "com|net|org|kr|edu|gov|info|biz|io|be|gl|ly|me|tv|at|gg|jp|cn|us|uk|eu|de|co|to|ai|app|dev|site|shop|xyz"
_HOST = rf"(?:[A-Za-z0-9\-]++\.(?=[A-Za-z0-9]))++(?:{TOP_LEVEL})(?![A-Za-z0-9])"

# How people spell @ and the full stop of a host, against those who collect addresses.
AT = r"\s?(?:@|[(\[{<]\s?(?:at|앳|골뱅이)\s?[)\]}>]|골뱅이|(?<=\s)at(?=\s))\s?"
DOT = r"(?:\.|\s?[(\[{<]\s?(?:dot|점|닷)\s?[)\]}>]\s?|\s?[점닷]\s?|\sdot\s)"
_SPELLED_HOST = rf"(?:[A-Za-z0-9\-]++{DOT}(?=[A-Za-z0-9]))++(?:{TOP_LEVEL})(?![A-Za-z0-9])"
MAIL_SERVICE = (
    rf"(?:네이버|한메일|지메일|네이트|핫메일|(?:다음|구글|카카오)(?={DOT}))(?:{DOT}(?:컴|넷|com|net)(?![A-Za-z]))?"
)
"""Names of mail services, in place of their hosts."""
_PLAIN_HOST = r"(?:[A-Za-z0-9\-]++\.(?=[A-Za-z0-9]))++[A-Za-z]{2,24}(?![A-Za-z0-9])"

# Local parts of RFC 5322's unquoted form; the lookbehind keeps the search linear.
_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+\-])[._%+\-]*+([A-Za-z0-9][A-Za-z0-9._%+\-]*+)"
    rf"(?:@{_PLAIN_HOST}|{AT}(?:{_SPELLED_HOST}|{MAIL_SERVICE}))",
    re.IGNORECASE,
)
# 민지@naver.com, 김민지77@naver.com: names alone, for people write no blank between a word and an address (주세요lsj@naver.com).
_HANGUL_EMAIL = re.compile(
    r"(?<![가-힣A-Za-z0-9._%+\-])([가-힣]{2,5}[0-9]{0,6})"
    rf"@(?:{_HOST}|(?:naver|daum|hanmail|gmail|nate)(?![A-Za-z0-9]))",
    re.IGNORECASE,
)

# RFC 3986's, | and the § that browsers make of &sect.
_URL_CHARACTER = r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%|§]"
_URL = re.compile(
    rf"(?:https?:/{{1,3}}|ftp://|(?<![A-Za-z0-9.])www\.)(?:(?!https?:/){_URL_CHARACTER})++"
    rf"|(?<![A-Za-z0-9@.\-/_]){_HOST}(?::[0-9]+)?/(?:(?!https?:/){_URL_CHARACTER})++",
    re.IGNORECASE,
)
# Hangul in a path, to which the URL goes on behind it (people/이동호/1000, 제목-글), and Hangul at its end (wiki/이순신, _(장군)).
_MORE = re.compile(
    rf"(?P<hangul>[가-힣]+(?=[/&?#=_+%\-][A-Za-z0-9가-힣%(])|(?<=[/=_+\-])[가-힣]+(?=[A-Za-z0-9%]))(?:(?!https?:/){_URL_CHARACTER})*+",
    re.IGNORECASE,
)
_LAST = re.compile(r"(?<=[/=_+\-])[가-힣]+|(?<=_\()[가-힣]+\)")
_TWO_PARTS = re.compile(r"[^/]*/+[^/]+/.|.*=", re.DOTALL)
_NO_PATH = re.compile(
    "(?:은|는|이|가|을|를|의|에|에서|으?로|와|과|이?나|및|등|이?라는|이?라고|입니다|이다|임|이며|이고|인데|참[고조]|출처|링크|주소|여기|클릭|기사|영상"
    "|동영상|사진|홈페이지|사이트|블로그|카페)+(?:도|만|는|하세요|해주세요|하시면|바랍니다|하시기)?"
)
"""What stands behind a URL without a blank, not in it."""
URL_PARTS = re.compile(r"(?:[A-Za-z]+:/+)?(?:www\.)?(?P<host>[^/?#:]+)")
_URL_HOST = re.compile(r"(?:[a-z]+:/+)?(?:[a-z0-9_\-]+\.)+[a-z0-9]{2,}|https?://localhost", re.IGNORECASE)

_IPV4 = re.compile(r"(?<![0-9A-Za-z.\-])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9A-Za-z\-]|\.[0-9])")
_IPV6 = re.compile(r"(?<![0-9A-Za-z:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![0-9A-Za-z:.])")
_IP_WORDS = re.compile(
    r"(?<![A-Za-z])(?:IP|DNS|ping|host|server|VPN|proxy|gateway)(?![A-Za-z])|아이피|서버|접속|공유기|라우터|프록시",
    re.I,
)
_VERSION_WORDS = re.compile(r"버전|버젼|version|(?<![a-z])v(?:er)?\.?\s?$|펌웨어|업데이트|릴리[스즈]|빌드|패치", re.I)

# Not after Hangul (@공동경비구역@JSA, 갤럭시@NX1000), unless it names the service.
_MENTION = re.compile(
    r"(?:(?<=트위터)|(?<=인스타)|(?<=인스타그램)|(?<=스레드)|(?<=유튜브)|(?<![A-Za-z0-9가-힣._%+\-@/=#$&*^~]))"
    r"@([A-Za-z0-9_][A-Za-z0-9_.]{1,28}[A-Za-z0-9_])(?![A-Za-z0-9_@])"
)
_HANGUL_MENTION = re.compile(r"(?<!\S)@([가-힣]{2,6}?)(?=\s?님)")
# 카톡 아이디 minji_77, 텔레그램: minji77, 카톡ID는 minji 입니다
_MESSENGER = re.compile(
    r"(?:카카오톡|카톡|카카오(?=\s?(?:아이디|ID))|텔레그램|텔레(?=\s?(?:아이디|ID|:))|라인(?=\s?(?:아이디|ID|:))|위챗|디스코드|스카이프|(?<![A-Za-z])"
    r"(?:kakao\s?talk|kakao(?=\s?id)|telegram|we\s?chat|discord|skype|line(?=\s?id)))"
    r"(?P<word>\s?(?:아이디|ID|계정|친추|친구\s?추가|추가|문의|상담))?(?P<particle>[은는이가]|으?로)?(?P<mark>\s?[:=(\[<>→\-]\s?|\s)?"
    r"(?P<id>[A-Za-z0-9][A-Za-z0-9._\-]{2,28}[A-Za-z0-9])(?![A-Za-z0-9@])",
    re.IGNORECASE,
)
_NO_ID = re.compile(
    r"(?:PC|iOS|android|windows|web|mobile|app|bot|API|talk|kakao\w*|telegram|messenger|channel|online|game|server|nitro|free|naver|chat|http\w*|www\b.*)",
    re.IGNORECASE,
)
_DOMAIN_END = re.compile(rf"\.(?:{TOP_LEVEL})$", re.IGNORECASE)


def emails(line: Line) -> Iterator[Found]:
    """Addresses with a local part, also of Hangul, and a domain; 골뱅이, (at), [dot] and blanks around @ with a known top-level domain
    or the name of a mail service only.

    One that the text has masked itself (***@naver.com) is none.
    """
    for pattern in (_HANGUL_EMAIL, _EMAIL):
        for match in pattern.finditer(line.text, line.start):
            if match.start(1) == line.start or line.text[match.start(1) - 1] != "*":
                yield Found("email", match.start(1), match.end(), match.start(1))


def urls(line: Line) -> Iterator[Found]:
    """URLs with a scheme, www. or a path. A bare host (naver.com) is the name of a site and stays; so does http://www.naver.com, where
    nothing but the host of a well-known service is in it.
    """
    for start, end in _urls(line):
        if not _only_a_host_that_stays(line.text[start:end]):
            yield Found("url", start, end, start)


def _urls(line: Line) -> Iterator[tuple[int, int]]:
    """Where URLs are: up to the first character that RFC 3986 does not know, without punctuation and brackets that the sentence puts behind it.

    Hangul belongs to a URL inside its path: where the URL goes on behind it, or at the end of a path of two parts or more (people/이동호)
    or of a query, unless it is a particle or such (_NO_PATH), as of words that follow without a blank.
    """
    behind = line.start
    for match in _URL.finditer(line.text, line.start):
        if match.start() < behind:
            continue
        behind = _end_of_path(line.text, match.start(), match.end())
        url = line.text[match.start() : behind]
        while url and (
            url[-1] in ".,!?:;'*[(|~-" or (url[-1] in ")]" and url.count(url[-1]) > url.count(_open(url[-1])))
        ):
            url = url[:-1]
        if _URL_HOST.match(url):
            yield match.start(), match.start() + len(url)


def _end_of_path(text: str, start: int, end: int) -> int:
    """Where a URL ends that goes to `end` in ASCII, with the Hangul of its path."""
    host = URL_PARTS.match(text, start, end)
    if host is None or host.end("host") == end:
        return end
    while (more := _MORE.match(text, end)) and not _NO_PATH.fullmatch(more["hangul"]):
        end = more.end()
    last = _LAST.match(text, end)
    if last and _TWO_PARTS.match(text, host.end("host"), last.end()) and not _NO_PATH.fullmatch(last[0]):
        return last.end()
    return end


def _only_a_host_that_stays(url: str) -> bool:
    host = URL_PARTS.match(url)
    return bool(host and names_nobody(host["host"]) and not any(map(str.isalnum, url[host.end("host") :])))


def _open(closing: str) -> str:
    return "(" if closing == ")" else "["


def ip_addresses(line: Line) -> Iterator[Found]:
    """IPv4 and IPv6 addresses, without loopback and unspecified ones, which are nobody's.

    Versions (1.2.3.4), lists (1.2.3.4번) and dates look alike: an IPv4 address needs a word such as 아이피 nearby, or
    numbers that they rarely have (three digits first, and again); a word such as 버전 rules it out.
    """
    for pattern in (_IPV4, _IPV6):
        for match in pattern.finditer(line.text, line.start):
            try:
                address = ipaddress.ip_address(match[0])
            except ValueError:
                continue
            if address.is_loopback or address.is_unspecified or match[0].startswith("::") or match[0].endswith("::"):
                continue
            start, end = match.span()
            if address.version == 4 and not line.near(_IP_WORDS, start, end, before=15, after=8):
                parts = match[0].split(".")
                if line.near(_VERSION_WORDS, start, end, before=10, after=4):
                    continue
                if len(parts[0]) < 3 or max(map(len, parts[1:])) < 2 or len(match[0]) < 9:
                    continue
            yield Found("ip_address", start, end, start)


def mentions(line: Line) -> Iterator[Found]:
    """Handles of Latin letters and digits after an @ (at least three, one of them a letter); of Hangul only before 님.

    In reviews and comments an @ before Hangul is mostly decoration (@유년기의 끝@, 깜놀@@), so that precision comes first.
    """
    for match in _MENTION.finditer(line.text, line.start):
        handle = match[1]
        if any(map(str.isalpha, handle)) and not _DOMAIN_END.search(handle):
            yield Found("mention", match.start(), match.end(), match.start(1))
    for match in _HANGUL_MENTION.finditer(line.text, line.start):
        yield Found("mention", match.start(), match.end(), match.start(1), (match.span(1),))


def messenger_ids(line: Line) -> Iterator[Found]:
    """Latin ids behind the name of a messenger, with a word such as 아이디, a colon, or of letters and digits both."""
    for match in _MESSENGER.finditer(line.text, line.start):
        identifier = match["id"]
        letters, digits = (any(map(test, identifier)) for test in (str.isalpha, str.isdigit))
        named = match["word"] or (match["mark"] or "").strip() in (":", "=", "→")
        if letters and (named or (digits and len(identifier) > 4)) and not _NO_ID.fullmatch(identifier):
            yield Found("messenger", match.start("id"), match.end("id"), match.start("id"))
