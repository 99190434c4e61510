"""Span corruption, as recipes declare it. No JAX here."""

from dataclasses import dataclass
from typing import NamedTuple

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_fields import ABOVE_ZERO_TO_ONE, AT_LEAST_ONE, AT_LEAST_ZERO, number
from data_pipeline.contract.records import RecordsHeader
from pretrain.objectives.config import ObjectiveRecipe
from pretrain.objectives.targets.recipe_fields import WritesTargets

MULTIPLE = 8
"""Sources and targets have a multiple of so many tokens."""


class Noise(NamedTuple):
    """How a text is corrupted: `tokens` of it, in `spans` spans."""

    tokens: int
    spans: int


class Lengths(NamedTuple):
    """Tokens of the sources and targets that are made of rows, and the sentinels that they need."""

    source: int
    target: int
    sentinels: int


@dataclass(frozen=True)
class SpanCorruption(WritesTargets, ObjectiveRecipe):
    """T5's span corruption (Raffel et al. 2019, arXiv 1910.10683, section 3.1.4): the source is a row's text with each of some random
    spans replaced by a sentinel, the target each sentinel with its span."""

    rate: float = number(0.15, ABOVE_ZERO_TO_ONE)
    """Share of a row's tokens in spans, above 0 and at most 1."""
    mean_span: float = number(3.0, AT_LEAST_ONE)
    """Tokens of a span in the mean."""
    first_sentinel: int = number(0, AT_LEAST_ZERO)
    """The first of the vocabulary's [unusedN] rows, counted from 0 in the order of their ids, that is a sentinel; the others follow
    it."""

    @property
    def title(self) -> str:
        return "span-corruption"

    @property
    def method(self) -> str:
        return "span corruption"

    def in_words(self) -> str:
        return f"{100 * self.rate:.3g}% of tokens in spans of {self.mean_span:g} in the mean, each replaced by a sentinel{self.smoothing_in_words}"

    def noise(self, tokens: int) -> Noise:
        """How a text of so many tokens is corrupted (text-to-text-transfer-transformer, preprocessors.py, random_spans_noise_mask); one
        of a single token is not."""
        if tokens < 2:
            return Noise(0, 0)
        noise = min(max(round(tokens * self.rate), 1), tokens - 1)
        return Noise(noise, min(max(round(noise / self.mean_span), 1), noise, tokens - noise))

    def lengths(self, row: int) -> Lengths:
        """The lengths that suit every row of at most so many tokens, [CLS] and [SEP] among them (as random_spans_helper of the same,
        which begins with the source's length).

        A source keeps both; a target has a token that begins it, and its [SEP].
        """
        all_noise = [(tokens, self.noise(tokens)) for tokens in range(max(1, row - 1))]
        source = 2 + max(tokens - noise.tokens + noise.spans for tokens, noise in all_noise)
        target = 2 + max(noise.tokens + noise.spans for _, noise in all_noise)
        spans = max(noise.spans for _, noise in all_noise)
        return Lengths(source + -source % MULTIPLE, target + -target % MULTIPLE, spans)

    def sentinels(self, header: RecordsHeader) -> tuple[int, ...]:
        """The ids of the sentinels, the first span's first. Raises InputError where the vocabulary has too few rows for them."""
        unused = sorted(set(header.reserved_ids).difference(vars(header.special_ids).values()))
        count = self.lengths(header.length).sentinels
        if len(unused) < self.first_sentinel + count:
            raise InputError(
                f"--training.objective.first-sentinel {self.first_sentinel}: rows of {header.length} tokens have up to {count} spans, whose sentinels "
                f"are [unusedN] rows of the vocabulary, and it has {len(unused)}; take a vocabulary with {self.first_sentinel + count} "
                "or more (--data.vocabulary.unused), shorter rows, or a larger --training.objective.mean-span"
            )
        return tuple(unused[self.first_sentinel : self.first_sentinel + count])
