"""fill: asks an exported model what its head answers; the head alone decides what that is, whatever the family."""

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.run_folder import RunFolder
from pretrain.devices.available import available_devices
from pretrain.exporting.answers.tokens import fillings, refuse_masks, suspicions
from pretrain.exporting.continuation import continuations, targets
from pretrain.exporting.exported import exports_of, hashes_of, name_of, without_cards
from pretrain.hugging_face.folder import CONFIG, WEIGHTS
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
    - `lines`: (model, text, one value for each setting) -> what is printed below the text.
    """

    does: str
    texts: tuple[str, ...]
    settings: Mapping[str, Any]
    lines: Callable[..., Iterable[str]]


def _fill(subject: Subject, text: str, top: int) -> Iterable[str]:
    for piece, probability, filled in fillings(subject, text, top):
        yield f"  {probability:6.1%}  {piece:<12} {filled}"


def _suspect(subject: Subject, text: str) -> Iterable[str]:
    for piece, probability in suspicions(subject, text):
        yield f"  {probability:6.1%}  {piece}{'  <- replaced?' if probability >= SUSPECT else ''}"


def _continue(
    subject: Subject, text: str, top: int, tokens: int | None, temperature: float, seed: int
) -> Iterable[str]:
    if tokens is None:
        longest = subject.config.longest_row()
        tokens = min(TOKENS, longest.tokens // 2) if longest else TOKENS
    refuse_masks(subject, text)
    for continuation in continuations(
        subject, text, count=top, tokens=tokens, top_k=TOP_K, temperature=temperature, seed=seed
    ):
        yield f"  {continuation}"


def _write(subject: Subject, text: str, tokens: int | None) -> Iterable[str]:
    if tokens is None:
        longest = subject.config.longest_row()
        tokens = min(TOKENS, longest.tokens - 1) if longest else TOKENS
    refuse_masks(subject, text)
    yield f"  -> {targets(subject, text, tokens)}"


ANSWERS: Mapping[str, Answer] = {
    "next_token": Answer(
        "continues texts",
        ("대한민국의 수도는", "오늘은 날씨가"),
        {"top": 3, "tokens": None, "temperature": 1.0, "seed": 0},
        _continue,
    ),
    "replaced": Answer(
        "says which tokens were replaced",
        ("나는 방금 밥을 먹었다.", "나는 내일 밥을 먹었다."),  # the pair on KoELECTRA's cards
        {},
        _suspect,
    ),
    "target": Answer(
        "writes the targets of texts",
        (
            "서울시는 내년부터 한강 공원에서 음식을 파는 가게를 두 배로 늘리고, 밤 열두 시까지 문을 열게 하겠다고 밝혔다.",
            "우리 동네 초등학교 앞 도로에는 신호등이 없어 아이들이 위험합니다. 신호등과 과속 방지 턱을 설치해 주시기 바랍니다.",
        ),
        {"tokens": None},
        _write,
    ),
    "vocabulary": Answer(
        "fills masks",
        ("아이들이 운동장에[MASK] 공을 차며 놀았다.", "이 문제는 정부가 반드시 [MASK]해야 합니다."),
        {"top": 5},
        _fill,
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
        allowed, words = LIMITS[flag]
        if value is not None and not allowed(value):
            raise InputError(f"--{flag} {value}: must be {words}")
    folder, others = _checked(run_or_export)
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
    mask = subject.tokenizer.pieces[subject.tokenizer.special.mask]
    for text in map(_composed, texts) if texts else [text.replace("[MASK]", mask) for text in answer.texts]:
        print(text)
        for line in answer.lines(subject, text, **settings):
            print(line)
    for below in others:
        print(f"the {below} of this run: python -m pretrain fill {folder / below}")


def _composed(text: str) -> str:
    """The text with whole syllables, as the corpus has them: a terminal may give letters (NFD), which no vocabulary has."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError(f"--text {text!a}: not UTF-8; give it in UTF-8")
    return unicodedata.normalize("NFC", text)


def _checked(run_or_export: Path) -> tuple[Path, list[str]]:
    """The folder of the model, and the folders below it in which the run exported further ones."""
    if not run_or_export.is_dir():
        raise InputError(f"{run_or_export}: no such folder; give a run folder or a Hugging Face folder")
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
    return folder, [below for below in models if below]
