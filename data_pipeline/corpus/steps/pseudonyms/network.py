"""E-mail addresses, URLs, IP addresses and @mentions."""

import ipaddress
import re
from collections.abc import Iterator

from data_pipeline.corpus.steps.pseudonyms.line import Found, Line

# Top-level domains that Korean text holds; asked for where nothing else tells a host from words with full stops.
TOP_LEVEL = "com|net|org|kr|edu|gov|info|biz|io|be|gl|ly|me|tv|at|gg|jp|cn|us|uk|eu|de|co|to|ai|app|dev|site|shop|xyz"
_HOST = rf"(?:[A-Za-z0-9\-]++\.(?=[A-Za-z0-9]))++(?:{TOP_LEVEL})(?![A-Za-z0-9])"

# Local parts of RFC 5322's unquoted form; the lookbehind keeps the search linear.
_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+\-])[._%+\-]*+([A-Za-z0-9][A-Za-z0-9._%+\-]*+)"
    rf"(?:@(?:[A-Za-z0-9\-]++\.(?=[A-Za-z0-9]))++[A-Za-z]{{2,24}}(?![A-Za-z0-9])|\s?(?:@|[(\[]\s?at\s?[)\]]|골뱅이)\s?{_HOST})",
    re.IGNORECASE,
)

# RFC 3986's, | and the § that browsers make of &sect.
_URL_CHARACTER = r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%|§]"
_URL = re.compile(
    rf"(?:https?:/{{1,3}}|ftp://|(?<![A-Za-z0-9.])www\.)(?:(?!https?:/){_URL_CHARACTER})++"
    rf"|(?<![A-Za-z0-9@.\-/_]){_HOST}(?::[0-9]+)?/(?:(?!https?:/){_URL_CHARACTER})++",
    re.IGNORECASE,
)
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
_DOMAIN_END = re.compile(rf"\.(?:{TOP_LEVEL})$", re.IGNORECASE)


def emails(line: Line) -> Iterator[Found]:
    """Addresses with a local part and a domain; 골뱅이, (at) and blanks around @ with a known top-level domain only.

    One that the text has masked itself (***@naver.com) is none.
    """
    for match in _EMAIL.finditer(line.text, line.start):
        if match.start(1) == line.start or line.text[match.start(1) - 1] != "*":
            yield Found("email", match.start(1), match.end(), match.start(1))


def urls(line: Line) -> Iterator[Found]:
    """URLs with a scheme, www. or a path. A bare host (naver.com) is the name of a site and stays.

    The URL ends before the first character that RFC 3986 does not know (Hangul follows without a blank), and without
    punctuation and brackets that the sentence puts behind it.
    """
    for match in _URL.finditer(line.text, line.start):
        url = match[0]
        while url and (
            url[-1] in ".,!?:;'*[(|~-" or (url[-1] in ")]" and url.count(url[-1]) > url.count(_open(url[-1])))
        ):
            url = url[:-1]
        if _URL_HOST.match(url):
            yield Found("url", match.start(), match.start() + len(url), match.start())


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
