"""Through which step of a run a sentence went that another run kept."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from data_pipeline.corpus.corpus_files import read_documents
from data_pipeline.corpus.document import Document, Dropped, Step
from data_pipeline.corpus.stages.documents import document_key
from data_pipeline.corpus.steps.pseudonyms.masked import masked
from data_pipeline.corpus.steps.pseudonyms.step import pseudonymiser
from data_pipeline.corpus.steps.removal import sentences_of
from data_pipeline.diff.prepared import Prepared
from data_pipeline.diff.sentences import LostSentence
from data_pipeline.recipe import DataRecipe

EXAMPLES = 3


def explain(kept: Prepared, lost: Prepared, sample: Sequence[LostSentence]) -> dict[str, Any]:
    """Follows sentences that `kept` has through the steps of `lost`: the number examined, by reason, with examples."""
    wanted: dict[tuple[str, str], list[LostSentence]] = defaultdict(list)
    for sentence in sample:
        wanted[sentence.source, sentence.document].append(sentence)
    found: dict[str, list[dict[str, str]]] = defaultdict(list)

    def book(sentence: LostSentence, reason: str, detail: str) -> None:
        text, detail = masked(sentence.text), masked(detail)
        found[reason].append({"document": sentence.document, "text": text, "detail": detail})

    for part, path in lost.document_parts.items() if wanted else ():
        steps: list[Step] = []
        repeated = None
        for position, document in enumerate(read_documents(str(path))):
            sentences = wanted.pop((document.source, document.id), [])
            if not sentences:
                continue
            repeated = lost.repeated(part) if repeated is None else repeated
            if position in repeated:
                for sentence in sentences:
                    book(sentence, repeated[position], "")
                continue
            steps = steps or lost.steps(part, document.source)
            for sentence, (reason, detail) in zip(
                sentences, _reasons(document, sentences, steps, kept.recipe, lost.recipe), strict=True
            ):
                book(sentence, reason, detail)
    for sentences in wanted.values():
        for sentence in sentences:
            book(sentence, "document not among the cleaned ones", "dropped by cleaning or category, or not read")
    in_order = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    return {
        "examined": len(sample),
        "reasons": {reason: {"number": len(of), "examples": of[:EXAMPLES]} for reason, of in in_order},
    }


def _reasons(
    document: Document, sentences: Sequence[LostSentence], steps: Sequence[Step], kept: DataRecipe, lost: DataRecipe
) -> list[tuple[str, str]]:
    """Reason and detail for each sentence."""
    states: list[Document | Dropped] = [document]
    for step in steps:
        if not isinstance(states[-1], Dropped):
            states.append(step(states[-1]))
    originals = _originals(states[1], kept)
    return [
        _reason(sentence, originals.get(sentence.text, sentence.text), states, kept, lost) for sentence in sentences
    ]


def _originals(split: Document | Dropped, kept: DataRecipe) -> dict[str, str]:
    """Sentences with the pseudonyms of the run that kept them -> as they stood, which is what the steps before look at."""
    if isinstance(split, Dropped) or not kept.pseudonyms.enabled:
        return {}
    after = pseudonymiser(kept.pseudonyms, kept.seed)(split)
    pairs = zip(sentences_of(_document(after)), sentences_of(split), strict=True)
    return {new.text: old.text for new, old in pairs}


def _reason(
    sentence: LostSentence, text: str, states: Sequence[Document | Dropped], kept: DataRecipe, lost: DataRecipe
) -> tuple[str, str]:
    there = False
    for state in states[1:]:
        document = state.document if isinstance(state, Dropped) else state
        now = any(each.text == text for each in document.sentences or ())
        removed = [each for each in document.removed if each.text == text]
        if removed and not now:
            return removed[-1].reason, removed[-1].detail
        if isinstance(state, Dropped) and (there or now):
            return state.reason, state.detail
        if there and not now:
            return "pseudonyms", ""
        there = now
    if there:
        return ("pseudonyms" if text != sentence.text else "kept, but fewer copies of it"), ""
    if document_key(_document(states[0]).text).hex() != sentence.key:
        return "cleaned to another text", ""
    if kept.sentences != lost.sentences:
        return "split elsewhere", ""
    return "pseudonyms", ""


def _document(state: Document | Dropped) -> Document:
    return state.document if isinstance(state, Dropped) else state
