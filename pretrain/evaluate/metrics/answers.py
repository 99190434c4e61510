"""Metrics of answers to questions: KLUE-MRC and KorQuAD 1.0, each with its own normalisation of texts."""

import re
import string
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from functools import partial
from typing import Any

import numpy as np

from data_pipeline.contract.errors import InputError

Score = Callable[[str, Sequence[str]], float]
"""Of a prediction and the gold answers of its question: 0 to 1, the best over the answers."""
Articles = Sequence[Mapping[str, Any]]
"""The `data` of a file of KorQuAD: [{"paragraphs": [{"qas": [{"id": ..., "answers": [{"text": ...}]}]}]}]."""

KLUE_SYMBOLS = re.compile(r"""['"《》<>〈〉]\(\)‘’""")
"""The official pattern, misplaced bracket included: one symbol followed by these four characters, which no text has."""
KORQUAD_SYMBOLS = re.compile(r"""['"《》<>〈〉()‘’]""")
WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize_klue(text: str) -> str:
    """Lower case, no ASCII punctuation, single blanks (KLUE: utils.py, normalize_answer_for_klue_mrc).

    Korean quotes and brackets stay, against the official docstring (KLUE_SYMBOLS); nothing is done about NFD.
    """
    text = KLUE_SYMBOLS.sub(" ", text.lower())
    return " ".join(text.translate(WITHOUT_PUNCTUATION).split())


def normalize_korquad(text: str) -> str:
    """Quotes and brackets to blanks, lower case, no other ASCII punctuation, single blanks (KoELECTRA: evaluate_v1_0.py)."""
    text = KORQUAD_SYMBOLS.sub(" ", text).lower()
    return " ".join(text.translate(WITHOUT_PUNCTUATION).split())


def klue_exact_match(prediction: str, answers: Sequence[str]) -> float:
    """1 if the prediction equals an answer after `normalize_klue`, else 0; without answers "" is the only one."""
    return float(normalize_klue(prediction) in map(normalize_klue, answers or [""]))


def klue_rouge_w(prediction: str, answers: Sequence[str], autojunk: bool = True) -> float:
    """The best F1 of the longest common run of characters, blanks included (KLUE: utils.py, rouge_w_score_for_klue_mrc).

    Despite its name it is not Lin's weighted subsequence. With `autojunk`, difflib's default and official, frequent
    characters of an answer of 200 and more start no run. An empty answer is met by an empty prediction alone.
    """
    given = normalize_klue(prediction)

    def score(answer: str) -> float:
        if not answer:
            return float(not given)
        run = SequenceMatcher(None, given, answer, autojunk).find_longest_match(0, len(given), 0, len(answer)).size
        return 2 * run / (len(given) + len(answer))

    return max(score(normalize_klue(answer)) for answer in answers or [""])


def korquad_exact_match(prediction: str, answers: Sequence[str]) -> float:
    """1 if the prediction equals an answer after `normalize_korquad`, else 0."""
    return float(normalize_korquad(prediction) in map(normalize_korquad, answers))


def korquad_character_f1(prediction: str, answers: Sequence[str]) -> float:
    """The best F1 of characters without blanks and in any order (KoELECTRA: evaluate_v1_0.py, f1_score).

    0 where both are empty after `normalize_korquad`, although the exact match is 1 there.
    """
    given = Counter(normalize_korquad(prediction).replace(" ", ""))

    def score(answer: str) -> float:
        gold = Counter(normalize_korquad(answer).replace(" ", ""))
        common = (given & gold).total()
        return 2 * common / (given.total() + gold.total()) if common else 0.0

    return max(map(score, answers))


def klue_mrc_em(predictions: Mapping[str, str], examples: Sequence[Mapping[str, Any]]) -> float:
    """The mean of `klue_exact_match`, as a percentage (KLUE: klue_mrc_em); NaN without examples.

    - `predictions`: the text by `qas_id`, "" for no answer. `examples`: each with `qas_id` and `answers`, [{"text": ...}], which
      are empty where the question has none.
    """
    return _mean(klue_mrc_scores(klue_exact_match, predictions, examples))


def klue_mrc_rouge_w(predictions: Mapping[str, str], examples: Sequence[Mapping[str, Any]]) -> float:
    """The mean of `klue_rouge_w`, as a percentage (KLUE: klue_mrc_rouge_w); arguments as for `klue_mrc_em`."""
    return _mean(klue_mrc_scores(klue_rouge_w, predictions, examples))


def klue_mrc_rouge_w_without_autojunk(predictions: Mapping[str, str], examples: Sequence[Mapping[str, Any]]) -> float:
    """`klue_mrc_rouge_w` with the true longest run for long answers, too."""
    return _mean(klue_mrc_scores(partial(klue_rouge_w, autojunk=False), predictions, examples))


def klue_mrc_em_normalized(predictions: Mapping[str, str], examples: Sequence[Mapping[str, Any]]) -> float:
    """`klue_mrc_em` with the normalisation that its docstring means, KorQuAD's: quotes and brackets do not count."""
    return _mean(
        klue_mrc_scores(lambda given, answers: korquad_exact_match(given, answers or [""]), predictions, examples)
    )


def korquad_em(dataset: Articles, predictions: Mapping[str, str]) -> float:
    """The mean of `korquad_exact_match`, as a percentage (KoELECTRA: evaluate_v1_0.py, official_exact_match).

    A question without a prediction scores 0. NaN without questions.
    """
    return _mean(korquad_scores(korquad_exact_match, dataset, predictions))


def korquad_f1(dataset: Articles, predictions: Mapping[str, str]) -> float:
    """The mean of `korquad_character_f1`, as a percentage (KoELECTRA: official_f1); otherwise as `korquad_em`."""
    return _mean(korquad_scores(korquad_character_f1, dataset, predictions))


def exact_match(predictions: Mapping[str, str], examples: Sequence[Mapping[str, Any]]) -> float:
    """The share, a fraction, of questions whose prediction equals an answer after `normalize_korquad`; otherwise as `klue_mrc_em`."""
    return _mean(klue_mrc_scores(exact_match_of_one, predictions, examples)) / 100


def character_f1(predictions: Mapping[str, str], examples: Sequence[Mapping[str, Any]]) -> float:
    """The mean, a fraction, of `character_f1_of_one`; otherwise as `klue_mrc_em`."""
    return _mean(klue_mrc_scores(character_f1_of_one, predictions, examples)) / 100


def exact_match_of_one(prediction: str, answers: Sequence[str]) -> float:
    """`korquad_exact_match`; without answers "" is the only one."""
    return korquad_exact_match(prediction, answers or [""])


def character_f1_of_one(prediction: str, answers: Sequence[str]) -> float:
    """`korquad_character_f1`, but 1 where nothing is the answer and the prediction."""
    return max(exact_match_of_one(prediction, answers), korquad_character_f1(prediction, answers or [""]))


def klue_mrc_scores(
    score: Score, predictions: Mapping[str, str], examples: Sequence[Mapping[str, Any]]
) -> Iterator[float]:
    """The score of each example, 0 to 1; an InputError names a question without a prediction."""
    for example in examples:
        name = example["qas_id"]
        if name not in predictions:
            raise InputError(f'question {name} has no prediction; give "" where the model finds no answer')
        yield score(predictions[name], [answer["text"] for answer in example["answers"]])


def korquad_scores(score: Score, dataset: Articles, predictions: Mapping[str, str]) -> Iterator[float]:
    """The score of each question, 0 to 1; an InputError names one without a gold answer."""
    for question in (q for article in dataset for paragraph in article["paragraphs"] for q in paragraph["qas"]):
        name, answers = question["id"], [answer["text"] for answer in question["answers"]]
        if name in predictions and not answers:
            raise InputError(f"question {name} has no gold answer; KorQuAD 1.0 has none that cannot be answered")
        yield score(predictions[name], answers) if name in predictions else 0.0


def _mean(scores: Iterator[float]) -> float:
    found = list(scores)
    return 100 * float(np.mean(found)) if found else float("nan")
