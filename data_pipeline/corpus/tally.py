"""Counts of what a stage did, kept so that they reconcile: in = out + dropped + bad, for documents and for sentences."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from data_pipeline.corpus.document import Document, Dropped, with_holes_shown
from data_pipeline.corpus.sources.lines import Unreadable
from data_pipeline.corpus.steps.pseudonyms.masked import replacements

EXAMPLES_PER_REASON = 5
EXAMPLE_CHARS = 300
REPLACED = "personal data: "
"""What the headings of examples of pseudonyms begin with."""
UNREADABLE = "records: unreadable"
"""The heading of examples of bad records."""
IN_ORDER = (UNREADABLE, "first_bad", "damage")
"""Of these the first are shown: they are what is to be looked at."""


class Tally:
    """Counts by kind, drops by source and reason (numbers and bytes of text), what readers skip and cleaning removes by source and rule,
    replacements by source and type, benchmark matches by source and benchmark, and a few examples of each reason, drawn by hash."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._categories: dict[str, dict[str, Counter[str]]] = {}
        self._dropped: Counter[tuple[str, str, str]] = Counter()
        self._dropped_bytes: Counter[tuple[str, str, str]] = Counter()
        self._skipped: dict[str, dict[str, Counter[str]]] = {}
        self._cleaned: dict[str, dict[str, Counter[str]]] = {}
        self._replaced: Counter[tuple[str, str]] = Counter()
        self._matched: Counter[tuple[str, str]] = Counter()
        self._examples: dict[str, list[dict[str, str]]] = {}
        self._first_bad: list[dict[str, str]] = []
        self._damage: list[dict[str, str]] = []

    def add(self, name: str, number: int = 1) -> None:
        """Adds to a plain count."""
        self._counts[name] += number

    def number(self, name: str) -> int:
        """What a plain count has come to."""
        return self._counts[name]

    def count_category(self, source: str, category: str, **numbers: int) -> None:
        """Adds to counts that are kept by source and category."""
        self._categories.setdefault(source, {}).setdefault(category, Counter()).update(numbers)

    def add_bad(self, record: Unreadable) -> None:
        """Books a record that could not be read."""
        self.add("bad")
        self._add_example(UNREADABLE, record.location, record.problem, "")
        if not self._first_bad:
            self._first_bad.append({"place": record.location, "problem": record.problem})

    def add_damage(self, record: Unreadable) -> None:
        """Books a place from which a file cannot be read on."""
        self.add("damaged_files")
        self.add("unread_bytes", record.unread)
        self._damage.append({"place": record.location, "problem": record.problem, "mend": record.mend})

    def skip(self, source: str, what: str, number: int, size: int) -> None:
        """Books what is no document by design of the format (redirects, templates): how many, and their bytes in the file."""
        self._skipped.setdefault(source, {}).setdefault(what, Counter()).update(number=number, file_bytes=size)

    def count_cleaned(self, document: Document) -> None:
        """Books what cleaning took out of a document that lives on: by rule, documents and characters."""
        for rule, characters in document.cleaned:
            counts = self._cleaned.setdefault(document.source, {}).setdefault(rule, Counter())
            counts.update(documents=1, characters=characters)

    def drop_document(self, dropped: Dropped) -> None:
        """Books a document that ended; its sentences that stood until then ended with it, for the same reason."""
        document = dropped.document
        self._drop("documents", document.source, dropped.reason, document.id, document.text, dropped.detail)
        self.remove_sentences(document)
        if document.sentences:
            place = ("sentences", document.source, dropped.reason)
            self._dropped[place] += len(document.sentences)
            self._dropped_bytes[place] += sum(_size(sentence.text) for sentence in document.sentences)

    def remove_sentences(self, document: Document) -> None:
        """Books the sentences that were taken out of a document."""
        for removed in document.removed:
            self._drop("sentences", document.source, removed.reason, document.id, removed.text, removed.detail)
            if removed.match:
                self._matched[document.source, removed.match.benchmark] += 1

    def count_replaced(self, before: Document, after: Document) -> None:
        """Books the personal data that pseudonyms replaced in a document that lives on. Examples show it masked."""
        for kind in after.replaced:
            self._replaced[after.source, kind] += 1
        headings = {kind: f"{REPLACED}{kind}" for kind in after.replaced}
        # Looked at only where they may be drawn: to mask a sentence takes long. One of a document, so that its id alone decides.
        wanted = {kind for kind, heading in headings.items() if self._may_be_drawn(heading, after.id, "")}
        for kinds, masked, with_pseudonyms in replacements(before, after) if wanted else ():
            for kind in sorted(kinds & wanted):
                wanted.remove(kind)
                self._add_example(headings[kind], after.id, masked, with_pseudonyms[:EXAMPLE_CHARS])

    def _may_be_drawn(self, heading: str, identifier: str, text: str) -> bool:
        examples = self._examples.get(heading, [])
        if len(examples) < EXAMPLES_PER_REASON:
            return True
        last = examples[-1]
        return heading not in IN_ORDER and _lot(heading, identifier, text) < _lot(heading, last["id"], last["text"])

    def _drop(self, kind: str, source: str, reason: str, identifier: str, text: str, detail: str) -> None:
        self._dropped[kind, source, reason] += 1
        self._dropped_bytes[kind, source, reason] += _size(text)
        self._add_example(f"{kind}: {reason}", identifier, text, detail)

    def _add_example(self, heading: str, identifier: str, text: str, detail: str) -> None:
        # JSON may hold half a surrogate pair ("\\ud83d"), which no file can.
        fields = {"id": identifier, "text": with_holes_shown(text)[:EXAMPLE_CHARS], "detail": detail}
        example = {name: value.encode(errors="replace").decode() for name, value in fields.items()}
        if self._may_be_drawn(heading, example["id"], example["text"]):
            self._examples[heading] = drawn(heading, [*self._examples.get(heading, ()), example])

    def counts(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        by_source = {"replaced": _by_source(self._replaced), "matched": _by_source(self._matched)}
        return {
            **self._counts,
            **({"first_bad": self._first_bad} if self._first_bad else {}),
            **({"damage": self._damage} if self._damage else {}),
            "categories": self._categories,
            "skipped": self._skipped,
            "cleaned": self._cleaned,
            "dropped": _by_reason(self._dropped),
            "dropped_bytes": _by_reason(self._dropped_bytes),
            **by_source,
            "examples": self._examples,
        }


def drawn(heading: str, examples: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Those of the examples of a heading that are shown: drawn by a hash of where they stand and what they say, so that neither the
    beginning of a file nor the order of files decides; of unreadable records the first."""
    if heading in IN_ORDER:
        return list(examples[:EXAMPLES_PER_REASON])
    return sorted(examples, key=lambda each: _lot(heading, each["id"], each["text"]))[:EXAMPLES_PER_REASON]


def _lot(heading: str, identifier: str, text: str) -> bytes:
    what = identifier if heading.startswith(REPLACED) else f"{identifier}\0{text}"
    return hashlib.blake2b(what.encode(), digest_size=8).digest()


def _size(text: str) -> int:
    """Bytes in UTF-8."""
    return len(text.encode(errors="surrogatepass"))


def _by_reason(counts: Counter[tuple[str, str, str]]) -> dict[str, dict[str, dict[str, int]]]:
    found: dict[str, dict[str, dict[str, int]]] = {}
    for (kind, source, reason), number in sorted(counts.items()):
        found.setdefault(kind, {}).setdefault(source, {})[reason] = number
    return found


def _by_source(counts: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (source, kind), number in sorted(counts.items()):
        found.setdefault(source, {})[kind] = number
    return found


def merged(all_counts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The counts of several tasks as one: numbers are added, of the examples of a heading some are drawn."""
    total: dict[str, Any] = {}
    for counts in all_counts:
        for key, value in counts.items():
            if isinstance(value, dict):
                total[key] = merged([total.get(key, {}), value])
            elif isinstance(value, list) and value and not isinstance(value[0], dict):
                before = total.get(key, [0] * len(value))
                total[key] = [a + b for a, b in zip(before, value, strict=True)]
            elif isinstance(value, list):
                total[key] = drawn(key, total.get(key, []) + value)
            else:
                total[key] = total.get(key, 0) + value
    return total


def total_dropped(counts: dict[str, Any], kind: str) -> int:
    """Documents or sentences dropped, over all sources and reasons."""
    return sum(sum(reasons.values()) for reasons in counts["dropped"].get(kind, {}).values())


def reconcile(stage: str, taken_in: int, passed_on: int, dropped: int, bad: int = 0) -> None:
    """Stops the work where a stage lost or doubled something: that is a bug, never the user's fault."""
    if taken_in != passed_on + dropped + bad:
        raise RuntimeError(f"{stage}: {taken_in} in, but {passed_on} out + {dropped} dropped + {bad} bad")
