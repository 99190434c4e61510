"""Names as people type them, of files in folders, of fields and of categories: in any Unicode form, with brackets, beside hidden ones."""

import fnmatch
import os
import re
import unicodedata

_MAGIC = re.compile(r"[*?\[]")
# Controls, soft hyphen, zero-width and bidi characters, byte order mark: nobody sees them in a name.
_UNSEEN = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\xad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def left_out(name: str) -> bool:
    """Whether a wildcard passes over a name: hidden files, as in a shell, and what macOS and Windows leave in folders."""
    return name.startswith(".") or name in ("__MACOSX", "Thumbs.db", "desktop.ini")


def matching_paths(pattern: str) -> tuple[list[str], list[str]]:
    """The local paths that a glob or path matches, sorted; and the names that its wildcards passed over (`left_out`).

    Names match in whatever Unicode form they are stored (macOS stores NFD). A part of the pattern that is the name of a file or folder
    stands for that, whatever it holds: `[2020]/*.txt`. `**` is any number of folders.
    """
    passed: set[str] = set()
    absolute = os.path.abspath(pattern)
    paths = ["/"]
    parts = [part for part in absolute.split("/") if part]
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        paths = [found for path in paths for found in _below(path, part, last, passed)]
    return sorted(dict.fromkeys(paths)), sorted(passed)


def _below(folder: str, part: str, last: bool, passed: set[str]) -> list[str]:
    whole = os.path.join(folder, part)
    if os.path.lexists(whole):
        return [whole]
    if part == "**":
        return _tree(folder, files=last, passed=passed, seen=frozenset())
    if not _MAGIC.search(part) and part.isascii():
        return []
    try:
        names = os.listdir(folder)
    except (NotADirectoryError, FileNotFoundError):
        return []
    if not _MAGIC.search(part):
        return [os.path.join(folder, name) for name in names if _nfc(name) == _nfc(part)]
    hidden_too = part.startswith(".")
    shown = [name for name in names if hidden_too or not left_out(name)]
    for wanted in (pattern_of(part), pattern_of(part.replace("[", "[[]"))):
        if found := [name for name in shown if wanted.fullmatch(_nfc(name))]:
            passed.update(name for name in set(names) - set(shown) if wanted.fullmatch(_nfc(name)))
            return [os.path.join(folder, name) for name in found]
    return []


def _tree(folder: str, *, files: bool, passed: set[str], seen: frozenset[str]) -> list[str]:
    """A folder and all below it; also the files in them where `files`."""
    real = os.path.realpath(folder)
    if not os.path.isdir(folder) or real in seen:  # a link to a folder above
        return []
    found = [] if files else [folder]
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if left_out(name):
            passed.add(name)
        elif os.path.isdir(path):
            found += _tree(path, files=files, passed=passed, seen=seen | {real})
        elif files:
            found.append(path)
    return found


def pattern_of(glob: str) -> re.Pattern[str]:
    """A glob without folders, or with `**/`, as an expression for names in NFC."""
    parts = re.split(r"(\*\*/)", _nfc(glob))
    return re.compile("".join("(?:.*/)?" if part == "**/" else fnmatch.translate(part)[:-2] for part in parts))


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def printable(text: str) -> str:
    """Text without lone surrogates, which no file takes. Python has them for the bytes of a name that is not UTF-8: it is read as CP949, in
    which Windows wrote it, where it can be. Others become `\\ud83d`."""
    if text.isascii() or not _SURROGATE.search(text):
        return text
    try:
        return os.fsencode(text).decode("cp949")
    except UnicodeError:
        return text.encode("utf-8", "backslashreplace").decode()


def tidy_name(name: str) -> str:
    """A name as it is compared and written down: NFC, without unseen characters, one blank between words, no lone surrogates."""
    if name.isascii() and name.isalnum():
        return name
    return printable(" ".join(_UNSEEN.sub("", unicodedata.normalize("NFC", name)).split()))
