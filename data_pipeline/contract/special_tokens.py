"""The five tokens that every vocabulary needs, and what a Hugging Face folder says of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ROLES = ("pad", "unk", "cls", "sep", "mask")
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
"""The specials of a vocabulary that we train, by role; BERT's WordPiece has them in this order, as ids 0 to 4."""
ALTERNATIVE_NAMES = {
    "pad": ("<pad>",),
    "unk": ("<unk>",),
    "cls": ("<s>", "[BOS]"),
    "sep": ("</s>", "[EOS]"),
    "mask": ("<mask>",),
}


@dataclass(frozen=True)
class SpecialIds:
    """Ids of the five specials that pretraining needs."""

    pad: int
    unk: int
    cls: int
    sep: int
    mask: int


def find_specials(ids: Mapping[str, int], named: Mapping[str, str]) -> dict[str, str]:
    """Role -> the token that plays it, of those that a vocabulary has; a role without one is left out.

    - `ids`: the vocabulary.
    - `named`: role -> token, as a folder's tokenizer_config.json says; others are looked for by their usual names.
    """
    found = {}
    for role in ROLES:
        names = names_of(role, named)
        present = [candidate for candidate in names if candidate in ids]
        if present:
            found[role] = present[0]
    return found


def names_of(role: str, named: Mapping[str, str]) -> tuple[str, ...]:
    """The tokens that may play a role."""
    return (named[role],) if role in named else (f"[{role.upper()}]", *ALTERNATIVE_NAMES[role])


def configuration_files(configuration: Mapping[str, Any], specials: Mapping[str, str], ends: bool) -> dict[str, str]:
    """tokenizer_config.json and special_tokens_map.json: name -> content. Both name every special.

    - `configuration`: what else tokenizer_config.json holds.
    - `specials`: role -> token.
    - `ends`: whether they also name bos_token and eos_token, as RoBERTa's do: the tokens of cls and sep.
    """
    names = {f"{role}_token": specials[role] for role in ROLES}
    if ends:
        names |= {"bos_token": specials["cls"], "eos_token": specials["sep"]}
    return {
        "tokenizer_config.json": json.dumps({**configuration, **names}, ensure_ascii=False, indent=2) + "\n",
        "special_tokens_map.json": json.dumps(names, ensure_ascii=False, indent=2) + "\n",
    }


def in_order(rows: Sequence[str], order: Sequence[str]) -> list[str]:
    """Rows of a vocabulary with its specials changing places: the first of the places that they had gets the first of `order`."""
    waiting = iter(order)
    return [next(waiting) if row in order else row for row in rows]
