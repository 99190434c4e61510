"""Licence notes of sources and models: what the hub calls them, and which forbid that the text is passed on."""

import re
from collections.abc import Sequence

UNKNOWN = "unknown"
OTHER = "other"
HUB_LICENCES = {
    "apache-2.0", "mit", "cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0",
    "cc-by-sa-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-3.0",
    "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "bsd", "bsd-2-clause", "bsd-3-clause",
    "gpl", "gpl-2.0", "gpl-3.0", "lgpl", "lgpl-2.1", "lgpl-3.0", "agpl-3.0", "mpl-2.0", "artistic-2.0", "wtfpl",
    "unlicense", "odbl", "odc-by", "pddl", "ms-pl", "openrail", "creativeml-openrail-m", "bigscience-openrail-m",
    "bigscience-bloom-rail-1.0", "gemma", "llama2", "llama3", "llama3.1", "llama3.2", "llama3.3",
}  # fmt: skip
"""Identifiers that the hub takes under `license` (huggingface.co/docs/hub/repositories-licenses), the common ones."""
_FORBIDS = re.compile(
    r"no[nt]?[- ]?redistribut|not? (?:be )?(?:public|redistribut|shar)|non[- ]?public|no[- ]?deriv|\bND\b|proprietary|confidential"
    r"|all rights reserved|internal use|(?:재배포|배포|공유) ?(?:금지|불가)|변경 ?금지|비공개",
    re.IGNORECASE,
)


def hub_licence(notes: Sequence[str]) -> str:
    """The hub's identifier of what these licences are together; `other` where there is none, unknown where one is unknown."""
    known = {_identifier(note) for note in notes}
    if UNKNOWN in known:
        return UNKNOWN
    return known.pop() if len(known) == 1 and known <= HUB_LICENCES else OTHER


def _identifier(note: str) -> str:
    return "cc0-1.0" if note == "CC0" else note.lower().replace(" ", "-")


def licence_lines(notes: Sequence[str]) -> list[str]:
    """`license`, and a name where it is none that the hub knows: lower-case letters, digits, dots and hyphens."""
    found = hub_licence(notes)
    named = re.sub(r"[^a-z0-9.]+", "-", "-and-".join(notes).lower()).strip("-.")
    if not re.search("[a-z]", named):
        named = "see-training-text"
    return [f"license: {found}", *([f"license_name: {named}"] if found == OTHER else [])]


def forbids_redistribution(note: str) -> bool:
    """Whether a licence note says that neither the text nor what was made of it may be passed on (a cleaned text is a derivative: CC BY-ND
    forbids it). False of notes that say nothing of it."""
    return _FORBIDS.search(note) is not None
