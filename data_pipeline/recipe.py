"""DataRecipe: what configs/*.py declare about text, vocabulary and records. Plain data; every field can be overridden on the command line."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from tyro.conf import Suppress

# Recipe files take these from here.
from data_pipeline.recipe_vocabulary import KLUE_ROBERTA_VOCABULARY as KLUE_ROBERTA_VOCABULARY
from data_pipeline.recipe_vocabulary import KLUE_VOCABULARY as KLUE_VOCABULARY
from data_pipeline.recipe_vocabulary import KOBERT_VOCABULARY as KOBERT_VOCABULARY
from data_pipeline.recipe_vocabulary import LMKOR_VOCABULARY as LMKOR_VOCABULARY
from data_pipeline.recipe_vocabulary import Vocabulary as Vocabulary

Unit = Literal["sentence", "paragraph", "document"]


@dataclass(frozen=True)
class LengthFilter:
    """Drops text that is too short. Set per source where one corpus needs another rule than the rest."""

    min_chars: int = 10
    """Shortest text kept, in characters (blanks count)."""
    unit: Unit = "document"
    """What is measured and dropped: sentence, paragraph (between line breaks) or document."""


@dataclass(frozen=True)
class Source:
    """One corpus: a format, a glob of files, and what the report and the model card say of it."""

    format: str
    """One of data_pipeline.corpus.sources.FORMAT_NAMES; docs/data.md says what each reads."""
    glob: str
    """Files of the corpus; .gz, .xz, .bz2 and .zst are decompressed on the way. Relative to the working directory."""
    name: str = ""
    """Name in reports; empty means the format's name."""
    text_field: str = "text"
    """jsonl, pairs, csv, tsv, lm_dataformat, parquet, arrow and tfds: the field or column that holds the text."""
    summary_field: str = "summary"
    """pairs: the field that holds what is to be written from the text; the document begins with it, on a line of its own."""
    licence: str = "unknown"
    """Licence of the text, as the model card will print it."""
    category: str = ""
    """What kind of text it is (news, cosmetics, ...), for the report, DataRecipe.categories and category_weights."""
    category_field: str = ""
    """Field or column that tells the category of each record, dotted where it is nested: category, metadata.topic."""
    weight: float = 1.0
    """How often its documents are trained on: 2.5 is twice, and half of them a third time; 0.1 is a tenth of them."""
    vocabulary_weight: float | None = None
    """How often its documents count for the vocabulary, likewise; 0 leaves them out. None means as often as they are trained on."""
    length: LengthFilter | None = None
    """Length rule of this source; None means the recipe's."""
    evaluation_fraction: float | None = None
    """Share of this source's documents held out for evaluation, 0 to 1; None means the recipe's."""


@dataclass(frozen=True)
class Clean:
    """Noise removal. HTML entities, NFC and characters that break later tools are always mended; the rest are switches."""

    html_tags: bool = True
    """Remove tags with a known HTML element name (<br>, not <그것이 알고싶다>)."""
    hashtags: bool = True
    """Remove hashtags such as #맛집 (not #1 and not C#)."""
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
    max_repeats: int = 0
    """Longest run of one letter; longer ones are cut (KcBERT: 2, ㅋㅋㅋㅋㅋ to ㅋㅋ). 0 leaves them."""


@dataclass(frozen=True)
class NearDuplicates:
    """Removal of documents that nearly repeat another: MinHash over characters, and one survivor of all that are connected."""

    enabled: bool = True
    """Whether near duplicates are dropped."""
    threshold: float = 0.65
    """Documents that share this much of their n-grams (Jaccard similarity, 0.3 to 1) are near duplicates."""
    ngram: int = 3
    """Characters per n-gram, counted over letters and digits only (blanks, marks and case do not matter)."""
    min_chars: int = 20
    """Shorter documents, in letters and digits, take no part."""
    permutations: int = 128
    """Values in a signature, 2 bytes each; the estimate of the similarity gets better with their square root."""


@dataclass(frozen=True)
class SentenceSplit:
    """Sentence splitting."""

    splitter: Literal["kss"] = "kss"
    """kss is KSS 1.3.1, the C++ release that KLUE used."""
    max_chars: int = 1000
    """A sentence longer than this many characters is split again with its quotes masked."""


@dataclass(frozen=True)
class KoreanFilter:
    """Removes sentences that are not Korean, and documents without a Hangul letter."""

    min_hangul_share: float = 0.3
    """Smallest share of Hangul (syllables and loose jamo) among a sentence's letters, 0 to 1. Sentences without letters pass."""
    max_han_kana: int = 10
    """Most Han and Kana characters a sentence may hold."""


@dataclass(frozen=True)
class Decontamination:
    """Removal of benchmark text by BM25 over character bigrams."""

    benchmarks: tuple[str, ...] = ()
    """Benchmark files or folders whose sentences must not be trained on. Empty switches the step off."""
    threshold: float = 0.6
    """Remove a sentence whose symmetric score 2 s(q,d) / (s(q,q) + s(d,d)) with any benchmark sentence reaches this, 0 to 1."""
    embedded_threshold: float = 0.8
    """Remove a sentence that holds a benchmark sentence: s(q,d) / s(d,d) reaches this, 0 to 1."""
    ngram: int = 2
    """Characters per term, counted over letters and digits only (blanks do not matter)."""
    min_chars: int = 12
    """Benchmark texts that are shorter, in letters and digits, remove only sentences that are the same."""
    formula_share: float = 0.001
    """Benchmark texts that more than this share of all documents hold (감사합니다) stay, and the report lists them; 0: none stays."""
    on_contaminated: Unit = "sentence"
    """What goes when a sentence matches: the sentence, its paragraph or its document."""


@dataclass(frozen=True)
class Pseudonyms:
    """Personal data replaced by fake values of the same form, stable within a document; one switch a type."""

    enabled: bool = True
    """False leaves every value as it stands."""
    email: bool = True
    """E-mail addresses; the hosts of well-known mail services stay."""
    url: bool = True
    """URLs with a scheme, www. or a path; a bare naver.com stays."""
    ip_address: bool = True
    """IPv4 and IPv6 addresses."""
    mention: bool = True
    """@mentions of Latin handles."""
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


@dataclass(frozen=True)
class Packed:
    """Rows filled with segments `[CLS] ... [SEP]` of several documents; attention stays inside a segment."""

    layout: ClassVar[Literal["packed"]] = "packed"
    length: int = 512
    """Tokens a row; a multiple of 8."""


@dataclass(frozen=True)
class FullSentences:
    """Rows of whole sentences in their order, `[CLS] text [SEP] text [SEP]`; attention spans the row (RoBERTa)."""

    layout: ClassVar[Literal["full_sentences"]] = "full_sentences"
    length: int = 512
    """Tokens a row; a multiple of 8."""
    cross_documents: bool = True
    """Go on with the next document in the same row (RoBERTa's FULL-SENTENCES) instead of opening a row (DOC-SENTENCES)."""


@dataclass(frozen=True)
class SentencePairs:
    """Rows `[CLS] A [SEP] B [SEP]` for next-sentence prediction; label 0 means that B follows A, 1 that B is from elsewhere."""

    layout: ClassVar[Literal["sentence_pairs"]] = "sentence_pairs"
    length: int = 512
    """Tokens a row; a multiple of 8."""
    random_next: float = 0.5
    """Share of rows whose B comes from another document, 0 to 1."""
    short_share: float = 0.1
    """Share of rows that aim at a random shorter length, 0 to 1 (BERT, appendix A.2)."""


@dataclass(frozen=True)
class SentenceOrder:
    """Rows `[CLS] A [SEP] B [SEP]` for sentence-order prediction (ALBERT); label 0 means that B follows A, 1 that A follows B."""

    layout: ClassVar[Literal["sentence_order"]] = "sentence_order"
    length: int = 512
    """Tokens a row; a multiple of 8."""
    swapped: float = 0.5
    """Share of rows in which A and B have changed places, 0 to 1."""
    short_share: float = 0.1
    """Share of runs of sentences whose rows aim at a random shorter length, 0 to 1."""


@dataclass(frozen=True)
class Causal:
    """Rows cut from one stream in which [SEP] ends each text, for language modelling from left to right (GPT-3); no padding."""

    layout: ClassVar[Literal["causal"]] = "causal"
    length: int = 1024
    """Tokens a row; a multiple of 8."""


@dataclass(frozen=True)
class SourceTarget:
    """Pairs `[CLS] source [SEP]` and `[CLS] target [SEP]` for an encoder and a decoder."""

    layout: ClassVar[Literal["source_target"]] = "source_target"
    length: int = 512
    """Tokens of a source; a multiple of 8."""
    target_length: int = 128
    """Tokens of a target; a multiple of 8."""
    target: Literal["continuation", "first_paragraph"] = "continuation"
    """continuation: whole sentences, beginning where the source ends. first_paragraph: that of the document, from all that follows it:
    the summary of pairs, the title of news and petitions; both are cut where they are too long."""


Examples = Packed | FullSentences | SentencePairs | SentenceOrder | Causal | SourceTarget


@dataclass(frozen=True)
class DataRecipe:
    """Raw corpora to records."""

    sources: Suppress[tuple[Source, ...]]
    """The corpora, in order of priority (of duplicates the first source's stays). --source FORMAT:GLOB replaces them."""
    categories: tuple[str, ...] = ()
    """Only documents of these categories are used. Empty means all."""
    category_weights: Suppress[tuple[tuple[str, float], ...]] = ()
    """Factors on the weight of documents, by category: (("cosmetics", 2.0), ("food", 0.5))."""
    evaluation_fraction: float = 0.01
    """Share of documents held out for evaluation, 0 to 1; chosen by the hash of their text."""
    clean: Clean = field(default_factory=Clean)
    drop_duplicates: bool = True
    """Drop documents whose cleaned text another has."""
    near_duplicates: NearDuplicates = field(default_factory=NearDuplicates)
    sentences: SentenceSplit = field(default_factory=SentenceSplit)
    korean: KoreanFilter = field(default_factory=KoreanFilter)
    length: LengthFilter = field(default_factory=LengthFilter)
    decontamination: Decontamination = field(default_factory=Decontamination)
    pseudonyms: Pseudonyms = field(default_factory=Pseudonyms)
    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    examples: Examples = field(default_factory=Packed)
    other_lengths: tuple[int, ...] = ()
    """Further lengths for which the same rows are made, for training in phases: 128 beside examples.length 512."""
    word_unit: Literal["token", "bert_word", "eojeol", "morpheme"] = "bert_word"
    """What whole-word masking masks as one: token, bert_word (BertPreTokenizer's words), eojeol or morpheme."""
    seed: int = 0
    """Seed of pseudonyms, sentence pairs, and of which documents a weight with a fraction falls to."""
    part_megabytes: int = 64
    """Megabytes of clean text in one unit of parallel work."""
    max_bad_records: int = 0
    """Unreadable records (file and line are reported) after which the work fails."""

    @property
    def targets_are_summaries(self) -> bool:
        """Whether rows learn to write a document's first paragraph, which is its summary where it has one."""
        return isinstance(self.examples, SourceTarget) and self.examples.target == "first_paragraph"
