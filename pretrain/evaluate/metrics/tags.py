"""Metrics of tag sequences: KLUE-NER by characters, Naver NER by eojeols."""

import re
from collections.abc import Sequence
from itertools import pairwise

from pretrain.evaluate.metrics.classes import class_f1
from pretrain.evaluate.metrics.libraries import library
from pretrain.evaluate.metrics.pairing import check_pairs, names_of

OUTSIDE = "O"
PIECE = 100
"""The least tags of a piece."""
SPANS = (re.compile("[BI]-.+"), re.compile(".+-[BI]"))
Sentences = Sequence[Sequence[str]]


def klue_ner_entity_macro_f1(preds: Sequence[int], labels: Sequence[int], label_list: Sequence[str]) -> float:
    """The mean F1 of spans over the types that have one in gold or prediction, as a percentage (KLUE: same name).

    - `preds`, `labels`: tag ids of all sentences in one sequence, for each the place of [CLS], every character without
      blanks, and the place of [SEP]; `label_list`: their names, "B-PS".

    A span is B-X and what follows of I-X (strict IOB2). Sentences are not apart: an I- predicted at [SEP] or [CLS] lengthens a
    span; `klue_ner_entity_macro_f1_by_sentence` keeps them apart. NaN without any span.
    """
    check_pairs(preds, labels, "characters")
    predicted, gold = (names_of(tags, label_list) for tags in (preds, labels))
    # seqeval takes time quadratic in a sequence: cut it where no span continues on either side.
    cuts = [0]
    for place, tags in enumerate(zip(predicted, gold, strict=True)):
        if place - cuts[-1] >= PIECE and not any(tag.startswith("I-") for tag in tags):
            cuts.append(place)
    pieces = [slice(start, end) for start, end in pairwise([*cuts, len(gold)])]
    return _entity_f1([predicted[piece] for piece in pieces], [gold[piece] for piece in pieces])


def klue_ner_entity_macro_f1_by_sentence(
    preds: Sequence[Sequence[int]], labels: Sequence[Sequence[int]], label_list: Sequence[str]
) -> float:
    """`klue_ner_entity_macro_f1` of sentences that are given apart, so that no span reaches into the next."""
    check_sentences(preds, labels)
    predicted, gold = ([names_of(tags, label_list) for tags in side] for side in (preds, labels))
    return _entity_f1(predicted, gold)


def _entity_f1(predicted: Sentences, gold: Sentences) -> float:
    # Every B- starts a span, and nothing else does.
    if not any(tag.startswith("B-") for sentence in (*predicted, *gold) for tag in sentence):
        return float("nan")
    iob2 = library("seqeval.scheme").IOB2
    f1_score = library("seqeval.metrics").f1_score
    return 100 * float(f1_score(gold, predicted, average="macro", mode="strict", scheme=iob2, zero_division=0))


def klue_ner_char_macro_f1(preds: Sequence[int], labels: Sequence[int], label_list: Sequence[str]) -> float:
    """The mean F1 of all tags, as a percentage (KLUE: klue_ner_char_macro_f1).

    - `preds`, `labels`: as in `klue_ner_entity_macro_f1`.

    The official docstring excepts O; its code does not. B- and I- are tags of their own, and one that occurs in neither gold
    nor prediction counts with 1, which flatters small sets.
    """
    return 100 * class_f1(preds, labels, "macro", classes=range(len(label_list)), absent=1.0)


def klue_ner_char_macro_f1_without_o(preds: Sequence[int], labels: Sequence[int], label_list: Sequence[str]) -> float:
    """The mean F1, as a percentage, of the tags other than O that occur: what `klue_ner_char_macro_f1` says it is."""
    outside = {number for number, name in enumerate(label_list) if name == OUTSIDE}
    return 100 * class_f1(preds, labels, "macro", classes=sorted({*preds, *labels} - outside))


def naver_ner_f1(preds: Sentences, labels: Sentences) -> float:
    """The pooled F1 of spans, a fraction (KoELECTRA: utils.py, f1_pre_rec); 0 without any span.

    - `preds`, `labels`: for each sentence one tag an eojeol, "PER-B".

    Lenient, as seqeval is by default: X-I after O or after another type starts a span, too. Eojeols beyond the model's
    length are scored nowhere in KoELECTRA's tables.
    """
    check_sentences(preds, labels)
    if not len(labels):
        return 0.0
    f1_score = library("seqeval.metrics").f1_score
    return float(
        f1_score([list(tags) for tags in labels], [list(tags) for tags in preds], suffix=True, zero_division=0)
    )


def entity_f1(preds: Sentences, labels: Sentences) -> float:
    """The pooled F1 of spans, a fraction, of tags written "B-PER" or "PER-B"; 0 without any span.

    - `preds`, `labels`: for each sentence one tag a word. The gold tags say whether the type comes first or last.

    As lenient as `naver_ner_f1`.
    """
    check_sentences(preds, labels)
    if not len(labels):
        return 0.0
    f1_score = library("seqeval.metrics").f1_score
    gold = [list(tags) for tags in labels]
    return float(f1_score(gold, [list(tags) for tags in preds], suffix=has_suffixes(labels), zero_division=0))


def are_entities(tags: Sequence[str]) -> bool:
    """Whether tags are those of spans, all written B-TYPE and I-TYPE, or all TYPE-B and TYPE-I, beside O."""
    named = [tag for tag in tags if tag != OUTSIDE]
    before, behind = (all(pattern.fullmatch(tag) for tag in named) for pattern in SPANS)
    return bool(tags) and (before or behind)


def has_suffixes(labels: Sentences) -> bool:
    """Whether tags are written "PER-B", not "B-PER"."""
    tags = [tag for sentence in labels for tag in sentence if tag != OUTSIDE]
    return any(tag.endswith(("-B", "-I")) for tag in tags) and not any(tag.startswith(("B-", "I-")) for tag in tags)


def tag_accuracy(preds: Sentences, labels: Sentences) -> float:
    """The share of words with the right tag, a fraction; NaN without words."""
    check_sentences(preds, labels)
    right = [
        predicted == gold for pair in zip(preds, labels, strict=True) for predicted, gold in zip(*pair, strict=True)
    ]
    return sum(right) / len(right) if right else float("nan")


def check_sentences(preds: Sequence[Sequence[object]], labels: Sequence[Sequence[object]]) -> None:
    """An InputError where the numbers of sentences differ, or those of tags in one."""
    check_pairs(preds, labels, "sentences")
    for number, (predicted, gold) in enumerate(zip(preds, labels, strict=True)):
        check_pairs(predicted, gold, f"tags (sentence {number})")
