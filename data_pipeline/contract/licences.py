"""Licence notes of sources: what the hub calls them, and which forbid that the text is passed on."""

import re
from collections.abc import Sequence

UNKNOWN = "unknown"
LICENCES = {"Apache-2.0": "apache-2.0", "MIT": "mit", "CC BY-SA 4.0": "cc-by-sa-4.0", "CC0": "cc0-1.0"}
"""Licence notes of recipes -> identifiers of the hub's metadata."""
_FORBIDS = re.compile(
    r"no[nt]?[- ]?redistribut|not? (?:be )?(?:public|redistribut|shar)|non[- ]?public|no[- ]?deriv|\bND\b|proprietary|confidential"
    r"|all rights reserved|internal use|(?:재배포|배포|공유) ?(?:금지|불가)|변경 ?금지|비공개",
    re.IGNORECASE,
)


def hub_licence(notes: Sequence[str]) -> str:
    """The hub's identifier of what these licences are together."""
    known = {LICENCES.get(note, note) for note in notes}
    if UNKNOWN in known:
        return UNKNOWN
    return known.pop() if len(known) == 1 and known <= set(LICENCES.values()) else "other"


def forbids_redistribution(note: str) -> bool:
    """Whether a licence note says that neither the text nor what was made of it may be passed on (a cleaned text is a derivative: CC BY-ND
    forbids it). False of notes that say nothing of it."""
    return _FORBIDS.search(note) is not None
