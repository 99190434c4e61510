"""The model card of an export, made of the run's manifest; what the run does not know says 'unknown'."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pretrain.recipe import Optimizer, TrainingRecipe, training_recipe_from_plain

UNKNOWN = "unknown"
REPOSITORY_NAME = "korean-pretrain"
BOARD_WATTS = {"A100": 400, "H100": 700, "H200": 700}
"""Board power of SXM cards in watts (NVIDIA's data sheets): an upper bound of what the card draws."""
GRID_KILOGRAMS_PER_KWH = 0.48
"""World average of 2023 in kg CO2 a kWh (Ember, Global Electricity Review 2024)."""
WIDGETS = ("대한민국의 수도는 [MASK]이다.", "오늘은 날씨가 참 [MASK].", "이 영화는 정말 [MASK] 있었다.")
OPTIMIZERS = {
    "adamw": "AdamW",
    "lamb": "LAMB",
    "adafactor": "Adafactor",
    "muon": "Muon for matrices, AdamW for the rest",
}
SCHEDULES = {
    "linear": "linear decay",
    "cosine": "cosine decay",
    "warmup_stable_decay": "a constant rate and a short 1 - sqrt decay",
}
LICENCES = {"Apache-2.0": "apache-2.0", "MIT": "mit", "CC BY-SA 4.0": "cc-by-sa-4.0", "CC0": "cc0-1.0"}
"""Licence notes of recipes -> identifiers of the hub's metadata."""


def model_card(manifest: Mapping[str, Any], facts: Mapping[str, Any], name: str) -> str:
    """README.md of an exported folder.

    - `manifest`: the run folder's.
    - `facts`: of this export: `family`, `sizes` (in words), `tags`, `step`, `pairs` (next-sentence, sentence-order or empty), `parameters`, `mask_token`, `max_length`,
      `evaluation` (a mapping of the newest held-out figures, or None).
    - `name`: what to call the model.
    """
    prepare, train = manifest.get("prepare", {}), manifest.get("train", {})
    data, written = prepare.get("recipe", {}), train.get("training_recipe")
    recipe = training_recipe_from_plain(written) if written else None
    sections = [
        _front_matter(data, facts),
        f"# {name}\n\n{_summary(data, recipe, facts)}",
        _corpora(data, prepare),
        _preprocessing(data),
        _tokenizer(data, facts),
        _training(recipe, train, facts),
        _hardware(train),
        _use(facts),
        _citation(name, manifest),
    ]
    return "\n\n".join(sections) + "\n"


def _front_matter(data: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    licences = {source["licence"] for source in data.get("sources", [])}
    licence = LICENCES.get(next(iter(licences)), "other") if len(licences) == 1 else "other"
    mask = facts["mask_token"]
    lines = [
        "---",
        "language: ko",
        f"license: {UNKNOWN if not licences or UNKNOWN in licences else licence}",
        "library_name: transformers",
        "pipeline_tag: fill-mask",
        "tags:",
        "- korean",
        *(f"- {tag}" for tag in facts["tags"]),
        "- fill-mask",
        f"mask_token: {json.dumps(mask)}",
        "widget:",
        *(f"- text: {json.dumps(text.replace('[MASK]', mask), ensure_ascii=False)}" for text in WIDGETS),
        "---",
    ]
    return "\n".join(lines)


def _summary(data: Mapping[str, Any], recipe: TrainingRecipe | None, facts: Mapping[str, Any]) -> str:
    heads = f"masked-language-model and {facts['pairs']} heads" if facts["pairs"] else "a masked-language-model head"
    method = recipe.objective.method if recipe else UNKNOWN
    return (
        f"A Korean {facts['family']} of {facts['sizes']}, with {heads}; {facts['parameters']:,} parameters. Pretrained from "
        f"scratch with {method} (unit: {data.get('word_unit', UNKNOWN)}) in JAX by {REPOSITORY_NAME}, exported at step "
        f"{facts['step']:,}.\n\n"
        "```python\nfrom transformers import pipeline\n\n"
        f'pipeline("fill-mask", model="PATH_OR_NAME")("대한민국의 수도는 {facts["mask_token"]}이다.")\n```'
    )


def _corpora(data: Mapping[str, Any], prepare: Mapping[str, Any]) -> str:
    records = prepare.get("records", {})
    tokens, rows = records.get("tokens", {}), records.get("rows", {})
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
    size = f"{tokens['train']:,} tokens in {rows['train']:,} rows" if tokens else UNKNOWN
    return f"## Training text\n\n{table}\n\nAfter preprocessing: {size}."


def _category(source: Mapping[str, Any]) -> str:
    """What a source says of the kind of its text; manifests of older runs do not know the fields."""
    field = source.get("category_field", "")
    return f"by field {field}" if field else source.get("category", "")


def _preprocessing(data: Mapping[str, Any]) -> str:
    if not data:
        return f"## Preprocessing\n\n{UNKNOWN}"
    korean, length, contamination = data["korean"], data["length"], data["decontamination"]
    near = data.get("near_duplicates", {"enabled": False})  # absent where the run is older than the step
    repeats = data["clean"].get("max_repeats")
    benchmarks = ", ".join(path.rstrip("/").split("/")[-1] for path in contamination["benchmarks"])
    lines = [
        "- HTML entities, NFC and control characters mended"
        + "".join(f"; {name.replace('_', ' ')} removed" for name, on in data["clean"].items() if on is True)
        + (f"; runs of one letter cut to {repeats}" if repeats else ""),
        f"- exact duplicates of documents {'dropped' if data['drop_duplicates'] else 'kept'}",
        f"- near duplicates (Jaccard similarity of character {near['ngram']}-grams from {near['threshold']}) dropped"
        if near["enabled"]
        else "- near duplicates of documents kept",
        f"- sentences split with {data['sentences']['splitter'].upper()} 1.3.1",
        f"- sentences dropped with less than {korean['min_hangul_share']:.0%} Hangul letters or more than "
        f"{korean['max_han_kana']} Han and Kana characters",
        f"- texts shorter than {length['min_chars']} characters dropped (unit: {length['unit']})",
        f"- decontaminated by BM25 over character {contamination['ngram']}-grams against {benchmarks} "
        f"(threshold {contamination['threshold']}, {contamination['on_contaminated']} removed)"
        if benchmarks
        else "- not decontaminated against any benchmark",
        "- personal information: not detected and not replaced",
    ]
    return "## Preprocessing\n\n" + "\n".join(lines)


def _tokenizer(data: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    vocabulary = data.get("vocabulary", {})
    if vocabulary.get("given"):
        origin = f"given ({vocabulary['given'].rstrip('/').split('/')[-1]})"
    elif vocabulary:
        origin = f"BPE on Mecab-ko morphemes (scheme {vocabulary['scheme']}), {vocabulary['unused']} unused rows"
    else:
        origin = UNKNOWN
    return (
        f"## Tokenizer\n\nWordPiece, {facts['vocab_size']:,} rows, {origin}. No morphological analyser is needed to use it. "
        f"At most {facts['max_length']} tokens."
    )


def _training(recipe: TrainingRecipe | None, train: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    if recipe is None:
        return f"## Training\n\n{UNKNOWN}"
    evaluation = facts.get("evaluation") or {}
    tokens_seen = train.get("tokens_seen")
    phases = [
        f"- {phase.share:.0%} of the steps with {phase.global_batch_size or recipe.global_batch_size:,} rows of "
        f"{phase.length} tokens{''.join(f', {setting}' for setting in phase.settings)}"
        for phase in recipe.phases
    ]
    rows = "" if phases else f" of {recipe.global_batch_size:,} rows"
    held_out = [
        f"{each.title}: {_figure(evaluation, f'evaluation_{each.metric}')}" for each in recipe.objective.headlines()
    ]
    lines = [
        f"- {facts['step']:,} of {recipe.max_steps:,} steps{rows}; "
        f"tokens seen: {f'{tokens_seen:,}' if tokens_seen else UNKNOWN}",
        *phases,
        f"- {recipe.objective.in_words()}",
        f"- {_optimizer(recipe.optimizer)}",
        f"- compute type {recipe.compute_dtype}, seed {recipe.seed}",
        f"- held-out {recipe.objective.title} {'; '.join(held_out)}",
    ]
    return "## Training\n\n" + "\n".join(lines)


def _optimizer(optimizer: Optimizer) -> str:
    betas = f", betas {optimizer.beta1:g} and {optimizer.beta2:g}" if optimizer.name != "adafactor" else ""
    momentum = f", momentum {optimizer.momentum:g}" if optimizer.name == "muon" else ""
    return (
        f"{OPTIMIZERS[optimizer.name]}, peak learning rate {optimizer.learning_rate:g}, {optimizer.warmup_steps:,} warmup "
        f"steps, then {SCHEDULES[optimizer.schedule]}, weight decay {optimizer.weight_decay:g}{betas}{momentum}, "
        f"gradient norm clipped at {optimizer.clip_norm:g}"
    )


def _figure(evaluation: Mapping[str, Any], name: str) -> str:
    return f"{evaluation[name]:.4f}" if name in evaluation else UNKNOWN


def _hardware(train: Mapping[str, Any]) -> str:
    """Devices, hours and carbon, over all the parts in which the run was trained."""
    parts = train.get("parts", [])
    devices = ", then ".join(dict.fromkeys(f"{part['devices']} x {part['device_kind']}" for part in parts)) or UNKNOWN
    hours = f"{train['seconds'] / 3600:.2f}" if parts else UNKNOWN
    return f"## Hardware\n\n- devices: {devices}\n- hours of training: {hours}\n- estimated carbon: {_carbon(parts)}"


def _carbon(parts: Sequence[Mapping[str, Any]]) -> str:
    kilowatt_hours = 0.0
    for part in parts:
        watts = next((power for name, power in BOARD_WATTS.items() if name in part["device_kind"]), None)
        if watts is None:
            return f"{UNKNOWN} (device hours x power of the device x carbon intensity of the grid)"
        kilowatt_hours += watts / 1000 * part["devices"] * part["seconds"] / 3600
    if not parts:
        return UNKNOWN
    return (
        f"at most {kilowatt_hours * GRID_KILOGRAMS_PER_KWH:.2f} kg CO2 ({kilowatt_hours:.2f} kWh at the cards' board power, "
        f"{GRID_KILOGRAMS_PER_KWH} kg a kWh, the world's average of 2023; the grid's own figure: {UNKNOWN})"
    )


def _use(facts: Mapping[str, Any]) -> str:
    pooler = (
        f"The pooler and the {facts['pairs']} head (`seq_relationship`) were trained on sentence pairs."
        if facts["pairs"]
        else "No pooler was trained: `AutoModel` initialises one at random and says so; use the last hidden states, or "
        "`add_pooling_layer=False`."
    )
    return (
        "## Intended use\n\nFine-tuning on Korean understanding tasks (classification, tagging, span extraction) and filling "
        f"masks. It does not generate text. {pooler}\n\n"
        "## Risks\n\nThe model repeats the bias, the errors and the opinions of its training text, and may complete sentences "
        "with offensive or false words, or with personal information that stood there. It was not filtered for toxicity. "
        "Check it on your own task and groups of people before you use it in decisions about them."
    )


def _citation(name: str, manifest: Mapping[str, Any]) -> str:
    code = manifest.get("train", {}).get("software", {}).get("code", UNKNOWN)
    key = "".join(character for character in name.lower() if character.isalnum())
    return (
        "## Citation\n\n```bibtex\n"
        f"@misc{{{key},\n  title = {{{name}}},\n  author = {{{UNKNOWN}}},\n  year = {{{UNKNOWN}}},\n"
        f"  note = {{pretrained with {REPOSITORY_NAME}, code version {code}}}\n}}\n```"
    )
