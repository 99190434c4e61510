"""The ordered table of the corpus steps: what a recipe says of each, the code that does it, its reasons, and what it says of itself.

A new filter is its step below corpus/steps/ and, here, its settings, its field and its row. Outside corpus/, so that a new row redoes
nobody's work: a task names the steps that it runs, and their settings are among its parameters.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from data_pipeline.contract.recipe_fields import ABOVE_ZERO, AT_LEAST_ONE, AT_LEAST_ZERO, ZERO_TO_ONE, between, number
from data_pipeline.contract.tokenizer_kind import is_word_piece

Unit = Literal["sentence", "paragraph", "document"]


@dataclass(frozen=True)
class Repair:
    """What broken conversions, old fonts and fixed line widths did to a text, put right before cleaning."""

    max_lost_share: float = number(0.05, ZERO_TO_ONE)
    """Largest share of U+FFFD among a document's characters, 0 to 1: what a conversion could not read. The others lose these characters."""
    hanyang: bool = False
    """Turn the private-use characters of Hanyang's fonts (old Hangul, as in 나랏말ᄊᆞ미) into jamo; wants the extra [hanyang]. Off, they are counted."""
    join_lines: bool = False
    """Join hard-wrapped lines: a line that ends without a stop goes on in the next. Of lines up to a blank one."""


@dataclass(frozen=True)
class Clean:
    """Noise removal. HTML entities, NFC and characters that break later tools are always mended; the rest are switches."""

    html_tags: bool = True
    """Remove tags with a known HTML element name (<br>, not <그것이 알고싶다>)."""
    hashtags: bool = True
    """Remove hashtags that label a text, such as #맛집 (not #1 and not C#); one inside a sentence loses its # alone."""
    empty_brackets: bool = True
    """Remove brackets with nothing in them."""
    bylines: bool = False
    """News: remove reporters' names with their tags: (서울=연합뉴스) 홍길동 기자 =, 홍길동 기자 hong@paper.co.kr."""
    bracketed_tags: bool = False
    """News: remove all in [] 【】 ［］ 〔〕, and (…기자) (…뉴스) (…사진) (…영상) (…제공) and dates in parentheses (KPF-BERT's rules)."""
    captions: bool = False
    """News: remove captions and picture credits: {IMG:1}, 사진=뉴스1, lines from ▲ to a credit."""
    copyright_lines: bool = False
    """News: remove copyright tags: ⓒ 신문사, 무단전재 및 재배포 금지."""
    foreign_characters: bool = False
    """Remove what KcBERT and LMkor remove: all but Hangul, ASCII and % · ∼ (Han characters, Kana and emoji go, and so do “ ” …)."""
    max_repeats: int = number(0, AT_LEAST_ZERO)
    """Longest run of one letter; longer ones are cut (KcBERT: 2, ㅋㅋㅋㅋㅋ to ㅋㅋ). 0 leaves them."""


@dataclass(frozen=True)
class NearDuplicates:
    """Removal of documents that nearly repeat another: MinHash over characters, and one survivor of all that are connected."""

    enabled: bool = True
    """Whether near duplicates are dropped."""
    threshold: float = number(0.65, between(0.3, 1))
    """Documents that share this much of their n-grams (Jaccard similarity, 0.3 to 1) are near duplicates."""
    ngram: int = number(3, AT_LEAST_ONE)
    """Characters per n-gram, counted over letters and digits only (blanks, marks and case do not matter)."""
    min_chars: int = number(20, AT_LEAST_ZERO)
    """Shorter documents, in letters and digits, take no part."""
    permutations: int = number(128, between(16, 1024))
    """Values in a signature, 2 bytes each; the estimate of the similarity gets better with their square root."""


@dataclass(frozen=True)
class SentenceSplit:
    """Sentence splitting."""

    splitter: Literal["kss", "kss_repaired"] = "kss_repaired"
    """kss is KSS 1.3.1, the C++ release that KLUE used; kss_repaired finds the ends that it misses, with or without a mark."""
    max_chars: int = number(1000, AT_LEAST_ONE)
    """A sentence longer than this many characters is split again with its quotes masked (kss_repaired: its brackets, too)."""


@dataclass(frozen=True)
class Holes:
    """Sentences of which a reader left out a part: a template's value (wikipedia), a formula, a masked name (modu)."""

    drop: bool = True
    """Remove them. False keeps them, closed up as if nothing were missing."""


@dataclass(frozen=True)
class KoreanFilter:
    """Removes sentences that are not Korean, and documents without a Hangul letter."""

    min_hangul_share: float = number(0.3, ZERO_TO_ONE)
    """Smallest share of Hangul (syllables and loose jamo) among a sentence's letters, 0 to 1. Sentences without letters pass."""
    letters: Literal["text", "all"] = "text"
    """What counts, and how much. text: the letters of URLs, e-mail addresses and Han glosses in parentheses (가학적(加虐的)) do not, and a
    Hangul, Han or Kana character counts as 2.5 Latin letters. all: every letter, as one."""
    max_han_kana: int = number(10, AT_LEAST_ZERO)
    """Most Han and Kana characters a sentence may hold."""


@dataclass(frozen=True)
class LongWords:
    """Drops sentences with a word that BERT's tokenizers take for one [UNK], whatever the vocabulary; WordPiece only."""

    max_chars: int = number(100, AT_LEAST_ZERO)
    """Longest word kept, in characters between blanks and marks: transformers' `max_input_chars_per_word`. 0 keeps all."""


@dataclass(frozen=True)
class LengthFilter:
    """Drops text that is too short. Set per source where one corpus needs another rule than the rest."""

    min_chars: int = number(10, AT_LEAST_ZERO)
    """Shortest text kept, in characters (blanks count)."""
    unit: Unit = "document"
    """What is measured and dropped: sentence, paragraph (between line breaks) or document."""


@dataclass(frozen=True)
class Decontamination:
    """Removal of benchmark text by BM25 over character bigrams."""

    benchmarks: tuple[str, ...] = ()
    """Benchmark files or folders whose sentences must not be trained on. Empty switches the step off."""
    threshold: float = number(0.6, ABOVE_ZERO)
    """Remove a sentence whose symmetric score 2 s(q,d) / (s(q,q) + s(d,d)) with any benchmark sentence reaches this, 0 to 1."""
    embedded_threshold: float = number(0.8, ABOVE_ZERO)
    """Remove a sentence that holds a benchmark sentence: s(q,d) / s(d,d) reaches this, 0 to 1."""
    ngram: int = number(2, between(1, 4))
    """Characters per term, 1 to 4 (so many fit into 63 bits), counted over letters and digits only (blanks do not matter)."""
    min_chars: int = number(12, AT_LEAST_ZERO)
    """Benchmark texts that are shorter, in letters and digits, remove only sentences that are the same."""
    across_sentences: bool = True
    """Whether benchmark texts of 12 letters and digits or more (below 20 only whole copies) are looked for in the letters of the whole
    document, too: those that a line or sentence break cuts go with every sentence that they touch."""
    strict_short: bool = True
    """Whether short benchmark texts need more: below 16 letters and digits thresholds higher by 18 %; below 6 a document that is nothing else;
    titles of SQuAD-like files a sentence that is the same."""
    formula_share: float = number(0.001, ZERO_TO_ONE)
    """Benchmark texts that more than this share of all documents hold (감사합니다) stay, and the report lists them; 0: none stays."""
    on_contaminated: Unit = "sentence"
    """What goes when a sentence matches: the sentence, its paragraph or its document."""


@dataclass(frozen=True)
class Pseudonyms:
    """Personal data replaced by fake values of the same form, stable within a document; one switch a type."""

    enabled: bool = True
    """False leaves every value as it stands."""
    email: bool = True
    """E-mail addresses; the hosts of well-known mail services and of the government stay, others become reserved ones (.test)."""
    url: bool = True
    """URLs with a scheme, www. or a path; a bare naver.com stays. Of the hosts those of well-known services, newspapers and .go.kr
    stay, the others become reserved ones (.test)."""
    ip_address: bool = True
    """IPv4 and IPv6 addresses."""
    mention: bool = True
    """@mentions of Latin handles."""
    messenger: bool = True
    """Ids beside the name of a messenger: KakaoTalk, Telegram, Line, WeChat, Discord, Skype."""
    mobile: bool = True
    """Mobile numbers, 010 and older; the prefix stays."""
    landline: bool = True
    """Landline, 070 and 050x numbers; the area code stays. Companies' 1588-1234 and 080 stay."""
    resident_number: bool = True
    """Resident registration numbers (주민등록번호)."""
    foreigner_number: bool = True
    """Foreigner registration numbers (외국인등록번호)."""
    passport: bool = True
    """Passport numbers."""
    customs_code: bool = True
    """Personal customs codes (개인통관고유부호)."""
    driver_licence: bool = True
    """Driver's licence numbers; the region stays."""
    card: bool = True
    """Card numbers whose Luhn sum is right."""
    bank_account: bool = True
    """Account numbers beside a bank's name or a word such as 계좌."""
    plate: bool = True
    """Vehicle plates."""
    address: bool = True
    """Street and lot addresses, from the road or village on; province, city and district stay."""


@dataclass(frozen=True, kw_only=True)
class CorpusSteps:
    """The steps between a source's raw text and sentences to train on, in their order."""

    repair: Repair = field(default_factory=Repair)
    clean: Clean = field(default_factory=Clean)
    drop_duplicates: bool = True
    """Drop documents whose cleaned text another has."""
    near_duplicates: NearDuplicates = field(default_factory=NearDuplicates)
    sentences: SentenceSplit = field(default_factory=SentenceSplit)
    holes: Holes = field(default_factory=Holes)
    korean: KoreanFilter = field(default_factory=KoreanFilter)
    long_words: LongWords = field(default_factory=LongWords)
    length: LengthFilter = field(default_factory=LengthFilter)
    decontamination: Decontamination = field(default_factory=Decontamination)
    pseudonyms: Pseudonyms = field(default_factory=Pseudonyms)


@dataclass(frozen=True)
class Row:
    """A step of the table.

    - `field`: of CorpusSteps.
    - `reasons`: the headings under which it drops, `documents: REASON` or `sentences: REASON`, and others of its examples.
    - `says`: what the account of a run says of it, from the recipe; the numbers come from the counts.
    - `step`: `module:function` below data_pipeline.corpus.steps, which makes the step of split documents from its settings; empty for
      what has stages of its own.
    - `on`: whether a recipe has it at all.
    - `depends_on`: the fields of its settings that the step reads; empty for all.
    - `counts`: what it counts by source and kind instead of drops, `replaced`.
    - `takes`: what the function takes beside the settings: the recipe's `seed`, the benchmark `matches` of the documents.
    """

    field: str
    reasons: tuple[str, ...]
    says: Callable[[Any], str]
    step: str = ""
    on: Callable[[Any], bool] = lambda recipe: True
    depends_on: tuple[str, ...] = ()
    counts: str = ""
    takes: tuple[str, ...] = ()

    def of_source(self, recipe: Any, source: Any) -> Any:
        """Its settings for the documents of a source, which may have its own."""
        own = getattr(source, self.field, None)
        return getattr(recipe, self.field) if own is None else own


def _split(recipe: Any) -> str:
    known = {"kss": "KSS 1.3.1", "kss_repaired": "kss_repaired, a linear model and rules"}
    return f"sentences split with {known[recipe.sentences.splitter]}"


def _cleaned(recipe: Any) -> str:
    removed = [name.replace("_", " ") for name, on in vars(recipe.clean).items() if on is True]
    cut = f"; runs of one letter cut to {recipe.clean.max_repeats}" if recipe.clean.max_repeats else ""
    return (
        "HTML entities, NFC and control characters mended"
        + (f"; {', '.join(removed)} removed" if removed else "")
        + cut
    )


def _near_duplicates(recipe: Any) -> str:
    near = recipe.near_duplicates
    if not near.enabled:
        return "near duplicates of documents kept"
    return f"near duplicates of documents (Jaccard similarity of character {near.ngram}-grams from {near.threshold:g}) dropped"


def _short(rule: LengthFilter) -> str:
    return f"{rule.unit}s shorter than {rule.min_chars} characters"


def _cuts_long_words(recipe: Any) -> bool:
    """Whether a long word is a loss: WordPiece has a limit, Unigram and BPE none."""
    given = recipe.vocabulary.given
    word_piece = is_word_piece(Path(given).expanduser()) if given else recipe.vocabulary.model == "wordpiece"
    return bool(recipe.long_words.max_chars) and word_piece


def _long_words(recipe: Any) -> str:
    if not _cuts_long_words(recipe):
        return "sentences kept whatever the length of their words"
    return f"sentences with a word of more than {recipe.long_words.max_chars} characters dropped"


def _length(recipe: Any) -> str:
    own = [f"; of {source.name or source.format} {_short(source.length)}" for source in recipe.sources if source.length]
    return f"{_short(recipe.length)} dropped{''.join(own)}"


def _decontaminated(recipe: Any) -> str:
    rule = recipe.decontamination
    if not rule.benchmarks:
        return "not decontaminated against any benchmark"
    names = ", ".join(path.rstrip("/").split("/")[-1] for path in rule.benchmarks)
    across = ", across sentences" if rule.across_sentences else ""
    return (
        f"decontaminated by BM25 over character {rule.ngram}-grams{across} against {names} (threshold {rule.threshold:g}, "
        f"{rule.on_contaminated} removed)"
    )


def _pseudonyms(recipe: Any) -> str:
    kinds = {name.replace("_", " "): on for name, on in vars(recipe.pseudonyms).items() if name != "enabled"}
    looked_for = [name for name, on in kinds.items() if on] if recipe.pseudonyms.enabled else []
    if not looked_for:
        return "personal data neither looked for nor replaced"
    left = [name for name, on in kinds.items() if not on]
    return (
        f"personal data found by rules, which miss some, and replaced by fake values of the same form: {', '.join(looked_for)}"
        + (f"; not looked for: {', '.join(left)}" if left else "")
    )


def _korean(recipe: Any) -> str:
    rule = recipe.korean
    how = " (addresses and Han glosses left out, Hangul counted 2.5 times)" if rule.letters == "text" else ""
    return (
        f"sentences with less than {rule.min_hangul_share:.0%} Hangul letters{how} or more than "
        f"{rule.max_han_kana} Han and Kana characters dropped"
    )


def _repaired(recipe: Any) -> str:
    repair = recipe.repair
    done = [
        *(["Hanyang's private-use Hangul mapped to jamo"] if repair.hanyang else []),
        *(["hard-wrapped lines joined"] if repair.join_lines else []),
    ]
    return "; ".join([f"documents with more than {repair.max_lost_share:.0%} lost characters (U+FFFD) dropped", *done])


ROWS = (
    Row("repair", ("documents: lost characters",), _repaired),
    Row(
        "clean",
        ("clean", "documents: empty after cleaning", "documents: nested markup", "documents: no summary"),
        _cleaned,
    ),
    Row(
        "drop_duplicates",
        ("documents: duplicate",),
        lambda recipe: f"exact duplicates of documents {'dropped' if recipe.drop_duplicates else 'kept'}",
        on=lambda recipe: recipe.drop_duplicates,
    ),
    Row(
        "near_duplicates",
        ("documents: near duplicate", "near duplicates, and what stays"),
        _near_duplicates,
        on=lambda recipe: recipe.near_duplicates.enabled,
    ),
    Row("sentences", ("split", "documents: no sentence"), _split),
    Row(
        "holes",
        ("sentences: hole", "documents: hole"),
        lambda recipe: (
            f"sentences of which templates, formulae or masks took a part {'dropped' if recipe.holes.drop else 'kept'}"
        ),
        step="holes:holes",
    ),
    Row(
        "korean",
        (
            "sentences: not Korean",
            "documents: not Korean",
            "sentences: Han or Kana",
            "documents: Han or Kana",
            "documents: no Korean",
        ),
        _korean,
        step="korean_filter:korean_filter",
    ),
    Row(
        "long_words",
        ("sentences: long word", "documents: long word"),
        _long_words,
        step="long_words:long_word_filter",
        on=_cuts_long_words,
    ),
    Row("length", ("sentences: too short", "documents: too short"), _length, step="length_filter:length_filter"),
    Row(
        "decontamination",
        ("sentences: benchmark", "documents: benchmark"),
        _decontaminated,
        step="decontamination:decontamination",
        on=lambda recipe: bool(recipe.decontamination.benchmarks),
        depends_on=("on_contaminated",),
        takes=("matches",),
    ),
    # Last: what came before compares the text as people wrote it.
    Row(
        "pseudonyms",
        (),
        _pseudonyms,
        step="pseudonyms.step:pseudonymiser",
        on=lambda recipe: (
            recipe.pseudonyms.enabled and any(on for name, on in vars(recipe.pseudonyms).items() if name != "enabled")
        ),
        counts="replaced",
        takes=("seed",),
    ),
)
"""In the order in which documents go through them."""


def reasons_of(*fields: str) -> list[str]:
    """For which documents or sentences go in the steps of these fields."""
    headings = [heading for row in ROWS if row.field in fields for heading in row.reasons]
    return [reason for kind, _, reason in (heading.partition(": ") for heading in headings) if reason]
