"""The addresses of LMkor's demo (kiyoungkim1/LMkor, README and examples/): fields `text`, `samples`, `length`; JSON of strings.

Its rules are kept as far as the code here has them: words for a mask are taken from the ten likeliest tokens without marks and specials,
and a summary has at most three tenths of its text's tokens. Texts are continued as `fill` does, and summaries are the likeliest tokens, not a beam's.
"""

import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from data_pipeline.contract.errors import InputError
from pretrain.exporting.answers.tokens import tokens_of
from pretrain.playground.model import ShownModel
from pretrain.playground.question import DIGITS, Question, read_number, read_text

CANDIDATES, SAMPLES, LENGTH = 10, 3, 50
"""Tokens among which a mask's are found; answers, and tokens of a continuation, where a request names none."""
NOT_WORDS = f"{string.punctuation}[PAD][UNK]<pad><unk> "
"""A piece that is a part of this string is no answer."""
LEAST_SUMMARY, MOST_SUMMARY, SUMMARY_SHARE = 10, 128, 0.3
"""Tokens of a summary: at most this share of its text's, within these limits."""


def fill(models: Sequence[ShownModel], family: str, given: Mapping[str, Any]) -> dict[str, str]:
    """`/bert`, `/albert`: the likeliest words for the first `<mask>`, " / " between them, by the name of each model of the family."""
    asked = _read(given, samples=SAMPLES)
    text = asked["text"].replace("<mask>", "[MASK]")
    text = f"{text} ." if text.rstrip().endswith("[MASK]") else text
    found = _having(models, "vocabulary", family)
    return {model.name: " / ".join(_words(model, text)[: asked["samples"]]) for model in found}


def continue_text(models: Sequence[ShownModel], given: Mapping[str, Any]) -> dict[str, str]:
    """`/gpt-3`: continuations of a text by the first model that writes any."""
    asked = _read(given, samples=SAMPLES, length=LENGTH)
    model = _having(models, "next_token")[0]
    ability = model.abilities["next_token"]
    settings = {**ability.settings, "top": asked["samples"], "tokens": asked["length"]}
    return _numbered(model.ask(ability, Question(asked["text"], settings)))


def summarize(models: Sequence[ShownModel], given: Mapping[str, Any]) -> dict[str, str]:
    """`/summarize`: what the first encoder-decoder writes from a text."""
    asked = _read(given, samples=1)
    if asked["samples"] != 1:
        raise InputError(f"samples {asked['samples']}: must be 1, for the likeliest summary alone is written")
    model = _having(models, "target")[0]
    count, longest = len(tokens_of(model.subject, asked["text"])), model.subject.config.longest_row()
    most = min(MOST_SUMMARY, longest.tokens - 1 if longest else MOST_SUMMARY)
    tokens = min(most, max(LEAST_SUMMARY, int(SUMMARY_SHARE * count)))
    return _numbered(model.ask(model.abilities["target"], Question(asked["text"], {"tokens": tokens})))


FORMS: Mapping[str, Callable[[Sequence[ShownModel], Mapping[str, Any]], dict[str, str]]] = {
    "/bert": lambda models, given: fill(models, "bert", given),
    "/albert": lambda models, given: fill(models, "albert", given),
    "/gpt-3": continue_text,
    "/summarize": summarize,
}
"""By path."""


def _read(given: Mapping[str, Any], **defaults: int) -> dict[str, Any]:
    """The text and the numbers of a request, which a form gives as strings."""
    if unknown := sorted(given.keys() - {"text", *defaults}):
        raise InputError(f"{unknown[0]}: not known here; may be {', '.join(['text', *defaults])}")
    asked: dict[str, Any] = {"text": read_text(given.get("text"), "text")}
    for name, default in defaults.items():
        value = given.get(name, default)
        number = int(value) if isinstance(value, str) and value.isdecimal() and len(value) <= DIGITS else value
        asked[name] = read_number({"samples": "top", "length": "tokens"}[name], number, name)
    return asked


def _having(models: Iterable[ShownModel], ability: str, family: str = "") -> list[ShownModel]:
    found = [model for model in models if ability in model.abilities and family in ("", model.subject.family.name)]
    if not found:
        raise InputError(
            f"no model here answers this ({family or ability}); start the playground with one: python -m pretrain playground MODEL ..."
        )
    return found


def _words(model: ShownModel, text: str) -> list[str]:
    ability = model.abilities["vocabulary"]
    fillings = model.ask(ability, Question(text, {"top": CANDIDATES}))
    pieces = (filling.piece.strip("▁ ") for filling in fillings if filling.mask <= 1)
    return [piece.replace("##", "") for piece in pieces if piece not in NOT_WORDS]


def _numbered(texts: Iterable[str]) -> dict[str, str]:
    return {str(number): text for number, text in enumerate(texts)}
