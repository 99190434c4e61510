"""The page of benchmarks.train_step: rows and paired ratios, that the work is the same, our step's parts, the arithmetic floor."""

import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from benchmarks.results_page import table
from benchmarks.train_step.floor import bert_of, flops_per_row, max_predictions, products
from benchmarks.train_step.rounds import Facts, Setting
from data_pipeline.contract.errors import WorkError
from data_pipeline.contract.records import RecordsHeader

OURS, TRAINER, FLAX, LOOP = "ours", "transformers.Trainer", "transformers' Flax BERT", "plain torch loop"
KERAS = "keras-hub's BertMaskedLM"
TARGETS = {TRAINER: 2.8, FLAX: 2.2, LOOP: 0.95}
"""How many of our steps a step of the peer shall cost at least."""

TOLERANCE = 1e-4
"""Largest difference of a logit between the peers and ours at step 0."""
QUIET = 0.03
"""Share of the cores that other processes may take, 0 to 1."""


class Measured(NamedTuple):
    """What was seen.

    - `seconds`: by row, seconds a step in each round.
    - `others`: share of the cores that other processes took during the rounds, 0 to 1.
    - `ready`, `told`: by row, the facts of each contender before and after the rounds.
    """

    setting: Setting
    header: RecordsHeader
    seconds: dict[str, list[float]]
    others: float
    ready: dict[str, Facts]
    told: dict[str, Facts]


def page(measured: Measured) -> str:
    """The body of the page, Markdown. Raises WorkError where the rows did not do the same work."""
    refuse_other_work(measured.ready, measured.told, TOLERANCE)
    return "\n\n".join(
        (_rows(measured), _rounds(measured), _what(measured), _same(measured), _parts(measured), _floor(measured))
    )


def refuse_other_work(ready: Mapping[str, Facts], told: Mapping[str, Facts], tolerance: float) -> None:
    """Raises WorkError where rows differ in size, in dropout, in their logits at step 0 by more than `tolerance`, or where one does
    not train."""
    for fact in ("parameters", "dropouts"):
        by_row = {row: facts[fact] for row, facts in ready.items()}
        if len(set(by_row.values())) > 1:
            raise WorkError(f"the rows do not train the same model, their {fact} differ: {by_row}")
    for row, facts in ready.items():
        if facts.get("logits", 0.0) > tolerance:
            raise WorkError(f"{row}: logits differ from ours by {facts['logits']:.1e}, more than {tolerance:g}")
        if not told[row]["loss"] < facts["loss"]:
            raise WorkError(
                f"{row}: the held-out loss went from {facts['loss']} to {told[row]['loss']}: it does not train"
            )


def _rows(measured: Measured) -> str:
    tokens = measured.setting.recipe.global_batch_size * measured.header.length
    lines = []
    for row, seconds in measured.seconds.items():
        ratios = _ratios(measured, row)
        step = statistics.median(seconds)
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})" if row != OURS else ""
        target = TARGETS.get(row)
        verdict = "" if target is None else f">= {target}: {'met' if statistics.median(ratios) >= target else 'missed'}"
        lines.append((row, f"{1 / step:.3f}", f"{step * 1e3:,.0f}", f"{tokens / step:,.0f}", spread, verdict))
    columns = ("row", "steps/s", "ms a step", "tokens/s", "ours is faster by (min to max)", "target")
    return table(columns, lines)


def _rounds(measured: Measured) -> str:
    lines = []
    for number, ours in enumerate(measured.seconds[OURS]):
        peers = [
            f"{measured.seconds[row][number] * 1e3:,.0f} ({_ratios(measured, row)[number]:.2f})"
            for row in list(measured.seconds)[1:]
        ]
        lines.append((number + 1, f"{ours * 1e3:,.0f}", *peers))
    steps = measured.setting.steps
    noise = f"Other processes took {measured.others:.1%} of the cores during the rounds"
    noise += (
        "." if measured.others <= QUIET else ": **the machine was not quiet, the times are no measure; run again.**"
    )
    return (
        f"{noise} Milliseconds a step by round ({steps} steps of each row in turn, after a round of warm-up), in brackets the peer's over "
        f"ours of the same round; above stand the medians:\n\n{table(('round', *measured.seconds), lines)}"
    )


def _what(measured: Measured) -> str:
    setting, ready = measured.setting, measured.ready
    model, header = bert_of(setting.recipe), measured.header
    tried = ready[LOOP]["tried"]
    fastest = min(tried, key=tried.__getitem__)
    others = ", ".join(f"{name} {seconds * 1e3:,.0f}" for name, seconds in tried.items())
    k = max_predictions(setting.recipe, header.length)
    flax = ""
    if FLAX in ready:
        flax = f"""- **{FLAX}**: `FlaxBertForMaskedLM` of transformers {ready[FLAX]["transformers"]} in the step and loop of its example \
run_mlm_flax.py (`jax.pmap`, one-hot cross-entropy, batches collated between steps), with gradients clipped; single tokens masked; \
rows are read as one text; head at all {header.length} positions.
"""
    keras = ""
    if KERAS in ready:
        keras = f"""- **{KERAS}**: of keras-hub {ready[KERAS]["keras-hub"]} and Keras {ready[KERAS]["keras"]} on JAX, in `Model.fit` \
with `jit_compile` and keras-hub's `MaskedLMMaskGenerator` (single tokens) in a grain pipeline, a batch ahead; rows ready in memory, read as one text; head at {k} positions \
a row. Set to what the other rows have: GELU by erf, no dropout on attention probabilities (so that \
Keras's attention is `jax.nn.dot_product_attention`), the head's LayerNorm epsilon, the pooler not trained, the loss a mean over predictions.
"""
    return f"""All rows: {model.num_hidden_layers} layers, hidden {model.hidden_size}, {model.num_attention_heads} heads, \
feed-forward {model.intermediate_size}; batches of {setting.recipe.global_batch_size} from the same {header.length}-token rows of petitions; \
float32; dropout {model.hidden_dropout_prob:g} on hidden states and {model.attention_probs_dropout_prob:g} on attention probabilities \
(our default; transformers' own is 0.1); AdamW, linear warmup and decay, gradients clipped at {setting.recipe.optimizer.clip_norm:g}; \
{ready[OURS]["threads"]} threads each, in a process of its own that waits while another row trains.

- **{OURS}**: the compiled step of `pretrain.optimization.step.make_steps` in the loop of `pretrain.train` (prefetching from the records on disk, \
metrics settled each round); whole-word masks drawn on the device; attention inside segments; head at {k} positions a row.
- **{TRAINER}**: `Trainer.train()` with `DataCollatorForLanguageModeling(whole_word_mask=True)` and optimizer \
`{ready[TRAINER]["optimizer"]}` (its default), dataloader in the process, rows ready in memory, no logging or saving; whole words \
masked, always by [MASK] (with whole words the collator can do nothing else); rows are read as one text (no segments, which is less work than ours); head at all {header.length} positions, as `BertForMaskedLM` has it.
{flax}{keras}- **{LOOP}**: `BertForMaskedLM`'s encoder (SDPA attention, inside segments as ours) and its head at {k} positions a row; single tokens \
masked, which is less work than whole words; rows in memory; freed memory kept for the next step, as ours \
does (`pretrain.devices.host_memory`). Ways tried before the rounds, ms of the shortest step: {others}; the rounds ran {fastest}."""


def _same(measured: Measured) -> str:
    lines = []
    for row, ready in measured.ready.items():
        logits = f"{ready['logits']:.1e}" if "logits" in ready else ""
        lines.append(
            (row, f"{ready['parameters']:,}", logits, f"{ready['loss']:.4f}", f"{measured.told[row]['loss']:.4f}")
        )
    columns = ("row", "parameters", "logits differ from ours by", "held-out loss before", "after")
    return (
        "The same work: every row begins with our exported weights (`to_hugging_face`). The loss is on one held-out batch under our "
        "masks, without dropout, before the rounds and after them (the compared ways of the plain loop are undone):\n\n"
        + table(columns, lines)
    )


def _parts(measured: Measured) -> str:
    told = measured.told[OURS]
    parts = told["parts"]
    step = parts["step"]
    both = parts["forward and backward"]
    counted = [
        ("masking", parts["masking"], "jitted alone"),
        ("forward, with dropout", parts["forward"], "jitted alone"),
        ("backward", both - parts["forward"], "gradient jitted alone, less the forward pass"),
        ("optimizer: clip, AdamW, update", parts["optimizer"], "jitted alone"),
    ]
    rest = step - sum(seconds for _, seconds, _ in counted)
    rows = [
        *counted,
        ("the rest", rest, "by subtraction: metrics, and what one program saves (below zero) or costs against four"),
        ("**the compiled step**", step, "one batch again and again"),
        ("of these: dropout", both - parts["without dropout"], "gradient with dropout less without"),
        ("of these: head", parts["head"], "gradient from the hidden states to the loss, jitted alone"),
        ("a batch from the records", parts["batch"], "on the host, in the background"),
        ("waiting for it", told["wait"], "in the rounds, a step; each round begins with none ready"),
    ]
    lines = [(name, f"{seconds * 1e3:,.1f}", f"{seconds / step:.1%}", how) for name, seconds, how in rows]
    return f"Our step by parts, medians of five calls, which took turns:\n\n{table(('part', 'ms', 'of the step', 'measured'), lines)}"


def _floor(measured: Measured) -> str:
    setting, header = measured.setting, measured.header
    k = max_predictions(setting.recipe, header.length)
    listed = products(setting.recipe, header.vocabulary_size, header.length, k)
    flops = flops_per_row(setting.recipe, header.vocabulary_size, header.length) * setting.recipe.global_batch_size
    total = sum(product.flops for product in listed)
    if abs(total / flops - 1) > 1e-9:
        raise ValueError(f"the products measured have {total:g} FLOPs, the model's flops_per_row says {flops:g}")
    by = {"jnp": measured.told[OURS]["products"], "torch": measured.told[LOOP]["products"]}
    lines = [
        (
            product.name,
            f"{product.flops / 1e9:.1f}",
            *(_rate(product.flops, times[product.name]) for times in by.values()),
        )
        for product in listed
    ]
    sums = {name: sum(times.values()) for name, times in by.items()}
    lines.append(("**all**", f"{flops / 1e9:.1f}", *(_rate(flops, seconds) for seconds in sums.values())))
    step = statistics.median(measured.seconds[OURS])
    best = sum(min(times[product.name] for times in by.values()) for product in listed)
    return (
        "The arithmetic floor: the step's matrix products (`flops_per_row`, forward and backward), each at its own shape, float32, "
        f"median of five calls:\n\n{table(('product', 'GFLOP a step', *(f'{name}: ms (GFLOP/s)' for name in by)), lines)}\n\n"
        f"With the faster of both at each shape the products alone take {best * 1e3:,.0f} ms; our step takes {step * 1e3:,.0f} ms in the "
        f"rounds, {step / best:.2f} times that: {flops / step / 1e9:.0f} GFLOP/s."
    )


def _rate(flops: float, seconds: float) -> str:
    return f"{seconds * 1e3:,.0f} ({flops / seconds / 1e9:.0f})"


def _ratios(measured: Measured, row: str) -> Sequence[float]:
    return [theirs / ours for theirs, ours in zip(measured.seconds[row], measured.seconds[OURS], strict=True)]
