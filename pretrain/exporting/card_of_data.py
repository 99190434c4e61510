"""What a model card says of text and tokenizer; for `pretrain.exporting.card`. The data side's account is printed as it stands."""

from collections.abc import Mapping
from typing import Any

from pretrain.checkpoints.provenance import UNKNOWN

NO_ACCOUNT = f"{UNKNOWN}: the run was prepared by code that gave no account of it; run the same prepare command again"

LOADING = (
    'Load it with `AutoTokenizer`: one of `vocab.txt` alone (`BertTokenizer("vocab.txt")`) lower-cases and takes Hangul syllables apart, so '
    "that nearly every Korean word becomes unknown. Give it composed text (NFC)."
)
"""What cards say of the loading of a WordPiece."""


def corpora(prepare: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """The sources with their licences, and what is left of them after preprocessing."""
    data = prepare.get("recipe", {})
    lines = [
        f"| {source['name'] or source['format']} | {source['format']} | {_category(source)} | {source['licence']} | "
        f"{'evaluation only' if _held_out(source, data) == 1 else format(source.get('weight', 1.0), 'g')} |"
        for source in data.get("sources", [])
    ]
    table = "\n".join(
        [
            "| corpus | format | category | licence | weight |",
            "|---|---|---|---|---|",
            *(lines or [f"|{f' {UNKNOWN} |' * 5}"]),
        ]
    )
    told = _listed(prepare.get("account", {}).get("sources", []))
    size = f"{facts['train_tokens']:,} tokens in {facts['train_rows']:,} rows"
    return f"## Training text\n\n{table}\n\n{told}After preprocessing: {size}."


def _listed(sentences: list[str]) -> str:
    return "".join(f"- {sentence}\n" for sentence in sentences) + ("\n" if sentences else "")


def _category(source: Mapping[str, Any]) -> str:
    """What a source says of the kind of its text; manifests of older runs do not know the fields."""
    field = source.get("category_field", "")
    return f"by field {field}" if field else source.get("category", "")


def _held_out(source: Mapping[str, Any], data: Mapping[str, Any]) -> Any:
    own = source.get("evaluation_fraction")
    return data.get("evaluation_fraction") if own is None else own


def preprocessing(prepare: Mapping[str, Any]) -> str:
    """What became of the text, step by step."""
    told = prepare["account"]["steps"] if "account" in prepare else [NO_ACCOUNT]
    return f"## Preprocessing\n\n{_listed(told).strip()}"


def tokenizer(prepare: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """What the tokenizer is, by its own files, and how it was made."""
    origin = prepare.get("account", {}).get("vocabulary", f"made from: {UNKNOWN}")
    case = "lower-cased" if facts["lowercase"] else "cased"
    loading = f" {LOADING}" if facts["tokenizer"] == "WordPiece" else ""
    return (
        f"## Tokenizer\n\n{facts['tokenizer']}, {case}, {facts['vocab_size']:,} entries, {origin}. No morphological analyser "
        f"is needed to use it. At most {facts['max_length']} tokens.{loading}"
    )
