"""What surrounds the text of a news article: reporters' names, tags in brackets, captions, copyright lines.

The rules are those that KPF-BERT's build report names (e-mails with reporters' names, `{IMG:1}`, all in [] 【】 ［］ 〔〕, the
tags (기자) (뉴스) (사진) (영상) and dates, copyright marks) and KLUE's (reporter and press names, image captions, source and
copyright tags). Neither publishes its expressions; these are ours, and where a rule could take a sentence of the article along
it wants more of the tag's form than the word alone.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class _Rules:
    """Patterns whose matches become `left`, in turn; searched for only where one of `words`, and `mark`, stands in the text."""

    words: tuple[str, ...]
    mark: re.Pattern[str] | None
    patterns: tuple[re.Pattern[str], ...]
    left: str = " "

    def apply(self, text: str) -> str:
        if any(word in text for word in self.words) and (self.mark is None or self.mark.search(text)):
            for pattern in self.patterns:
                text = pattern.sub(self.left, text)
        return text


def _patterns(*patterns: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern, re.MULTILINE | re.IGNORECASE) for pattern in patterns)


_ROLE = r"(?:기자|특파원|통신원|리포터|논설위원|편집위원)"
_NAME = rf"[가-힣]{{2,4}}(?: ?[·,ㆍ] ?[가-힣]{{2,4}}){{0,4}} ?(?:(?:선임|인턴|수습|전문|객원|사진|영상|시민|명예|취재) ?)?{_ROLE}"
_NAMES = rf"{_NAME}(?: ?[·,ㆍ/] ?{_NAME}){{0,3}}"
_EMAIL = r"[\w.+\-]{1,40}@[\w\-]{1,40}(?:\.[\w\-]{1,20}){1,3}"
_PRESS = r"[가-힣A-Z]{0,10}(?:뉴스1?|뉴시스|일보|신문|경제|데일리|투데이|타임[스즈]|저널|방송|통신|닷컴|비즈)"
_OPEN, _CLOSE, _INSIDE = r"[\[(【〔［]", r"[\])】〕］]", r"[^\[\]()【】〔〕［］=|ㅣ\n]"
_EQUALS = r" ?[=|ㅣ] ?"
_CREDIT = r"(?:사진|그림|그래픽|자료|영상|이미지) ?(?:제공|출처|캡처|캡쳐)? ?"

_BYLINES = (
    # (서울=연합뉴스) 홍길동 기자 = ..., [서울=뉴시스]
    _Rules(
        ("=", "|", "ㅣ"),
        None,
        _patterns(rf"{_OPEN}{_INSIDE}{{1,20}}{_EQUALS}{_PRESS}{_CLOSE}(?: ?{_NAMES})?(?: ?=(?=\s))?"),
    ),
    _Rules(
        ("기자", "특파원", "통신원", "리포터", "위원"),
        re.compile(rf"(?m){_ROLE} ?(?:[=\[\]()【】〔〕［］<>@/·,ㆍ]|[\w.+\-]+@|[. ]*$)"),
        _patterns(
            # [OSEN=홍길동 기자], [스포츠신문 홍길동 기자]
            rf"{_OPEN}(?:{_INSIDE}{{1,20}}(?:{_EQUALS}| ))?{_NAMES} ?{_CLOSE}",
            # 홍길동 기자 = ...
            rf"^[/=\-▶☞ ]*{_NAMES} =(?=\s)",
            # 홍길동 기자 hong@paper.co.kr, (부산=홍길동기자 hong@paper.co.kr), hong@paper.co.kr 홍길동 기자
            rf"[/=\-▶☞]? ?(?:[(<\[] ?(?:{_INSIDE}{{1,20}}{_EQUALS})?)?(?<![가-힣]){_NAME} ?[(<\[]? ?{_EMAIL} ?[)>\]]?",
            rf"(?<![\w.+\-]){_EMAIL} ?[/=\-]? ?{_NAME} ?$",
            # a line that is a name alone: 디지털뉴스팀 홍길동 기자
            rf"^[/=\-▶☞(\[ ]*(?:[가-힣A-Z0-9]{{2,12}}[ =/] ?)?{_NAME}[)\]=. ]*$",
        ),
    ),
    # a line that is an address alone
    _Rules(("@",), None, _patterns(rf"^[/=\-▶☞(<\[ ]*{_EMAIL}[)>\]. ]*$")),
)
_BRACKETED_TAGS = (
    _Rules(
        ("[", "【", "［", "〔"),
        None,
        _patterns(r"\[[^\[\]\n]*+\]|【[^【】\n]*+】|［[^［］\n]*+］|〔[^〔〕\n]*+〕"),
    ),
    # In the middle of a sentence, with a particle behind: nothing is left, not even a blank
    _Rules(
        ("기자)", "뉴스)", "사진)", "영상)", "제공)"),
        None,
        _patterns(r"\([^()\n]{0,20}(?:기자|뉴스|사진|영상|제공)\)"),
        "",
    ),
    _Rules(("(사진", "(영상", "(자료"), None, _patterns(rf"\({_CREDIT}[=:][^()\n]{{1,30}}\)"), ""),
    _Rules(
        ("(19", "(20"),
        None,
        _patterns(r"\((?:19|20)\d\d ?[.\-/년] ?\d{1,2}(?: ?[.\-/월] ?\d{1,2} ?[.일]?)? ?월?\)"),
        "",
    ),
)
_CAPTIONS = (
    _Rules(("{IMG",), None, _patterns(r"\{IMG:? ?\d{0,4}\}")),
    _Rules(
        ("사진", "그림", "그래픽", "자료", "영상", "이미지"),
        re.compile(rf"{_CREDIT}[=:|ㅣ]"),
        _patterns(
            # a line that is a credit: 사진=연합뉴스, 자료: 통계청
            rf"^[▲△▼◀▶■●◇◆/ ]*{_CREDIT}(?:[=|ㅣ].{{0,120}}|:.{{0,40}})$",
            # a caption: ▲ ... 사진=연합뉴스
            rf"^[▲△▼] ?.{{1,120}}{_CREDIT}[=:].{{1,30}}$",
            # a credit at the end of a line: ... /사진=뉴스1
            rf" ?[/|]? ?(?<![가-힣])[(\[]?{_CREDIT}[=:] ?[^\n.?!()\[\]]{{1,30}}[)\]]?$",
        ),
    ),
    _Rules(("▲", "△", "▼"), None, _patterns(r"^[▲△▼] ?.{1,120}(?:[ⓒ©].{1,30}|제공|캡처|캡쳐) ?[)\]]?\.?$")),
)
_COPYRIGHT = (
    # In brackets, or from the mark to the end of a line, where that is as short as such a tag is
    _Rules(
        ("ⓒ", "©", "무단", "저작권자", "opyright", "OPYRIGHT"),
        None,
        _patterns(
            r"[<〈＜\[(][^<>〈〉＜＞\[\]()\n]{0,80}(?:[ⓒ©]|무단 ?전재|무단 ?복제|저작권자|copyright)[^<>〈〉＜＞\[\]()\n]{0,80}[>〉＞\])]",
            r"(?:[-–—] ?)?(?:저작권자 ?[ⓒ©(:]|copyrights? ?(?:[ⓒ©(:]|by\b|\d{4})|[ⓒ©]).{0,100}$",
        ),
    ),
    _Rules(
        ("무단",),
        None,
        _patterns(
            r"[-–—,]? ?무단 ?(?:전재|복제|배포|도용)(?: ?(?:및|[-,·ㆍ&/]) ?| )(?:재 ?|무단 ?)?(?:배포|전재|복제|판매)"
            r" ?(?:를 )?(?:금지|불가|불허)(?:합니다|함)?(?![가-힣])\.? ?[-–—]?"
        ),
    ),
    _Rules(("ights reserved", "ights Reserved", "IGHTS RESERVED"), None, _patterns(r"\ball rights reserved\b\.?")),
)


_FAMILIES = {
    "copyright_lines": _COPYRIGHT,
    "captions": _CAPTIONS,
    "bylines": _BYLINES,
    "bracketed_tags": _BRACKETED_TAGS,
}
NEWS_RULES = tuple(_FAMILIES)
"""Fields of `recipe.Clean`, in the order in which they take their share."""


def without_news_frame(text: str, rule: str) -> str:
    """The text without what one of NEWS_RULES names. Blanks must be normal: one between words, none at line ends."""
    for rules in _FAMILIES[rule]:
        text = rules.apply(text)
    return text
