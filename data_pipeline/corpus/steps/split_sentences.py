"""Sentence splitting: `kss` is KSS 1.3.1, the C++ release that KLUE used, and the repair of its known faults; `kss_repaired` is a scanner of
our own."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import metadata
from itertools import pairwise

from data_pipeline.contract.errors import InputError, WorkError
from data_pipeline.contract.packages import install_command, needed
from data_pipeline.corpus.document import Document, Dropped, Sentence, Step
from data_pipeline.recipe import SentenceSplit

KSS_VERSION = "1.3.1"
"""Later releases share the name but neither the speed nor the sentences."""

NO_SENTENCE = "no sentence"
"""Why a document of blanks is dropped."""

Splitter = Callable[[str], list[str]]

# Up to the line break, so that a lone quote in one paragraph cannot keep the next from being split.
_PARAGRAPH = re.compile(r"\S[^\n]*+")
_BLANKS = re.compile(r"\s*+")
_QUOTE = re.compile("[\"'´‘’“”]")

_CLOSING = ")\\]}〉》」』】）〕］｝”’"
_MAYBE_CLOSING = "\"'>"
# What belongs to the sentence before it if a blank follows: closing brackets and quotes, stops that KSS does not know,
# hearts, faces and other emoji, ㅋㅋ, ㄷㄷ, ㅡㅡ, ^^, :), -_-. Marks that often start a line (■ * ☞ ㆍ -) are not among them.
_TRAILING = re.compile(
    rf"(?:[{_CLOSING}{_MAYBE_CLOSING}.,~!?;^…。、！，．？ㅋㅎㅠㅜㅡㄷㅉᆢ♡♥❣❤☺☹\ufe0e\ufe0f\U0001f300-\U0001f64f\U0001f900-\U0001faff]"
    r"|[:;=]-?[)D]|[-_&]++\^|-[_.,0o]++-|_++[ㄱ-ㅣ])++(?=\s|$)"
)
# After a blank only these are sure not to start a sentence.
_CLOSING_AFTER_BLANK = re.compile(rf"[{_CLOSING}]++(?=\s|$)")
# The end of a quotation inside a sentence: ”고 말했다, "라는 말, )을.
_QUOTATION_GOES_ON = re.compile(
    rf"[{_CLOSING}]++\w|[{_MAYBE_CLOSING}]++(?:이?라[고는며면]|하[고며]\s|[고는며을를은]\s)"
)
_WORD_GOES_ON = re.compile(
    rf"[가-힣](?:[가-힣]|[{_CLOSING}{_MAYBE_CLOSING}]++\w)|[{_CLOSING}{_MAYBE_CLOSING}][가-힣]|[ㄱ-ㅣ][ㄱ-ㅣ]"
)


def sentence_splitter(recipe: SentenceSplit) -> Step:
    """Makes the step that fills `Document.sentences`, as `start_finder` finds them and `cut_at` cuts. Drops a document of blanks
    as "no sentence"."""
    starts_of = start_finder(recipe)

    def split(document: Document) -> Document | Dropped:
        starts = starts_of(document)
        return cut_at(document, starts) if starts else Dropped(document, NO_SENTENCE)

    return split


def cut_at(document: Document, starts: Sequence[int]) -> Document:
    """The document, stripped, with the sentences that start there; joined with their blanks they are its text."""
    text = document.text.strip()
    pieces = [text[start:end] for start, end in pairwise([*starts, len(text)])]
    sentences = tuple(map(_sentence, pieces))
    if document.given and sentences:
        gaps = frozenset(document.given.gaps)
        sentences = tuple(each._replace(after_break=number in gaps) for number, each in enumerate(sentences))
    return replace(document, text=text, sentences=sentences)


def start_finder(recipe: SentenceSplit) -> Callable[[Document], list[int]]:
    """Makes the function that tells where in a document's stripped text its sentences start; nowhere where that is empty.

    A line break ends a sentence; of a document that brings its sentences along, they are taken. The text is expected clean: NFC, `\\n` as line break, no lone surrogates.

    Raises an InputError if what the splitter needs is not installed.
    """
    find = _repaired_starts(recipe.max_chars) if recipe.splitter == "kss_repaired" else _kss_starts(recipe.max_chars)
    return lambda document: list(document.given.starts) if document.given else find(document)


def _repaired_starts(max_chars: int) -> Callable[[Document], list[int]]:
    """With the scanner; a sentence longer than `max_chars` characters is split again as if it had no quotes and brackets."""
    needed("numba", "sentence splitting")
    from data_pipeline.corpus.steps.kss_repaired.scanner import repaired_starts

    def starts_of(document: Document) -> list[int]:
        text = document.text.strip()
        starts = repaired_starts(text)
        if len(text) <= max_chars:
            return starts
        split_again: list[int] = []
        for start, end in pairwise([*starts, len(text)]):
            piece = text[start:end].rstrip()
            inner = repaired_starts(piece, use_pairs=False) if len(piece) > max_chars else [0]
            split_again += [start + each for each in inner]
        return split_again

    return starts_of


def _kss_starts(max_chars: int) -> Callable[[Document], list[int]]:
    """With KSS.

    KSS runs paragraph by paragraph (a line break ends one). A sentence longer than `max_chars` characters is split again with its
    quotes hidden, which may still leave it long.

    Raises an InputError if KSS 1.3.1 is not installed; the function raises a WorkError that names the document if what KSS
    returns is not the document's text.
    """
    kss_split = _load_kss()

    def starts_of(document: Document) -> list[int]:
        text = document.text.strip()
        starts: list[int] = []
        for paragraph in _PARAGRAPH.finditer(text):
            offset = paragraph.start()
            starts += [offset + start for start in _split_paragraph(paragraph[0], kss_split, max_chars, document.id)]
        return starts

    return starts_of


def _load_kss() -> Splitter:
    try:
        version = metadata.version("kss")
    except metadata.PackageNotFoundError:
        version = None
    if version != KSS_VERSION:
        found = f"but kss {version} is installed" if version else "which is not installed"
        raise InputError(
            f"sentence splitting needs KSS {KSS_VERSION}, {found}; install it with `{install_command('kss')}`"
        )
    split: Splitter = needed("kss", "sentence splitting").split_sentences
    return split


def _sentence(piece: str) -> Sentence:
    text = piece.rstrip()
    return Sentence(text, blanks=piece[len(text) :])


def _split_paragraph(text: str, kss_split: Splitter, max_chars: int, document_id: str) -> list[int]:
    """Starts of the sentences in a paragraph."""
    starts = _repaired(text, _sentence_starts(text, kss_split, document_id))
    if len(text) <= max_chars:
        return starts
    split_again: list[int] = []
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        piece = text[start:end]
        if len(piece.rstrip()) <= max_chars:
            split_again.append(start)
        else:
            hidden = _QUOTE.sub(_hidden_quote, piece)
            split_again += [
                start + inner for inner in _repaired(piece, _sentence_starts(hidden, kss_split, document_id))
            ]
    return split_again


def _hidden_quote(quote: re.Match[str]) -> str:
    """One character for one: KSS leaves `)` with the sentence before it, and starts a sentence at what it does not know."""
    closing = quote.start() > 0 and not quote.string[quote.start() - 1].isspace()
    return ")" if closing else "·"


def _sentence_starts(text: str, kss_split: Splitter, document_id: str) -> list[int]:
    """Where KSS's sentences start in the text: it strips them, and keeps every other character in place."""
    try:
        sentences = kss_split(text)
    except UnicodeEncodeError as error:
        raise WorkError(
            f"{document_id}: a lone surrogate stands in the text; clean the text before splitting it"
        ) from error
    starts, position = [], 0
    for sentence in filter(None, map(str.strip, sentences)):
        start = text.find(sentence, position)
        if start < 0 or text[position:start].strip():
            break
        starts.append(start)
        position = start + len(sentence)
    if text[position:].strip():
        raise WorkError(
            f"{document_id}: KSS did not return the text that follows {text[max(0, position - 20) : position]!r}; "
            "take the document out of the corpus and report it"
        )
    return starts


def _repaired(text: str, starts: list[int]) -> list[int]:
    """Starts of sentences, without those inside a word, and behind what closes the sentence before."""
    repaired = starts[:1]
    for start in starts[1:]:
        if start <= repaired[-1]:
            continue  # the sentence before took this one in
        if text[start - 1].isspace():
            closing = _CLOSING_AFTER_BLANK.match(text, start)
        elif _WORD_GOES_ON.match(text, start - 1) or _QUOTATION_GOES_ON.match(text, start):
            continue
        else:
            closing = _TRAILING.match(text, start)
        if closing:
            blanks = _BLANKS.match(text, closing.end())
            start = blanks.end() if blanks else closing.end()
            if start == len(text):
                continue
        repaired.append(start)
    return repaired
