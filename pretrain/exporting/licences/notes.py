"""Licence notes, as recipes and cards have them, in the hub's metadata."""

import re
from collections.abc import Sequence

from pretrain.checkpoints.provenance import UNKNOWN

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
