"""DataRecipe: what configs/*.py declare about text, vocabulary and records. Plain data; every field can be overridden on the command line."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from tyro.conf import Suppress

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_fields import (
    AT_LEAST_ONE,
    AT_LEAST_ZERO,
    ROW_LENGTH,
    ZERO_TO_ONE,
    Limit,
    between,
    number,
)

# Recipe files take these from here.
from data_pipeline.pipeline import Clean as Clean
from data_pipeline.pipeline import CorpusSteps
from data_pipeline.pipeline import Decontamination as Decontamination
from data_pipeline.pipeline import Holes as Holes
from data_pipeline.pipeline import KoreanFilter as KoreanFilter
from data_pipeline.pipeline import LengthFilter as LengthFilter
from data_pipeline.pipeline import LongWords as LongWords
from data_pipeline.pipeline import NearDuplicates as NearDuplicates
from data_pipeline.pipeline import Pseudonyms as Pseudonyms
from data_pipeline.pipeline import Repair as Repair
from data_pipeline.pipeline import SentenceSplit as SentenceSplit
from data_pipeline.recipe_vocabulary import KLUE_ROBERTA_VOCABULARY as KLUE_ROBERTA_VOCABULARY
from data_pipeline.recipe_vocabulary import KLUE_VOCABULARY as KLUE_VOCABULARY
from data_pipeline.recipe_vocabulary import KOBERT_VOCABULARY as KOBERT_VOCABULARY
from data_pipeline.recipe_vocabulary import LMKOR_VOCABULARY as LMKOR_VOCABULARY
from data_pipeline.recipe_vocabulary import Vocabulary as Vocabulary

LEAST_WEIGHT, MOST_WEIGHT = 0.001, 1000
WEIGHT = between(LEAST_WEIGHT, MOST_WEIGHT)
WEIGHT_OR_NONE = Limit(f"0, or {WEIGHT.words}", lambda value: value == 0 or WEIGHT.holds(value))


@dataclass(frozen=True)
class Source:
    """One corpus: a format, a glob of files, and what the report and the model card say of it."""

    format: str
    """One of data_pipeline.source_formats.FORMATS, or FORMAT.FIELD as on the command line; docs/data.md says what each reads."""
    glob: str
    """Files of the corpus; .gz, .xz, .bz2 and .zst are decompressed on the way. Relative to the working directory."""
    name: str = ""
    """Name in reports; empty means the format's name."""
    text_field: str = "text"
    """json, jsonl, pairs, csv, tsv, lm_dataformat, parquet, arrow and tfds: the field or column that holds the text, dotted where it is
    nested: data.paragraphs.text."""
    summary_field: str = "summary"
    """pairs: the field that holds what is to be written from the text; the document begins with it, on a line of its own."""
    licence: str = "unknown"
    """Licence of the text, as the model card will print it."""
    encoding: str = "utf-8"
    """Encoding of its files, as Python names it: cp949 (which holds EUC-KR), utf-16, johab. Wikipedia's XML, Parquet, Arrow and TFDS have their own."""
    category: str = ""
    """What kind of text it is (news, cosmetics, ...), for the report, DataRecipe.categories and category_weights."""
    category_field: str = ""
    """Field or column that tells the category of each record, dotted where it is nested: category, metadata.topic."""
    weight: float = number(1.0, WEIGHT)
    """How often its documents are trained on: 2.5 is twice, and half of them a third time; 0.1 is a tenth of them."""
    vocabulary_weight: float | None = number(None, WEIGHT_OR_NONE)
    """How often its documents count for the vocabulary, likewise; 0 leaves them out. None means as often as they are trained on."""
    length: LengthFilter | None = None
    """Length rule of this source; None means the recipe's."""
    evaluation_fraction: float | None = number(None, ZERO_TO_ONE)
    """Share of this source's documents held out for evaluation, 0 to 1; None means the recipe's."""

    def __post_init__(self) -> None:
        """Takes FORMAT.FIELD apart."""
        format_name, dot, field_name = self.format.partition(".") if isinstance(self.format, str) else ("", "", "")
        if not dot:
            return
        if self.text_field not in ("text", field_name):
            raise InputError(f"source {self.format}: text_field {self.text_field!r} names another field; keep one")
        object.__setattr__(self, "format", format_name)
        object.__setattr__(self, "text_field", field_name or "text")


@dataclass(frozen=True)
class Packed:
    """Rows filled with segments `[CLS] ... [SEP]` of several documents; attention stays inside a segment."""

    layout: ClassVar[Literal["packed"]] = "packed"
    length: int = number(512, ROW_LENGTH)
    """Tokens a row; a multiple of 8."""


@dataclass(frozen=True)
class FullSentences:
    """Rows of whole sentences in their order, `[CLS] text [SEP] text [SEP]`; attention spans the row (RoBERTa)."""

    layout: ClassVar[Literal["full_sentences"]] = "full_sentences"
    length: int = number(512, ROW_LENGTH)
    """Tokens a row; a multiple of 8."""
    cross_documents: bool = True
    """Go on with the next document in the same row (RoBERTa's FULL-SENTENCES) instead of opening a row (DOC-SENTENCES)."""


@dataclass(frozen=True)
class SentencePairs:
    """Rows `[CLS] A [SEP] B [SEP]` for next-sentence prediction; label 0 means that B follows A, 1 that B is from elsewhere."""

    layout: ClassVar[Literal["sentence_pairs"]] = "sentence_pairs"
    length: int = number(512, ROW_LENGTH)
    """Tokens a row; a multiple of 8."""
    random_next: float = number(0.5, ZERO_TO_ONE)
    """Share of rows whose B comes from another document, 0 to 1."""
    short_share: float = number(0.1, ZERO_TO_ONE)
    """Share of rows that aim at a random shorter length, 0 to 1 (BERT, appendix A.2)."""


@dataclass(frozen=True)
class SentenceOrder:
    """Rows `[CLS] A [SEP] B [SEP]` for sentence-order prediction (ALBERT); label 0 means that B follows A, 1 that A follows B."""

    layout: ClassVar[Literal["sentence_order"]] = "sentence_order"
    length: int = number(512, ROW_LENGTH)
    """Tokens a row; a multiple of 8."""
    swapped: float = number(0.5, ZERO_TO_ONE)
    """Share of rows in which A and B have changed places, 0 to 1."""
    short_share: float = number(0.1, ZERO_TO_ONE)
    """Share of runs of sentences whose rows aim at a random shorter length, 0 to 1."""


@dataclass(frozen=True)
class Causal:
    """Rows cut from one stream in which [SEP] ends each text, for language modelling from left to right (GPT-3); no padding."""

    layout: ClassVar[Literal["causal"]] = "causal"
    length: int = number(1024, ROW_LENGTH)
    """Tokens a row; a multiple of 8."""


@dataclass(frozen=True)
class SourceTarget:
    """Pairs `[CLS] source [SEP]` and `[CLS] target [SEP]` for an encoder and a decoder."""

    layout: ClassVar[Literal["source_target"]] = "source_target"
    length: int = number(512, ROW_LENGTH)
    """Tokens of a source; a multiple of 8."""
    target_length: int = number(128, ROW_LENGTH)
    """Tokens of a target; a multiple of 8."""
    target: Literal["continuation", "first_paragraph"] = "continuation"
    """continuation: whole sentences, beginning where the source ends. first_paragraph: that of the document, from all that follows it:
    the summary of pairs, the title of news and petitions; both are cut where they are too long."""


Examples = Packed | FullSentences | SentencePairs | SentenceOrder | Causal | SourceTarget


@dataclass(frozen=True)
class DataRecipe(CorpusSteps):
    """Raw corpora to records."""

    sources: Suppress[tuple[Source, ...]]
    """The corpora, in order of priority (of duplicates the first source's stays). --source FORMAT:GLOB replaces them."""
    categories: tuple[str, ...] = ()
    """Only documents of these categories are used. Empty means all."""
    category_weights: Suppress[tuple[tuple[str, float], ...]] = ()
    """Factors on the weight of documents, by category: (("cosmetics", 2.0), ("food", 0.5))."""
    evaluation_fraction: float = number(0.01, ZERO_TO_ONE)
    """Share of documents held out for evaluation, 0 to 1; chosen by the hash of their text."""
    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    examples: Examples = field(default_factory=Packed)
    other_lengths: tuple[int, ...] = ()
    """Further lengths for which the same rows are made, for training in phases: 128 beside examples.length 512."""
    rows_by_category: bool = False
    """Whether each row holds documents of one category, so that the phases of a training may weigh categories
    (training.phases.N.category_weights)."""
    word_unit: Literal["token", "bert_word", "eojeol", "morpheme"] = "bert_word"
    """What whole-word masking masks as one: token, bert_word (BertPreTokenizer's words), eojeol or morpheme."""
    seed: int = 0
    """Seed of pseudonyms, sentence pairs, and of which documents a weight with a fraction falls to."""
    part_megabytes: int = number(64, AT_LEAST_ONE)
    """Megabytes of clean text in one unit of parallel work."""
    max_bad_records: int = number(0, AT_LEAST_ZERO)
    """Unreadable records (file and line are reported) after which the work fails."""
    read_up_to_damage: bool = False
    """Keep what stands before a place from which a file cannot be read on, instead of stopping; prepare tells the bytes unread."""

    @property
    def targets_are_summaries(self) -> bool:
        """Whether rows learn to write a document's first paragraph, which is its summary where it has one."""
        return isinstance(self.examples, SourceTarget) and self.examples.target == "first_paragraph"
