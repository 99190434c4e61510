"""fill: asks an exported model what its head answers; the head alone decides what that is, whatever the family."""

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.run_folder import RunFolder
from pretrain.devices.available import available_devices
from pretrain.exporting.answers.tokens import Filling, Suspicion, fillings, refuse_masks, suspicions
from pretrain.exporting.continuation import continuations, targets
from pretrain.exporting.exported import exports_of, hashes_of, name_of, without_cards
from pretrain.hugging_face.folder import CONFIG, WEIGHTS, how_to_fetch
from pretrain.subject import Subject, load_subject

TOP_K = 10
"""Tokens among which a continuation draws: as LMkor's demo (kiyoungkim1/LMkor, examples)."""
TOKENS = 32
"""Of a continuation where nobody asks for so many; at most half of what the model reads."""
SUSPECT = 0.5
"""Probability of having been replaced from which a token is marked."""
LIMITS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "top": (lambda value: value >= 1, "1 or more"),
    "tokens": (lambda value: value >= 1, "1 or more"),
    "temperature": (lambda value: value >= 0, "0 or more"),
    "seed": (lambda value: value >= 0, "0 or more"),
}


@dataclass(frozen=True)
class Answer:
    """How a model with a head answers.

    - `does`: what, for people, after "which".
    - `texts`: what is asked where nobody gives a text; "[MASK]" becomes the tokenizer's own.
    - `settings`: the flags that it takes, and their defaults.
    - `found`: (model, text, one value for each setting) -> strings or dataclasses; `line`: how one of them is printed below the text.
    """

    does: str
    texts: tuple[str, ...]
    settings: Mapping[str, Any]
    found: Callable[..., Sequence[Any]]
    line: Callable[[Any], str]


def _filling(found: Filling) -> str:
    number = f"mask {found.mask} " if found.mask else ""
    return f"{number}{found.probability:6.1%}  {found.piece:<12} {found.text}"


def _suspicion(found: Suspicion) -> str:
    word = f" {found.text}" if found.unknown else ""
    return f"{found.probability:6.1%}  {found.piece}{word}{'  <- replaced?' if found.probability >= SUSPECT else ''}"


def _continue(
    subject: Subject, text: str, top: int, tokens: int | None, temperature: float, seed: int
) -> Sequence[str]:
    if tokens is None:
        longest = subject.config.longest_row()
        tokens = min(TOKENS, longest.tokens // 2) if longest else TOKENS
    refuse_masks(subject, text)
    return continuations(subject, text, count=top, tokens=tokens, top_k=TOP_K, temperature=temperature, seed=seed)


def _write(subject: Subject, text: str, tokens: int | None) -> Sequence[str]:
    if tokens is None:
        longest = subject.config.longest_row()
        tokens = min(TOKENS, longest.tokens - 1) if longest else TOKENS
    refuse_masks(subject, text)
    return [targets(subject, text, tokens)]


ANSWERS: Mapping[str, Answer] = {
    "next_token": Answer(
        "continues texts",
        ("대한민국의 수도는", "오늘은 날씨가"),
        {"top": 3, "tokens": None, "temperature": 1.0, "seed": 0},
        _continue,
        str,
    ),
    "replaced": Answer(
        "says which tokens were replaced",
        ("나는 방금 밥을 먹었다.", "나는 내일 밥을 먹었다."),  # the pair on KoELECTRA's cards
        {},
        suspicions,
        _suspicion,
    ),
    "target": Answer(
        "writes the targets of texts",
        (
            "서울시는 내년부터 한강 공원에서 음식을 파는 가게를 두 배로 늘리고, 밤 열두 시까지 문을 열게 하겠다고 밝혔다.",
            "우리 동네 초등학교 앞 도로에는 신호등이 없어 아이들이 위험합니다. 신호등과 과속 방지 턱을 설치해 주시기 바랍니다.",
        ),
        {"tokens": None},
        _write,
        "-> {}".format,
    ),
    "vocabulary": Answer(
        "fills masks",
        ("아이들이 운동장에[MASK] 공을 차며 놀았다.", "이 문제는 정부가 반드시 [MASK]해야 합니다."),
        {"top": 5},
        fillings,
        _filling,
    ),
}
"""By head; of several that a model has, the first one answers."""


def answering_head(heads: Iterable[str]) -> str:
    """The head that speaks for a model; empty where it has none that does."""
    return next((head for head in ANSWERS if head in set(heads)), "")


def print_answers(run_or_export: Path, texts: Sequence[str], given: Mapping[str, Any]) -> None:
    """Prints what a model answers to each text.

    - `run_or_export`: a run folder, whose export is taken, or a Hugging Face folder.
    - `given`: flags of LIMITS by name; None where one is not given.

    Raises InputError where the run's export is not as it was written, where nothing can be read there, where the model has no
    head that answers, and for a flag or a text that its head does not take.
    """
    for flag, value in given.items():
        check_setting(flag, value, f"--{flag}")
    folder, others = checked_export(run_or_export)
    available_devices()
    subject = load_subject(folder)
    head = answering_head(subject.heads)
    if not head:
        raise InputError(
            f"{folder}: its {subject.family.title} has none of the heads that answer ({', '.join(ANSWERS)}); give a model that was "
            "saved with one"
        )
    answer = ANSWERS[head]
    for flag, value in given.items():
        if value is not None and flag not in answer.settings:
            raise InputError(f"--{flag}: not for {folder}, which {answer.does}; leave it out")
    settings = {flag: default if given.get(flag) is None else given[flag] for flag, default in answer.settings.items()}
    own = [composed(text, "--text") for text in texts]
    for text in own or [with_own_mask(subject, text) for text in answer.texts]:
        print(text)
        for found in answer.found(subject, text, **settings):
            print(f"  {answer.line(found)}")
    for below in others:
        print(f"the {below} of this run: python -m pretrain fill {folder / below}")


def check_setting(name: str, value: Any, called: str) -> None:
    """Raises InputError for a value, not None, that a setting does not take; `called`: what the error calls the setting."""
    allowed, words = LIMITS[name]
    if value is not None and not allowed(value):
        raise InputError(f"{called} {value}: must be {words}")


def with_own_mask(subject: Subject, text: str) -> str:
    """A text with the mask of a model's own tokenizer for each [MASK]."""
    return text.replace("[MASK]", subject.tokenizer.pieces[subject.tokenizer.special.mask])


def composed(text: str, called: str) -> str:
    """The text with whole syllables, as the corpus has them: a terminal may give letters (NFD), which no vocabulary has.

    - `called`: what the InputError for a text that is no UTF-8 calls it.
    """
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError(f"{called} {text!a}: not UTF-8; give it in UTF-8")
    return unicodedata.normalize("NFC", text)


def checked_export(run_or_export: Path) -> tuple[Path, list[str]]:
    """The folder of the model that is asked, and the folders below it in which the run exported further ones; errors as for `print_answers`."""
    if not run_or_export.is_dir():
        raise InputError(
            f"{run_or_export}: no such folder; give a run folder or a Hugging Face folder{how_to_fetch(run_or_export)}"
        )
    run = RunFolder(run_or_export)
    folder = run.export if run.export.exists() else run_or_export
    written = exports_of(run).get(name_of(run, folder), {}).get("files", {})
    models = sorted({name.rpartition("/")[0] for name in written})
    found = hashes_of(folder, models)
    for name, sha256 in without_cards(written).items():
        if found.get(name) != sha256:
            raise InputError(f"{folder / name}: not as it was exported; run `python -m pretrain export` again")
    if not (folder / CONFIG).exists():
        raise InputError(f"{folder}: holds no {CONFIG} and {WEIGHTS}; run `python -m pretrain export` first")
    # Formats of the model have folders of their own there, which hold no model of the run.
    return folder, [below for below in models if below and f"{below}/{CONFIG}" in written]
