"""MediaWiki markup to text, as the Korean Wikipedia writes it: what a reader of the article's prose sees."""

import html
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from data_pipeline.contract.packages import needed
from data_pipeline.corpus.sources.holes import formula, without_lone_holes
from data_pipeline.corpus.sources.prose import Paragraph, prose
from data_pipeline.corpus.sources.wiki_templates import LEFT_OUT, template_value, with_holes

HIDDEN_LINKS = re.compile("파일|그림|file|image|미디어|media|분류|category|틀|template")
"""Name spaces whose links show no text (a colon before them makes a link to them an ordinary one)."""
HIDDEN_TAGS = re.compile(
    "ref|references|gallery|table|score|timeline|graph|hiero|imagemap|inputbox|categorytree|section|"
    "templatedata|templatestyles|syntaxhighlight|source|pre|maplink|mapframe|indicator"
)
FORMULA_TAGS = re.compile("math|chem|ce")
LANGUAGE_LINK = re.compile(r"[a-z]{2,3}(-[a-z]+)*:")
OPENING = frozenset({"TemplateOpen", "ArgumentOpen", "WikilinkOpen", "ExternalLinkOpen"}) | frozenset(
    {"HTMLEntityStart", "CommentStart", "HeadingStart", "TagOpenOpen"}
)
CLOSING = frozenset({"TemplateClose", "ArgumentClose", "WikilinkClose", "ExternalLinkClose"}) | frozenset(
    {"HTMLEntityEnd", "CommentEnd", "HeadingEnd", "TagCloseSelfclose", "TagCloseClose"}
)
SEPARATING = frozenset({"TemplateParamSeparator", "WikilinkSeparator", "ExternalLinkSeparator"}) | frozenset(
    {"TagAttrStart", "TagCloseOpen", "TagOpenClose"}
)
"""Kinds of tokens: those that begin a construct, end one, and divide one into parts."""
MARKUP_BYTES = (
    dict.fromkeys(("TemplateOpen", "TemplateClose", "WikilinkOpen", "WikilinkClose", "TagOpenClose"), 2)
    | dict.fromkeys(("ArgumentOpen", "ArgumentClose"), 3)
    | dict.fromkeys(
        (*SEPARATING - {"TagOpenClose"}, "TemplateParamEquals", "TagOpenOpen", "TagCloseClose", "TagAttrEquals"), 1
    )
)
"""Bytes of a token's own markup: the parser does not keep it."""


@dataclass(slots=True)
class _Construct:
    """A construct that is still open: its first token, the shown text of its parts, and what tells the parts apart.

    - `size`: bytes of its markup so far, about; `hidden`, `hidden_bytes`: constructs inside that show nothing, by kind.
    """

    token: Any
    parts: list[list[str]] = field(default_factory=lambda: [[]])
    named: dict[int, str] = field(default_factory=dict)
    contents: int = 0
    size: int = 0
    hidden: Counter[str] = field(default_factory=Counter)
    hidden_bytes: Counter[str] = field(default_factory=Counter)

    def text(self, part: int) -> str:
        return "".join(self.parts[part])


def wikitext_converter(
    hidden: Counter[str] | None = None, hidden_bytes: Counter[str] | None = None
) -> Callable[[str], str]:
    """wikitext -> text: links by their label, lists and headings as paragraphs; no templates, tables, files, references.

    - `hidden`, `hidden_bytes`: get the number and the bytes (about) of what is left out, by kind: templates, tables, references, ...

    A heading under which nothing is left goes too. Raises ValueError where the parser gives a page up.
    """
    hidden, hidden_bytes = (Counter() if counts is None else counts for counts in (hidden, hidden_bytes))
    parser = needed("mwparserfromhell.parser", "the reading of Wikipedia dumps")
    # The parser's first half, without the tree that the other builds of its tokens: that takes 20 times as long.
    tokenizer = parser.Parser()._tokenizer

    def convert(wikitext: str) -> str:
        try:
            tokens = tokenizer.tokenize(wikitext, 0, True)  # bold and italics are quicker left to _TIDY
        except parser.ParserError as error:
            raise ValueError(f"wikitext that cannot be parsed ({error})") from None
        return prose(_paragraphs(tokens, hidden, hidden_bytes))

    return convert


def _paragraphs(tokens: Iterable[Any], hidden: Counter[str], hidden_bytes: Counter[str]) -> list[Paragraph]:
    paragraphs: list[Paragraph] = []
    root = _Construct(None)
    stack, pieces = [root], root.parts[0]
    for token in tokens:
        kind = type(token).__name__
        if kind not in OPENING:
            stack[-1].size += len(token["text"].encode()) if kind == "Text" else MARKUP_BYTES.get(kind, 0)
        if kind == "Text":
            pieces.append(token["text"])
            continue
        if kind in OPENING:
            stack.append(_Construct(token, size=MARKUP_BYTES.get(kind, 0)))
        elif kind in CLOSING:
            construct = stack.pop()
            if kind == "HeadingEnd" and len(stack) == 1:
                paragraphs += _lines(root.text(0))
                paragraphs.append((construct.token["level"], _tidy(construct.text(0)).strip()))
                root.parts[0].clear()
            elif show := _SHOWN.get(kind):
                shown = show(construct)
                stack[-1].parts[-1].append(shown)
                _book(construct, stack[-1], _kind(construct) if shown in ("", LEFT_OUT) else "")
        elif kind in SEPARATING:
            stack[-1].parts.append([])
            if kind == "TagCloseOpen":
                stack[-1].contents = len(stack[-1].parts) - 1
        elif kind == "TemplateParamEquals":
            name = "".join(stack[-1].parts[-1]).strip()
            stack[-1].parts[-1].clear()
            stack[-1].named[len(stack[-1].parts) - 1] = name
        elif kind == "HTMLEntityNumeric":
            stack[-1].parts[-1].append("#")
        elif kind == "HTMLEntityHex":
            stack[-1].parts[-1].append("x")
        pieces = stack[-1].parts[-1]
    hidden.update(root.hidden)
    hidden_bytes.update(root.hidden_bytes)
    return paragraphs + _lines(root.text(0))


def _book(construct: _Construct, outer: _Construct, kind: str) -> None:
    """Adds what a construct hides to the one around it: all of it where it shows nothing, else what is hidden inside."""
    if markup := construct.token.get("wiki_markup"):
        # {| for <table>: the parser gives names to such tags that are not in the file.
        name = construct.text(0)
        construct.size += len(markup) * (2 if name == "table" else 1) - 2 * len(name) - len("<></>")
    outer.size += construct.size
    if kind:
        outer.hidden[kind] += 1
        outer.hidden_bytes[kind] += construct.size
    else:
        outer.hidden += construct.hidden
        outer.hidden_bytes += construct.hidden_bytes


def _kind(construct: _Construct) -> str:
    """What a construct that shows nothing is counted as; empty for what is no loss (an empty tag, a line break)."""
    match type(construct.token).__name__:
        case "TemplateOpen":
            return "templates"
        case "WikilinkOpen":
            return "links to files and categories"
        case "TagOpenOpen":
            name = construct.text(0).strip().lower()
            if name == "table":
                return "tables"
            return (
                "references" if name in ("ref", "references") else "other tags" if HIDDEN_TAGS.fullmatch(name) else ""
            )
    return ""


def _lines(text: str) -> list[Paragraph]:
    lines = (without_lone_holes(line.strip()) for line in _tidy(text).split("\n"))
    return [(0, line) for line in lines if line and not line.startswith(("|", "{|"))]  # cells of a broken table


def _link(link: _Construct) -> str:
    title = link.text(0).strip()
    name_space, colon, _ = title.partition(":")
    if colon and HIDDEN_LINKS.fullmatch(name_space.strip().lower()):
        return ""
    if len(link.parts) > 1:
        return link.text(-1)
    return "" if LANGUAGE_LINK.match(title) else title.removeprefix(":")


def _tag(tag: _Construct) -> str:
    name = tag.text(0).strip().lower()
    if HIDDEN_TAGS.fullmatch(name):
        return ""
    if FORMULA_TAGS.fullmatch(name):
        return formula(tag.text(tag.contents)) if tag.contents else ""
    if name in ("br", "hr"):
        return "\n"
    return tag.text(tag.contents) if tag.contents else ""


def _template(template: _Construct) -> str:
    parts = range(1, len(template.parts))
    named = {template.named[part]: template.text(part) for part in parts if part in template.named}
    unnamed = [template.text(part) for part in parts if part not in template.named]
    while (following := str(len(unnamed) + 1)) in named:  # {{lang|en|2=a=b}}
        unnamed.append(named.pop(following))
    value = template_value(template.text(0), unnamed, named)
    return LEFT_OUT if value is None else value


def _external_link(link: _Construct) -> str:
    if len(link.parts) > 1:
        return link.text(1)
    return "" if link.token["brackets"] else link.text(0)


_SHOWN: dict[str, Callable[[_Construct], str]] = {
    "WikilinkClose": _link,
    "TagCloseSelfclose": _tag,
    "TagCloseClose": _tag,
    "TemplateClose": _template,
    "ExternalLinkClose": _external_link,
    "HTMLEntityEnd": lambda entity: html.unescape(f"&{entity.text(0)};"),
    "HeadingEnd": lambda heading: f"\n{heading.text(0)}\n",
}
"""How a construct ends -> its text; comments and template arguments show nothing."""
_BOLD = re.compile(r"'{2,5}")
_TIDY = (
    (re.compile(r"\[\[|\]\]|\{\{|\}\}|__[A-Z가-힣]{2,}__|-\{|\}-"), ""),  # what is left of broken markup; magic words
    (re.compile(r"[ \t\xa0]{2,}|[\t\xa0]"), " "),
)
_DEBRIS = re.compile(r"[(\[] ?[,;:·)\]]|[,;·] ?[)\]]")
_TIDY_BRACKETS = (
    (re.compile(r"([(\[]) ?[,;:·](?: ?[,;:·])* "), r"\1"),  # (, 1900년): a template stood first
    (re.compile(r"(?: ?[,;·])+ ?([)\]])"), r"\1"),
    (re.compile(r" ?(?:\( ?\)|\[ ?\])"), ""),
)


def _tidy(text: str) -> str:
    """Takes away what removed markup leaves behind: doubled blanks, brackets with commas or nothing inside."""
    text = with_holes(_BOLD.sub("", text))
    for pattern, replacement in _TIDY:
        text = pattern.sub(replacement, text)
    if _DEBRIS.search(text):
        for pattern, replacement in _TIDY_BRACKETS:
            text = pattern.sub(replacement, text)
    return text
