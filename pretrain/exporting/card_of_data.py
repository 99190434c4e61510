"""What a model card says of text and tokenizer; for `pretrain.exporting.card`."""

from collections.abc import Mapping
from typing import Any

from pretrain.checkpoints.provenance import UNKNOWN

SPLITTERS = {"kss": "KSS 1.3.1"}
"""What cards call the splitters of recipes."""


def corpora(prepare: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """The sources with their licences, and what is left of them after preprocessing."""
    data = prepare.get("recipe", {})
    lines = [
        f"| {source['name'] or source['format']} | {source['format']} | {_category(source)} | {source['licence']} | "
        f"{source.get('weight', 1.0):g} |"
        for source in data.get("sources", [])
    ]
    table = "\n".join(
        [
            "| corpus | format | category | licence | weight |",
            "|---|---|---|---|---|",
            *(lines or [f"|{f' {UNKNOWN} |' * 5}"]),
        ]
    )
    size = f"{facts['train_tokens']:,} tokens in {facts['train_rows']:,} rows"
    return f"## Training text\n\n{table}\n\nAfter preprocessing: {size}."


def _category(source: Mapping[str, Any]) -> str:
    """What a source says of the kind of its text; manifests of older runs do not know the fields."""
    field = source.get("category_field", "")
    return f"by field {field}" if field else source.get("category", "")


def preprocessing(prepare: Mapping[str, Any]) -> str:
    """What became of the text, step by step."""
    data = prepare.get("recipe", {})
    if not data:
        return f"## Preprocessing\n\n{UNKNOWN}"
    korean, length, contamination = data["korean"], data["length"], data["decontamination"]
    near = data.get("near_duplicates", {"enabled": False})  # absent where the run is older than the step
    splitter = data["sentences"]["splitter"]
    repeats = data["clean"].get("max_repeats")
    benchmarks = ", ".join(path.rstrip("/").split("/")[-1] for path in contamination["benchmarks"])
    lines = [
        "- HTML entities, NFC and control characters fixed"
        + "".join(f"; {name.replace('_', ' ')} removed" for name, on in data["clean"].items() if on is True)
        + (f"; runs of one letter cut to {repeats}" if repeats else ""),
        f"- exact duplicates of documents {'dropped' if data['drop_duplicates'] else 'kept'}",
        f"- near duplicates (Jaccard similarity of character {near['ngram']}-grams from {near['threshold']}) dropped"
        if near["enabled"]
        else "- near duplicates of documents kept",
        f"- sentences split with {SPLITTERS.get(splitter, splitter)}",
        f"- sentences dropped with less than {korean['min_hangul_share']:.0%} Hangul letters or more than "
        f"{korean['max_han_kana']} Han and Kana characters",
        f"- texts shorter than {length['min_chars']} characters dropped (unit: {length['unit']})"
        + "".join(
            f"; of {source['name'] or source['format']} {source['length']['min_chars']} ({source['length']['unit']})"
            for source in data["sources"]
            if source.get("length")
        ),
        f"- decontaminated by BM25 over character {contamination['ngram']}-grams against {benchmarks} "
        f"(threshold {contamination['threshold']}, {contamination['on_contaminated']} removed)"
        if benchmarks
        else "- not decontaminated against any benchmark",
        f"- personal information: {_personal_data(data, prepare.get('personal_data'))}",
    ]
    return "## Preprocessing\n\n" + "\n".join(lines)


def _personal_data(data: Mapping[str, Any], replaced: Mapping[str, int] | None) -> str:
    """What pseudonyms replaced, by type.

    - `replaced`: how many values of each type; None where the manifest is of code that did not count them there.
    """
    settings = data.get("pseudonyms", {"enabled": False})  # absent where the run is older than the step
    types = {name: on for name, on in settings.items() if isinstance(on, bool) and name != "enabled"}
    looked_for = [name for name, on in types.items() if on] if settings["enabled"] else []
    if not looked_for:
        return "not detected and not replaced"
    named = [(name.replace("_", " "), (replaced or {}).get(name, 0)) for name in looked_for]
    found = ", ".join(f"{name} ({number:,})" for name, number in named if number)
    lists = {
        "replaced": f"{', '.join(name for name, _ in named)} (how many: {UNKNOWN})" if replaced is None else found,
        "looked for and not found": "" if replaced is None else ", ".join(name for name, number in named if not number),
        "not looked for": ", ".join(name.replace("_", " ") for name, on in types.items() if not on),
    }
    told = "; ".join(f"{what}: {names}" for what, names in lists.items() if names)
    return f"found by rules, which miss some, and replaced by fake values of the same form. {told[0].upper()}{told[1:]}"


def tokenizer(prepare: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """What the tokenizer is, by its own files, and from what it was learnt, by the recipe."""
    vocabulary = prepare.get("recipe", {}).get("vocabulary", {})
    if vocabulary.get("given"):
        origin = f"given ({vocabulary['given'].rstrip('/').split('/')[-1]})"
    elif vocabulary:
        learnt = "SentencePiece" if vocabulary.get("model") == "unigram" else "BPE"
        of = "eojeols" if vocabulary["scheme"] == "plain" else f"Mecab-ko morphemes (scheme {vocabulary['scheme']})"
        origin = f"learnt by {learnt} from counts of {of}, {vocabulary['unused']} of them [unusedN]"
    else:
        origin = f"learnt from: {UNKNOWN}"
    case = "lower-cased" if facts["lowercase"] else "cased"
    return (
        f"## Tokenizer\n\n{facts['tokenizer']}, {case}, {facts['vocab_size']:,} entries, {origin}. No morphological analyser "
        f"is needed to use it. At most {facts['max_length']} tokens."
    )
