"""NamuWiki's markup (namumark) to text: what a reader of the article's prose sees."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from data_pipeline.corpus.document import HOLE
from data_pipeline.corpus.sources.holes import formula, without_lone_holes
from data_pipeline.corpus.sources.prose import Paragraph, prose

HIDDEN_LINKS = ("파일:", "분류:", "file:", "category:")
VALUES = ("age", "dday", "date", "datetime", "pagecount", "calc")
"""Macros whose value is part of the sentence, and is not in the dump."""
_MACRO = re.compile(
    r"\[(목차|tableofcontents|각주|footnote|clearfix|date|datetime|pagecount|br)\]"
    r"|\[(include|youtube|kakaotv|nicovideo|navertv|vimeo|anchor|age|dday|pagecount|math|calc|html|ruby)\(((?>\[\[[^\[\]\n]*\]\]|.){0,5000}?)\)\]"
    r"|\[([a-z]{3,})\(([^\n\[\]]*?)\)\]",
    re.IGNORECASE | re.DOTALL,
)
_MARK = re.compile(r"\\.|\{\{\{|\}\}\}|\[\[|\]\]|\[\*|\[(?=[a-zA-Z목각])|\]|<math>.*?</math>", re.DOTALL)
_STYLE = re.compile(
    r"#!(?:wiki|folding|if)(?:[^\n{}]|\{(?!\{\{)|\}(?!\}\})|\{\{\{[^\n{}]*\}\}\})*\n?|#[0-9a-zA-Z]+(?:,#?[0-9a-zA-Z]+)? |[+-][1-5] "
)
_NOT_TEXT = re.compile(r"#!(?:syntax|html|latex|ruby|style)\b")
_COMMENT = re.compile(r"^##.*\n?", re.MULTILINE)
IN_ROW = "\x1e"
"""Stands for a line end that a block brings into a row of a table, for the row does not end there."""
_HEADING = re.compile(r"(={1,6})(#?) +(.*?) +\2\1 *")
_LINE_START = re.compile(r"[ \t]*(?:>+ ?)*(?:(?<=[ \t>])(?:\*|[1aAiI]\.(?:#\d+)?(?= )) ?)*")
_CAPTION = re.compile(r"\|[^|]+\|.*\|\|$|\|[^|]+\|[^|]+\|\|")
"""A row may begin with the table's caption: `|caption| cell ||`."""
_INLINE = (
    (re.compile(r"~~(?=\S)(.*?)~~|--(?=[^\s-])(.*?)--"), ""),  # struck out: the sentence is meant without it
    (re.compile(r"'{2,5}"), ""),
    (re.compile(r"__(.+?)__"), r"\1"),
    (re.compile(r"\^\^(.+?)\^\^"), r"\1"),
    (re.compile(r",,(.+?),,"), r"\1"),
    (re.compile(r"[ \t]{2,}"), " "),
)


Hide = Callable[[str, str], None]
"""Takes the kind of what shows nothing, and its text in the file."""


def namumark_to_text(markup: str, hidden: Counter[str] | None = None, hidden_bytes: Counter[str] | None = None) -> str:
    """namumark -> text: links by their label, lists, quotations and headings as paragraphs; no tables, files, footnotes,
    macros and struck out text. A heading under which nothing is left goes too.

    - `hidden`, `hidden_bytes`: get the number and the bytes (about: without the marks inside) of what is left out, by kind: tables, templates,
      macros, footnotes, ...
    """

    def hide(kind: str, text: str) -> None:
        if hidden is not None and hidden_bytes is not None:
            hidden[kind] += 1
            hidden_bytes[kind] += len(text.encode(errors="surrogatepass"))

    return prose(_paragraphs(_without_brackets(markup, hide), hide))


@dataclass(slots=True)
class _Open:
    """A bracket that is still open, the text since, and whether that text has come to the middle of a table's row."""

    mark: str
    pieces: list[str] = field(default_factory=list)
    line: str = ""
    in_row: bool = False

    def add(self, text: str) -> None:
        self.pieces.append(text)
        first, *lines = text.split("\n")
        self.line += first
        for line in lines:
            before = self.line.strip()
            if _HEADING.fullmatch(self.line):
                self.in_row = False
            elif self.in_row or _begins_row(before):
                self.in_row = (before == "||" and not self.in_row) or not before.endswith("||")
            self.line = line

    def add_block(self, text: str) -> None:
        """What may bring line ends into the middle of a row."""
        self.add(text.replace("\n", IN_ROW) if self.in_row or _begins_row(self.line.lstrip()) else text)


def _begins_row(line: str) -> bool:
    return line.startswith("||") or bool(_CAPTION.match(line))


def _without_brackets(markup: str, hide: Hide) -> str:
    """Takes away what stands in brackets of any kind, or shows it; brackets that have no partner are text."""
    markup = _COMMENT.sub("", markup.replace(IN_ROW, " "))
    stack = [_Open("")]
    position = 0
    while found := _MARK.search(markup, position):
        mark, top = found[0], stack[-1]
        top.add(markup[position : found.start()])
        position = found.end()
        if mark[0] == "\\":
            top.add(mark[1:])
        elif mark == "[":
            macro = _MACRO.match(markup, found.start())
            top.add_block(_macro(macro, hide) if macro else mark)
            position = macro.end() if macro else position
        elif mark == "{{{" and _NOT_TEXT.match(markup, position):
            end = markup.find("}}}", position)
            if end >= 0:
                hide("code and styles", markup[found.start() : end + 3])
                position = end + 3
        elif mark in ("{{{", "[[", "[*"):
            style = _STYLE.match(markup, position) if mark == "{{{" else None
            position = style.end() if style else position
            stack.append(_Open(mark))
        elif mark == "}}}" and any(each.mark == "{{{" for each in stack):
            _give_up(stack, 1 + max(place for place, each in enumerate(stack) if each.mark == "{{{"))
            block = stack.pop()
            stack[-1].add_block("".join(block.pieces))
        elif mark[0] == "]" and top.mark == "[*":
            hide("footnotes", f"[*{''.join(stack.pop().pieces)}]")
            position = found.start() + 1
        elif mark == "]]" and top.mark == "[[":
            link = stack.pop()
            stack[-1].add_block(_link("".join(link.pieces), hide))
        elif mark == "]]":
            top.add("]")
            position = found.start() + 1
        else:
            top.add(formula(mark[len("<math>") : -len("</math>")]) if mark[0] == "<" else mark)
    stack[-1].add(markup[position:])
    _give_up(stack, 1)
    return "".join(stack[0].pieces)


def _give_up(stack: list[_Open], place: int) -> None:
    """The brackets from a place on have no partner: they are text."""
    for bracket in stack[place:]:
        stack[place - 1].add(bracket.mark + "".join(bracket.pieces))
    del stack[place:]


def _macro(macro: re.Match[str], hide: Hide) -> str:
    shown = _shown_macro(macro)
    if shown in ("", HOLE):
        hide("templates" if (macro[2] or "").lower() == "include" else "macros", macro[0])
    return shown


def _shown_macro(macro: re.Match[str]) -> str:
    name = (macro[1] or macro[2] or macro[4]).lower()
    if name == "ruby":
        return macro[3].partition(",")[0]
    if name == "math":
        return formula(macro[3])
    return "\n" if name == "br" else HOLE if name in VALUES else ""


def _link(link: str, hide: Hide) -> str:
    target, bar, label = link.partition("|")
    if target.strip().lower().startswith(HIDDEN_LINKS):
        hide("links to files and categories", f"[[{link}]]")
        return ""
    if bar:
        return label
    return "" if "://" in target else re.sub(r"#s-[\d.]+$", "", target).lstrip(":/.")


def _paragraphs(text: str, hide: Hide) -> Iterator[Paragraph]:
    text = "\n".join(_without_tables(text.split("\n"), hide))
    for pattern, replacement in _INLINE:
        text = pattern.sub(replacement, text)
    for line in text.split("\n"):
        if heading := _HEADING.fullmatch(line):
            yield len(heading[1]), heading[3].strip()
        elif not line.startswith("##") and line.strip("- "):  # no comment and no rule
            yield 0, without_lone_holes(_LINE_START.sub("", line, count=1).strip())


def _without_tables(lines: list[str], hide: Hide) -> list[str]:
    """Leaves out the rows of tables; where nothing ends a row, it is text. Rows behind each other are one table."""
    kept: list[str] = []
    table: list[str] = []
    number = 0
    ends = _ends_of_rows(lines)
    while number < len(lines):
        line = lines[number].strip()
        first = number
        if not _begins_row(line):
            kept.append(lines[number].replace(IN_ROW, "\n"))
            if line:
                _end_of_table(table, hide)
        elif line == "||" or not line.endswith("||"):
            end = ends[number]
            if end is None:
                kept.append(line.replace("||", " ").replace(IN_ROW, "\n"))
                _end_of_table(table, hide)
            else:
                number = end
                table += lines[first : number + 1]
        else:
            table.append(lines[number])
        number += 1
    _end_of_table(table, hide)
    return kept


def _end_of_table(table: list[str], hide: Hide) -> None:
    if table:
        hide("tables", "\n".join([*table, ""]))
        table.clear()


def _ends_of_rows(lines: list[str]) -> list[int | None]:
    """For each line the one behind it that ends a row begun there, with || at its end: over blank lines too, unless a heading or, behind
    a blank line, another row comes first."""
    none = len(lines)
    ends: list[int | None] = []
    closing = heading = row = row_behind_blank = none
    for number in range(none - 1, -1, -1):  # each the first behind `number`
        ends.append(closing if closing < min(heading, row_behind_blank) else None)
        line = lines[number].strip()
        if not line:
            row_behind_blank = row
        elif _begins_row(line):
            row = number
        if line.endswith("||"):
            closing = number
        if _HEADING.fullmatch(lines[number]):
            heading = number
    return ends[::-1]
