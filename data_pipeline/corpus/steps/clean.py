"""Cleaning: from a source's raw text to text without markup, broken characters and superfluous blanks."""

import html
import re
import unicodedata
from collections import Counter
from dataclasses import replace

from data_pipeline.corpus.document import Document, Dropped, Step
from data_pipeline.corpus.steps.clean_characters import shorten_repeats, without_foreign_characters
from data_pipeline.corpus.steps.clean_hashtags import without_hashtags
from data_pipeline.corpus.steps.clean_news import NEWS_RULES, without_news_frame
from data_pipeline.recipe import Clean

MAX_ROUNDS = 12
"""Rounds of cleaning until nothing changes. Text needs two or three; only nested garbage such as `<<b>b>` needs many."""

# Elements of the HTML Living Standard, the obsolete ones that old boards still hold, and Word's o:p.
_BLOCK = (
    "address article aside blockquote body br caption center col colgroup dd details dialog dir div dl dt fieldset"
    " figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html legend li link main menu"
    " meta nav noframes noscript ol optgroup option p pre search section summary table tbody td template tfoot th thead"
    " title tr ul"
).replace(" ", "|")
_INLINE = (
    "a abbr acronym applet area audio b base basefont bdi bdo big blink button canvas cite code data datalist del dfn em"
    " embed font i iframe image img input ins kbd label map mark marquee math meter nobr object o:p output param picture"
    " progress q rb rp rt rtc ruby s samp script select slot small source span strike strong style sub sup svg textarea"
    " time track tt u var video wbr"
).replace(" ", "|")
# Attributes that stand without a value. A bare word that is none of them is text: <Time Machine>, <a beautiful mind>.
_BARE = (
    "allowfullscreen async autofocus autoplay checked controls default defer disabled hidden ismap itemscope loop multiple"
    " muted noresize noshade nowrap open playsinline readonly required reversed selected"
).replace(" ", "|")

# Possessive, and never across a "<": every search is linear in the text.
_ATTRIBUTE = (
    r"(?:[a-z_:@][a-z0-9_:.\-]*+\s*+=\s*+(?:\"[^\"<]*+\"|'[^'<]*+'|[^\s\"'<>]++)?"
    rf"|(?:{_BARE})(?![\w:.\-]))"
)
_TAG = re.compile(
    rf"</?(?:({_BLOCK})|{_INLINE})(?![\w:.\-])(?:[\s/]*+{_ATTRIBUTE})*+[\s/]*+>",
    re.IGNORECASE,
)
_DOCUMENT_TYPE = re.compile(r"<!doctype\s[^<>]*+>|<\?xml\s[^<>]*+>", re.IGNORECASE)
# Markup that goes with everything up to its end.
_WITH_CONTENT = (
    (re.compile(r"<!--"), re.compile(r"-->")),
    (re.compile(r"<script(?=[\s>])[^<>]*+>", re.IGNORECASE), re.compile(r"</script\s*+>", re.IGNORECASE)),
    (re.compile(r"<style(?=[\s>])[^<>]*+>", re.IGNORECASE), re.compile(r"</style\s*+>", re.IGNORECASE)),
)

# With a semicolon, or one of the five that people write without it; never the parameters of a URL (?a=1&lt=2, &copy=1).
_ENTITY = re.compile(
    r"&(?:\#[0-9]{1,7};|\#[xX][0-9a-fA-F]{1,6};|[A-Za-z][A-Za-z0-9]{1,31};|(?:lt|gt|amp|quot|nbsp)(?![A-Za-z0-9=]))"
)
# &amp;amp;lt; is &lt; escaped twice more: one search whatever the depth.
_NESTED_AMPERSAND = re.compile(r"&(?:(?:amp|AMP|\#0*+38|\#[xX]0*+26);)++")

_LINE_BREAK = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
# Letters in name only: invisible Hangul fillers and the Braille blank are used as blanks.
_BLANK_LETTER = re.compile("[\u3164\uffa0\u2800]")
# Controls, soft hyphen, zero-width and bidi characters, byte order mark, replacement character, lone surrogates,
# noncharacters. The zero-width joiner goes too: BERT's normaliser drops it anyway (category Cf), so keeping it in
# emoji would only make texts differ that the model cannot tell apart.
_BAD_CHARACTER = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufffd"
    "\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
# A search of its own, one range first: a class that mixes both planes is ten times slower.
_ASTRAL_NONCHARACTER = re.compile(
    "[\U0001fffe-\U0010ffff](?<=["
    + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0x10000, 0x110000, 0x10000))
    + "])"
)

_CLOSER_OF = dict(zip("([{〈《「『【（〔［｛", ")]}〉》」』】）〕］｝", strict=True))
_OPENER_OF = {closer: opener for opener, closer in _CLOSER_OF.items()}
_OPENERS, _CLOSERS = (f"[{''.join(map(re.escape, brackets))}]" for brackets in (_CLOSER_OF, _OPENER_OF))
_BRACKET_PAIR = re.compile(rf"{_OPENERS}\s*+{_CLOSERS}")
_BRACKET = re.compile(rf"({_OPENERS}|{_CLOSERS})")


def cleaner(recipe: Clean, *, targets: bool = False) -> Step:
    """Makes the step that cleans `Document.text`; it comes before splitting, and cleaning twice changes nothing more.

    Entities (whatever the depth), line breaks, bad characters and NFC first, since they hide markup; then tags,
    hashtags, empty brackets and the other switches, as the recipe says, again and again until nothing changes, since one
    can uncover another; blanks last. Drops a document as "empty after cleaning", or as "nested markup" if `MAX_ROUNDS` are not enough.
    A summary is the first paragraph of its text. `Document.cleaned` tells what went by which rule.

    - `targets`: summaries are cleaned apart, to one line each; where nothing is left of one, its document is dropped as "no summary", for
      the next paragraph would be taken for it.
    """

    news = [rule for rule in NEWS_RULES if getattr(recipe, rule)]

    def clean(document: Document) -> Document | Dropped:
        text = document.whole
        removed: Counter[str] = Counter()

        def by(rule: str, now: str) -> str:
            """Books what a rule has changed."""
            removed[rule] += len(text) - len(now)
            return now

        for _ in range(MAX_ROUNDS):
            before = text
            text = by("entities", _unescaped(text))
            text = by("broken characters", _without_bad_characters(text))
            text = by("NFC", _composed(text))
            changed = text != before
            if recipe.foreign_characters:
                # uncovers nothing: it leaves blanks, and what it leaves is NFC
                text = by("foreign characters", without_foreign_characters(text))
            before = text
            if recipe.html_tags and "<" in text:
                text = by("HTML tags", _without_tags(text))
            if recipe.hashtags and "#" in text:
                text = by("hashtags", without_hashtags(text))
            if recipe.empty_brackets and _BRACKET_PAIR.search(text):
                text = by("empty brackets", _without_empty_brackets(text))
            if recipe.max_repeats:
                text = by("repeats", shorten_repeats(text, recipe.max_repeats))
            if changed or text != before:
                continue
            text = by("blanks", _normal_blanks(text))
            framed = text
            for rule in news:
                text = by(rule.replace("_", " "), without_news_frame(text, rule))
            if text == framed:
                break
        else:
            return Dropped(document, reason="nested markup", detail=f"still changing after {MAX_ROUNDS} rounds")
        if not text:
            return Dropped(document, reason="empty after cleaning")
        return replace(document, text=text, summary=None, cleaned=tuple(sorted((+removed).items())))

    def clean_both(document: Document) -> Document | Dropped:
        if document.summary is None:
            return clean(document)
        summary, cleaned = (
            clean(replace(document, text=text, summary=None)) for text in (document.summary, document.text)
        )
        if isinstance(summary, Dropped):
            return Dropped(document, reason="no summary", detail=summary.reason)
        if isinstance(cleaned, Dropped):
            return cleaned
        both = Counter(dict(summary.cleaned)) + Counter(dict(cleaned.cleaned))
        text = summary.text.replace("\n", " ") + "\n" + cleaned.text
        return replace(cleaned, text=text, cleaned=tuple(sorted(both.items())))

    return clean_both if targets else clean


def _unescaped(text: str) -> str:
    if "&" in text:
        for _ in range(2):
            text = _ENTITY.sub(lambda entity: html.unescape(entity[0]), _NESTED_AMPERSAND.sub("&", text))
    return text


def _without_bad_characters(text: str) -> str:
    """One kind of line break, and no invisible and broken characters."""
    text = _LINE_BREAK.sub("\n", text)
    text = _BLANK_LETTER.sub(" ", text)
    return _ASTRAL_NONCHARACTER.sub("", _BAD_CHARACTER.sub("", text))


def _composed(text: str) -> str:
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)


def _without_tags(text: str) -> str:
    for opening, closing in _WITH_CONTENT:
        text = _without_spans(text, opening, closing)
    text = _DOCUMENT_TYPE.sub("\n", text)
    return _TAG.sub(lambda tag: "\n" if tag[1] else "", text)


def _without_spans(text: str, opening: re.Pattern[str], closing: re.Pattern[str]) -> str:
    """The text without what stands from an opening to the next closing; an opening that nothing closes stays.

    Not one expression `opening.*?closing`: many openings without a closing would make that quadratic.
    """
    pieces, position = [], 0
    while start := opening.search(text, position):
        end = closing.search(text, start.end())
        if not end:
            break
        pieces.append(text[position : start.start()])
        position = end.end()
    return "".join((*pieces, text[position:]))


def _without_empty_brackets(text: str) -> str:
    """The text without brackets that hold nothing but blanks and other empty brackets, in one pass with a stack."""
    kept: list[str] = []
    for index, piece in enumerate(_BRACKET.split(text)):
        opener = _OPENER_OF.get(piece) if index % 2 else None
        if not opener:
            kept.append(piece)
            continue
        start = len(kept)
        while start and (not kept[start - 1] or kept[start - 1].isspace()):
            start -= 1
        if start and kept[start - 1] == opener:
            del kept[start - 1 :]
        else:
            kept.append(piece)
    return "".join(kept)


def _normal_blanks(text: str) -> str:
    """One space between words, one line break between lines, none at the ends."""
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return "\n".join(line for line in lines if line)
