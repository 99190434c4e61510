"""The model card of an export, made of what the checkpoint and the run's manifest hold; what they do not know says 'unknown'."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from data_pipeline.contract.licences import licence_lines
from data_pipeline.contract.recipe_file import differences
from pretrain.checkpoints.provenance import UNKNOWN
from pretrain.checkpoints.resume import bound
from pretrain.exporting.card_of_data import corpora, preprocessing, tokenizer
from pretrain.exporting.card_of_use import companions, in_heads, snippet, usage, use
from pretrain.exporting.model_index import Result, model_index, results_table
from pretrain.input.schedule import objective_in_words
from pretrain.recipe import Optimizer, TrainingRecipe, training_recipe_from_plain

REPOSITORY_NAME = "korean-pretrain"
BOARD_WATTS = {"A100": 400, "H100": 700, "H200": 700}
"""Board power of SXM cards in watts (NVIDIA's data sheets): an upper bound of what the card draws."""
GRID_KILOGRAMS_PER_KWH = 0.48
"""World average of 2023 in kg CO2 a kWh (Ember, Global Electricity Review 2024)."""
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

HUB_DATASET = re.compile(r"hf://datasets/([\w.-]+/[\w.-]+)/")
TOLD = (
    "model.", "objective.", "phases", "start_from", "optimizer.name", "optimizer.learning_rate", "optimizer.warmup_steps", "seed",
    "optimizer.schedule", "optimizer.decay_from", "optimizer.weight_decay", "optimizer.beta1",
    "optimizer.beta2", "optimizer.bias_correction",
    "optimizer.momentum", "optimizer.clip_norm", "compute_dtype", "max_steps", "global_batch_size",
)  # fmt: skip
"""Fields, or how they begin up to a dot, that the card tells in words of their own."""


def model_card(name: str, prepare: Mapping[str, Any], saved: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """README.md of an exported folder.

    - `name`: what to call the model.
    - `prepare`: the manifest's section of that name, or empty where it is not of the checkpoint's records.
    - `saved`: the facts of the checkpoint (`pretrain.checkpoints.facts`).
    - `facts`: of this export: `family`, `sizes` (in words), `heads`, `auto_class` (transformers', or empty), `adds_pooler` (of
      `Family`), `tags`, `step`, `pairs` (next-sentence, sentence-order or empty), `taken_for` (what transformers takes such a head for), `parameters`, `mask_token`,
      `positions` (most tokens that the model reads), `max_length` (most that its tokenizer makes of a text),
      `part` (its name among the run's models), `main` (the part in the folder above, empty where it is this one), `others` (a
      mapping for each other one: `part`, `heads`, `place` as seen from here),
      `evaluation` (a mapping of the newest held-out figures, or None), `probed` (by probe its last step and value), `evaluated` (of each task, a mapping of the fields of
      `Result`), `licences`, `globs` (of the sources), `started_from` (of `pretrain.start`, or None),
      `token_types` (rows of that table), `token_types_trained` (by this run; in all, or None), `trained_length` (tokens of the longest
      rows that were trained), `target_length` (0 without targets), `layout`, `word_unit`, `train_tokens`, `train_rows`, `vocab_size`,
      `tokenizer` (WordPiece, Unigram, BPE), `lowercase`, `dropout` (config.json's, or None).
    """
    recipe = training_recipe_from_plain(saved["recipe"])
    base = place_name(facts["started_from"]) if facts["started_from"] else ""
    results = [Result(**each) for each in facts["evaluated"]]
    sections = [
        _front_matter(name, facts, results),
        f"# {name}\n\n{_summary(recipe, facts)}",
        *([_base_model(facts)] if facts["started_from"] else []),
        corpora(prepare, facts),
        preprocessing(prepare),
        tokenizer(prepare, facts),
        _training(recipe, saved, facts),
        *([f"## Evaluation\n\nFine-tuned at this checkpoint.\n\n{results_table(results)}"] if results else []),
        *([_probes(facts["probed"])] if facts.get("probed") else []),
        _hardware(saved.get("parts", [])),
        use(facts, base),
        _citation(name, saved),
    ]
    return "\n\n".join(sections) + "\n"


def _front_matter(name: str, facts: Mapping[str, Any], results: Sequence[Result]) -> str:
    """The metadata that the hub reads. A `base_model` must be a repository's id there: it refuses paths."""
    base, found = facts["started_from"], usage(facts)
    mask, task = facts["mask_token"], found.task if found else ""
    texts = [text.replace("[MASK]", mask) for text in found.texts] if found else []
    lines = [
        "---",
        "language: ko",
        *licence_lines(facts["licences"]),
        *_datasets(facts.get("globs", ())),
        *([_base_line(base)] if base else []),
        *(["library_name: transformers"] if facts["auto_class"] else []),
        *([f"pipeline_tag: {task}"] if task else []),
        "tags:",
        "- korean",
        *(f"- {tag}" for tag in facts["tags"]),
        *([f"- {task}"] if task else []),
        *([f"mask_token: {json.dumps(mask)}"] if task == "fill-mask" else []),
        *(["widget:"] if texts else []),
        *(f"- text: {json.dumps(text, ensure_ascii=False)}" for text in texts),
        *model_index(name, results),
        "---",
    ]
    return "\n".join(lines)


def _base_line(base: Mapping[str, Any]) -> str:
    return (
        f"base_model: {base['hub_id']}"
        if base.get("hub_id")
        else f"# base_model: the id on the hub of {place_name(base)}"
    )


def _datasets(globs: Sequence[str]) -> list[str]:
    """The ids of sources that are data sets of the hub, hf://datasets/ORGANISATION/NAME/..."""
    ids = dict.fromkeys(found[1] for glob in globs if (found := HUB_DATASET.match(glob)))
    return ["datasets:", *(f"- {each}" for each in ids)] if ids else []


def _summary(recipe: TrainingRecipe, facts: Mapping[str, Any]) -> str:
    base = facts["started_from"]
    begun = f"Continued from `{place_name(base)}`" if base else "Pretrained from scratch"
    summary = (
        f"A Korean {facts['family']} of {facts['sizes']}, {in_heads(facts['heads'], facts['pairs'])}; {facts['parameters']:,} "
        f"parameters. {begun} with {recipe.objective.method} in JAX by {REPOSITORY_NAME}, exported at step {facts['step']:,}."
    )
    return "\n\n".join(filter(None, [summary, companions(facts), snippet(facts)]))


def _base_model(facts: Mapping[str, Any]) -> str:
    base = facts["started_from"]
    return (
        f"## Base model\n\n`{place_name(base)}`; its licence: {', '.join(base.get('licences', [UNKNOWN]))}, which holds for "
        "this model beside those of the corpora below. What text it had seen, and whether personal information was replaced "
        f"there, its own card must say: {UNKNOWN} here. Training text, preprocessing, steps and hours below are of this run."
    )


def place_name(base: Mapping[str, Any]) -> str:
    """What a card calls a place that a run started from: the hub's id, or the end of the path, which may name a person's folders."""
    path = PurePosixPath(base["place"])
    below = path.name in ("export", base.get("below"))
    return str(base.get("hub_id") or (f"{path.parent.name}/{path.name}" if below else path.name))


def _training(recipe: TrainingRecipe, saved: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    evaluation, tokens_seen = facts.get("evaluation") or {}, saved.get("tokens_seen")
    phases = [
        f"- {phase.share:.0%} of the steps with {phase.global_batch_size or recipe.global_batch_size:,} rows of "
        f"{phase.length} tokens{''.join(f', {setting}' for setting in phase.settings)}"
        f"{''.join(f', {name} x {weight:g}' for name, weight in phase.category_weights)}"
        for phase in recipe.phases
    ]
    rows = "" if phases else f" of {recipe.global_batch_size:,} rows"
    held_out = [
        f"{each.title}: {_figure(evaluation, f'evaluation_{each.metric}')}"
        for each in recipe.objective.held_out(facts["pairs"].replace("-", "_"))
    ]
    target = f" + {facts['target_length']}" if facts["target_length"] else ""
    lines = [
        f"- {facts['step']:,} of {recipe.max_steps:,} steps{rows}; "
        f"tokens seen: {f'{tokens_seen:,}' if tokens_seen else UNKNOWN}",
        f"- rows of at most {facts['trained_length']}{target} tokens, layout {facts['layout']}, word unit {facts['word_unit']}",
        *phases,
        f"- {objective_in_words(recipe)}",
        f"- {_optimizer(recipe.optimizer)}",
        f"- compute type {recipe.compute_dtype}, seed {recipe.seed}",
        f"- held-out {recipe.objective.title} {'; '.join(held_out)}"
        + (f" (at step {evaluation['step']:,})" if "step" in evaluation else ""),
        *([f"- other settings than the defaults: {settings}"] if (settings := _settings(recipe)) else []),
    ]
    return "## Training\n\n" + "\n".join(lines)


def _settings(recipe: TrainingRecipe) -> str:
    """What a recipe sets otherwise than its classes do, and no other line of the card tells; what config.json says of sizes is left out."""
    default = TrainingRecipe(model=type(recipe.model)(), objective=type(recipe.objective)())
    changes = (change.partition(": ") for change in differences(bound(default), bound(recipe)))
    return ", ".join(f"{field} {change.rpartition(' -> ')[2]}" for field, _, change in changes if not _told(field))


def _told(field: str) -> bool:
    return field in TOLD or field.startswith(tuple(name for name in TOLD if name.endswith(".")))


def _optimizer(optimizer: Optimizer) -> str:
    betas = f", betas {optimizer.beta1:g} and {optimizer.beta2:g}" if optimizer.name != "adafactor" else ""
    if optimizer.name != "adafactor" and not optimizer.bias_correction:
        betas += " without bias correction"
    momentum = f", momentum {optimizer.momentum:g}" if optimizer.name == "muon" else ""
    counted = " counted from step 0" if optimizer.decay_from == "start" else ""
    return (
        f"{OPTIMIZERS[optimizer.name]}, peak learning rate {optimizer.learning_rate:g}, {optimizer.warmup_steps:,} warmup "
        f"steps, then {SCHEDULES[optimizer.schedule]}{counted}, weight decay {optimizer.weight_decay:g}{betas}{momentum}, "
        f"gradient norm clipped at {optimizer.clip_norm:g}"
    )


def _figure(evaluation: Mapping[str, Any], name: str) -> str:
    return f"{evaluation[name]:.4f}" if name in evaluation else UNKNOWN


def _probes(probed: Mapping[str, tuple[int, float]]) -> str:
    """What probes measured while the model was trained."""
    rows = [f"| `{name}` | {value:.4f} | {step:,} |" for name, (step, value) in sorted(probed.items())]
    said = (
        "Measured during training, without fine-tuning: `probe/TASK` is the headline metric of a linear model on the frozen encoder's "
        "features, fitted to and scored on rows of the task's training file; `pseudo_perplexity` is that of held-out rows."
    )
    return f"## Probes\n\n{said}\n\n| probe | value | step |\n|---|---|---|\n" + "\n".join(rows)


def _hardware(parts: Sequence[Mapping[str, Any]]) -> str:
    """Devices, hours and carbon, over all the parts in which the run was trained until its checkpoint."""
    devices = ", then ".join(dict.fromkeys(f"{part['devices']} x {part['device_kind']}" for part in parts)) or UNKNOWN
    hours = f"{sum(part['seconds'] for part in parts) / 3600:.2f}" if parts else UNKNOWN
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


def _citation(name: str, saved: Mapping[str, Any]) -> str:
    code = saved.get("software", {}).get("code", UNKNOWN)
    key = "".join(character for character in name.lower() if character.isalnum())
    return (
        "## Citation\n\n```bibtex\n"
        f"@misc{{{key},\n  title = {{{name}}},\n  author = {{{UNKNOWN}}},\n  year = {{{UNKNOWN}}},\n"
        f"  note = {{pretrained with {REPOSITORY_NAME}, code version {code}}}\n}}\n```"
    )
