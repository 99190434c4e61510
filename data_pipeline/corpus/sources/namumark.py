"""NamuWiki's markup (namumark) to text: what a reader of the article's prose sees."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from data_pipeline.corpus.sources.prose import Paragraph, prose

HIDDEN_LINKS = ("파일:", "분류:", "file:", "category:")
_LONE_MACRO = re.compile(
    r"\[(목차|tableofcontents|각주|footnote|clearfix|date|datetime|pagecount|br)\]"
    r"|\[(include|youtube|kakaotv|nicovideo|navertv|vimeo|anchor|age|dday|pagecount|math|calc|html|ruby)\((.*?)\)\]",
    re.IGNORECASE | re.DOTALL,
)
_MARK = re.compile(r"\\.|\{\{\{|\}\}\}|\[\[|\]\]|\[\*|\[(?=[a-zA-Z목각])|\]|<math>.*?</math>", re.DOTALL)
_STYLE = re.compile(r"#!(?:wiki|folding|if)[^\n]*\n?|#[0-9a-zA-Z]+(?:,#?[0-9a-zA-Z]+)? |[+-][1-5] ")
_NOT_TEXT = re.compile(r"#!(?:syntax|html|latex|ruby)\b")
_HEADING = re.compile(r"(={1,6})(#?) +(.*?) +\2\1 *")
_LINE_START = re.compile(r"[ \t]*(?:>+ ?)*(?:(?<=[ \t>])(?:\*|[1aAiI]\.(?:#\d+)?(?= )) ?)*")
_INLINE = (
    (re.compile(r"~~(?=\S)(.*?)~~|--(?=[^\s-])(.*?)--"), ""),  # struck out: the sentence is meant without it
    (re.compile(r"'{2,5}"), ""),
    (re.compile(r"__(.+?)__"), r"\1"),
    (re.compile(r"\^\^(.+?)\^\^"), r"\1"),
    (re.compile(r",,(.+?),,"), r"\1"),
    (re.compile(r"[ \t]{2,}"), " "),
)


def namumark_to_text(markup: str) -> str:
    """namumark -> text: links by their label, lists, quotations and headings as paragraphs; no tables, files, footnotes,
    macros and struck out text. A heading under which nothing is left goes too."""
    return prose(_paragraphs(_without_brackets(markup)))


@dataclass(slots=True)
class _Open:
    """A bracket that is still open, and the text since."""

    mark: str
    pieces: list[str] = field(default_factory=list)


def _without_brackets(markup: str) -> str:
    """Takes away what stands in brackets of any kind, or shows it; brackets that have no partner are text."""
    stack = [_Open("")]
    position = 0
    while found := _MARK.search(markup, position):
        mark, top = found[0], stack[-1]
        top.pieces.append(markup[position : found.start()])
        position = found.end()
        if mark[0] == "\\":
            top.pieces.append(mark[1:])
        elif mark == "[":
            macro = _LONE_MACRO.match(markup, found.start())
            top.pieces.append(_macro(macro) if macro else mark)
            position = macro.end() if macro else position
        elif mark == "{{{" and _NOT_TEXT.match(markup, position):
            end = markup.find("}}}", position)
            position = end + 3 if end >= 0 else position
        elif mark in ("{{{", "[[", "[*"):
            style = _STYLE.match(markup, position) if mark == "{{{" else None
            position = style.end() if style else position
            stack.append(_Open(mark))
        elif mark == "}}}" and any(each.mark == "{{{" for each in stack):
            _give_up(stack, 1 + max(place for place, each in enumerate(stack) if each.mark == "{{{"))
            block = stack.pop()
            stack[-1].pieces += block.pieces
        elif mark[0] == "]" and top.mark == "[*":
            stack.pop()
            position = found.start() + 1
        elif mark == "]]" and top.mark == "[[":
            link = stack.pop()
            stack[-1].pieces.append(_link("".join(link.pieces)))
        elif mark == "]]":
            top.pieces.append("]")
            position = found.start() + 1
        elif mark[0] != "<":
            top.pieces.append(mark)
    stack[-1].pieces.append(markup[position:])
    _give_up(stack, 1)
    return "".join(stack[0].pieces)


def _give_up(stack: list[_Open], place: int) -> None:
    """The brackets from a place on have no partner: they are text."""
    for bracket in stack[place:]:
        stack[place - 1].pieces += [bracket.mark, *bracket.pieces]
    del stack[place:]


def _macro(macro: re.Match[str]) -> str:
    name = (macro[1] or macro[2]).lower()
    if name == "ruby":
        return macro[3].partition(",")[0]
    return "\n" if name == "br" else ""


def _link(link: str) -> str:
    target, bar, label = link.partition("|")
    if target.strip().lower().startswith(HIDDEN_LINKS):
        return ""
    if bar:
        return label
    return "" if "://" in target else re.sub(r"#s-[\d.]+$", "", target).lstrip(":/.")


def _paragraphs(text: str) -> Iterator[Paragraph]:
    text = "\n".join(_without_tables(text.split("\n")))
    for pattern, replacement in _INLINE:
        text = pattern.sub(replacement, text)
    for line in text.split("\n"):
        if heading := _HEADING.fullmatch(line):
            yield len(heading[1]), heading[3].strip()
        elif not line.startswith("##") and line.strip("- "):  # no comment and no rule
            yield 0, _LINE_START.sub("", line, count=1).strip()


def _without_tables(lines: list[str]) -> list[str]:
    """Leaves out the rows of tables; a row goes from a line that begins with || to one that ends so, in one paragraph."""
    kept: list[str] = []
    number = 0
    while number < len(lines):
        line = lines[number].strip()
        if not line.startswith("||"):
            kept.append(lines[number])
        elif line == "||" or not line.endswith("||"):
            end = number + 1
            while end < len(lines) and lines[end].strip() and not _HEADING.fullmatch(lines[end]):
                if lines[end].rstrip().endswith("||"):
                    break
                end += 1
            closed = end < len(lines) and lines[end].rstrip().endswith("||")
            if not closed:
                kept.append(line.replace("||", " "))
            number = end if closed else number
        number += 1
    return kept
