"""Fake values of the same form: as many characters, with blanks and punctuation where they were.

Registration and card numbers are made so that their check digit is wrong: no living person has got one. Hosts are below a top-level
domain that is reserved.
"""

import hashlib
import ipaddress
import re
from collections.abc import Callable

from data_pipeline.corpus.steps.pseudonyms.accounts import has_luhn_digit
from data_pipeline.corpus.steps.pseudonyms.hosts import MAIL_HOSTS, RESERVED, names_nobody
from data_pipeline.corpus.steps.pseudonyms.line import Kind, as_written, plain
from data_pipeline.corpus.steps.pseudonyms.network import AT, DOT, MAIL_SERVICE, URL_PARTS
from data_pipeline.corpus.steps.pseudonyms.places import PLATE_LETTERS
from data_pipeline.corpus.steps.pseudonyms.regions import words
from data_pipeline.corpus.steps.pseudonyms.registrations import has_check_digit

_SPELLED_DIGITS = {
    **dict.fromkeys("공영oO", "0"),
    **dict(zip("일이삼사오육칠팔구", "123456789", strict=True)),
    "륙": "6",
}
_EMAIL = re.compile(rf"(?P<local>[가-힣A-Za-z0-9._%+\-]+?)(?P<at>{AT})(?P<host>.+)", re.IGNORECASE)
_DOT = re.compile(DOT, re.IGNORECASE)
_MAIL_SERVICE = re.compile(MAIL_SERVICE, re.IGNORECASE)
_ESCAPE = re.compile("%[0-9A-Fa-f]{2}")
_PLACE = re.compile("([가-힣]+?)((?:대로|[로동가])? ?[0-9]{0,4} ?(?:대로|[번가나다]? ?길|[로길동리가읍면]))$")
_PLACE_NAMES = {
    1: words("솔 달 별 빛 샘 봄 들 숲"),
    2: words("평화 소망 은빛 푸른 하늘 바다 구름 나무 새벽 이슬 노을 햇살 행복 사랑 희망 동백 보람 새싹 단풍 목련"),
    3: words("무지개 은하수 해돋이 나들이 달맞이 별마루 솔바람 꽃마루"),
}
_SYLLABLES = "가나다라마바사아자하강민서윤지준현수영진호은"


class Draw:
    """Numbers that depend on a key alone, on every machine and Python version."""

    def __init__(self, key: bytes) -> None:
        self._key, self._block, self._pool = key, 0, 0

    def below(self, limit: int) -> int:
        """A number from 0 to `limit` - 1; `limit` is small beside the 2^64 that are left at least."""
        if self._pool < 2**64:
            digest = hashlib.blake2b(self._key + self._block.to_bytes(4), digest_size=32).digest()
            self._pool, self._block = int.from_bytes(digest), self._block + 1
        self._pool, number = divmod(self._pool, limit)
        return number

    def digits(self, number: int) -> str:
        return "".join(str(self.below(10)) for _ in range(number))


def fake(kind: Kind, body: str, names: tuple[tuple[int, int], ...], key: bytes) -> str:
    """A fake for the replaced part of a value: of the same length, never the value itself.

    - `names`: spans in `body` of a street's, village's or person's name.
    - `key`: what the fake depends on, beside kind and value: two ways of writing one value (010-1234-5678,
      01012345678) have fakes of the same digits.
    """
    for attempt in range(100):
        value = as_written(_make(kind, plain(body), names, key + f"\0{kind}\0{attempt}\0".encode()), body)
        if value != body:
            return value
    raise RuntimeError(f"no fake of the kind {kind} differs from the value")


def _make(kind: Kind, body: str, names: tuple[tuple[int, int], ...], key: bytes) -> str:
    if kind in _DIGITS_OF:
        return _poured(body, _DIGITS_OF[kind], key)
    if kind == "email":
        return _email(body, key)
    if kind == "url":
        return _url(body, key)
    if kind == "ip_address":
        return _ip_address(body, key)
    if kind in ("mention", "messenger"):
        return _scrambled(body, Draw(key + body.casefold().encode()))
    return _place(body, names, key) if kind == "address" else _letters_and_digits(kind, body, key)


def _poured(body: str, make: Callable[[str, Draw], str], key: bytes) -> str:
    """The body with other digits, each in the script of the digit that it stands for."""
    digits = "".join(filter(None, map(_digit, body)))
    new = iter(make(digits, Draw(key + digits.encode())))
    return "".join(_in_script(next(new), character) if _digit(character) else character for character in body)


def _digit(character: str) -> str:
    """The digit that a character stands for, or nothing."""
    if "0" <= character <= "9":
        return character
    return _SPELLED_DIGITS.get(character, "")


def _in_script(digit: str, character: str) -> str:
    if "0" <= character <= "9":
        return digit
    return "공일이삼사오육칠팔구"[int(digit)]


def _telephone(digits: str, draw: Draw) -> str:
    return str(2 + draw.below(8)) + draw.digits(len(digits) - 1)


def _registration(digits: str, draw: Draw) -> str:
    """Born 1940 to 1999, so that the number had to have the check digit that it lacks."""
    birth = f"{40 + draw.below(60)}{1 + draw.below(12):02d}{1 + draw.below(28):02d}"
    first = ("5" if digits[6] in "5678" else "1") if draw.below(2) else ("6" if digits[6] in "5678" else "2")
    rest = birth + first + draw.digits(5)
    last = next(digit for digit in _from(draw.below(10)) if not has_check_digit(rest + digit))
    return rest + last


def _card(digits: str, draw: Draw) -> str:
    rest = digits[0] + draw.digits(len(digits) - 2)
    return rest + next(digit for digit in _from(draw.below(10)) if not has_luhn_digit(rest + digit))


def _from(first: int) -> list[str]:
    return [str((first + step) % 10) for step in range(10)]


def _plain_number(digits: str, draw: Draw) -> str:
    first = "0" if digits[0] == "0" else str(1 + draw.below(9))
    return first + draw.digits(len(digits) - 1)


_DIGITS_OF: dict[Kind, Callable[[str, Draw], str]] = {
    "mobile": _telephone,
    "landline": _telephone,
    "resident_number": _registration,
    "foreigner_number": _registration,
    "driver_licence": _plain_number,
    "customs_code": _plain_number,
    "card": _card,
    "bank_account": _plain_number,
}


def _email(body: str, key: bytes) -> str:
    """Another local part; another host too, unless it is a mail service that everybody uses, or the government's."""
    match = _EMAIL.fullmatch(body)
    assert match, body
    local, at, host = match["local"], match["at"], match["host"]
    plain_host = _DOT.sub(".", host).casefold()
    new_local = _scrambled(local, Draw(key + f"{local}@{plain_host}".casefold().encode()))
    if plain_host in MAIL_HOSTS or names_nobody(plain_host) or _MAIL_SERVICE.fullmatch(host) or "." not in plain_host:
        return new_local + at + host
    return new_local + at + (_host(host, key) if plain_host == host.casefold() else _spelled_host(host, key))


def _host(host: str, key: bytes) -> str:
    """A host that nobody has, below `RESERVED`; where there is no room for that, other letters before its last label."""
    draw = Draw(key + host.casefold().encode())
    own = host[: -len(RESERVED)]
    if len(own) < 2:
        return _scrambled(host.rpartition(".")[0], draw) + host[host.rfind(".") :]
    if own[-1] in ".-":
        own = own[:-1] + "x"
    return _scrambled(own, draw) + RESERVED


def _spelled_host(host: str, key: bytes) -> str:
    """naver(dot)com: the labels but the last have other letters."""
    draw = Draw(key + host.casefold().encode())
    pieces, position = [], 0
    for dot in _DOT.finditer(host):
        pieces += [_scrambled(host[position : dot.start()], draw), dot[0]]
        position = dot.end()
    return "".join((*pieces, host[position:]))


def _url(body: str, key: bytes) -> str:
    """Scheme and www. stay, and a host that names nobody; the rest has other letters and digits, escapes (%EA) stay escapes."""
    match = URL_PARTS.match(body)
    start, end = match.span("host") if match else (0, 0)
    host = body[start:end]
    draw = Draw(key + body[end:].encode())
    pieces, position = [body[:start], host if names_nobody(host) else _host(host, key)], end
    for escape in _ESCAPE.finditer(body, end):
        pieces.append(_scrambled(body[position : escape.start()], draw))
        pieces.append(f"%{draw.below(256):02X}")
        position = escape.end()
    return "".join((*pieces, _scrambled(body[position:], draw)))


def _ip_address(body: str, key: bytes) -> str:
    """IPv4: numbers of as many digits; IPv6: other hexadecimal digits."""
    draw = Draw(key + body.casefold().encode())
    if ipaddress.ip_address(body).version == 6:
        return re.sub("[0-9A-Fa-f]", lambda digit: "123456789abcdef"[draw.below(15)], body)
    ranges = {1: (1, 9), 2: (10, 99), 3: (100, 254)}

    def number(match: re.Match[str]) -> str:
        low, high = ranges[len(match[0])]
        return str(low + draw.below(high - low + 1))

    return re.sub("[0-9]+", number, body)


def _letters_and_digits(kind: Kind, body: str, key: bytes) -> str:
    """A passport (its first letter stays) or a plate, whose letter becomes one of the same use."""
    draw = Draw(key + "".join(body.casefold().split()).encode())
    if kind == "passport":
        return body[0] + _scrambled(body[1:], draw)
    new = _groups(body, draw)
    return re.sub(f"[{PLATE_LETTERS}]", lambda letter: _plate_letter(letter[0], draw), new)


def _plate_letter(letter: str, draw: Draw) -> str:
    group = next((group for group in ("바사아자", "하허호", "배") if letter in group), PLATE_LETTERS[:-8])
    return group[draw.below(len(group))]


def _place(body: str, names: tuple[tuple[int, int], ...], key: bytes) -> str:
    """An address; the fake of a street or village depends on its name alone, so that neighbours stay neighbours."""
    draw = Draw(key + "".join(body.split()).encode())
    pieces, position = [], 0
    for start, end in names:
        name = body[start:end]
        of_name = Draw(key + "".join(name.split()).encode())
        pieces += [_groups(body[position:start], draw), _groups(_place_name(name, of_name), of_name)]
        position = end
    return "".join((*pieces, _groups(body[position:], draw)))


def _place_name(name: str, draw: Draw) -> str:
    """Another name of as many syllables, with the same ending (대로, 동, ...)."""
    match = _PLACE.match(name)
    own, ending = match.groups() if match else (name, "")
    syllables = ""
    while missing := len(own) - len(syllables):
        choice = _PLACE_NAMES[missing if missing < 4 else 2]
        syllables += choice[draw.below(len(choice))]
    return syllables + ending


def _groups(body: str, draw: Draw) -> str:
    """Each group of digits as another number of as many digits."""

    def number(match: re.Match[str]) -> str:
        return _plain_number(match[0], draw)

    return re.sub("[0-9]+", number, body)


def _scrambled(text: str, draw: Draw) -> str:
    """Each letter another letter of the same case, each digit another digit, each Hangul syllable another one."""

    def other(character: str) -> str:
        if "a" <= character <= "z":
            return chr(ord("a") + draw.below(26))
        if "A" <= character <= "Z":
            return chr(ord("A") + draw.below(26))
        if "0" <= character <= "9":
            return str(draw.below(10))
        return _SYLLABLES[draw.below(len(_SYLLABLES))] if "가" <= character <= "힣" else character

    return "".join(map(other, text))
