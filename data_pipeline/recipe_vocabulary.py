"""Vocabulary: what a recipe declares about it, and those of published models. Plain data."""

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from data_pipeline.contract.recipe_fields import AT_LEAST_ONE, AT_LEAST_ZERO, ZERO_TO_ONE, number

Role = Literal["pad", "unk", "cls", "sep", "mask"]


@dataclass(frozen=True)
class Vocabulary:
    """The vocabulary: trained on counts of morphemes or eojeols, or given. docs/vocabulary.md has those of published models."""

    size: int = 32_000
    """Rows, exactly; specials and [unusedN] included."""
    unused: int = number(500, AT_LEAST_ZERO)
    """Rows [unused0]...; kept free for later domain words."""
    model: Literal["wordpiece", "unigram"] = "wordpiece"
    """wordpiece: BERT's; pieces that go on inside a word carry ##. unigram: SentencePiece's, as KoBERT's; pieces that begin a word
    carry a blank. It wants the scheme plain."""
    scheme: Literal["klue", "continuation", "plain"] = "continuation"
    """continuation: a morpheme inside an eojeol carries ##; measured as the best. klue: every morpheme is counted as a word of its
    own, which gives KLUE's vocabulary. plain: eojeols are counted, without morphemes."""
    character_coverage: float = number(0.9999, ZERO_TO_ONE)
    """Share of the corpus' characters that the alphabet covers, 0 to 1; rarer characters become [UNK]."""
    min_count: int = number(2, AT_LEAST_ONE)
    """Morphemes or eojeols counted less often teach no pieces."""
    lowercase: bool = False
    """Lower-case the text (accents and Hangul are never decomposed)."""
    given: str = ""
    """Path of a vocab.txt, a SentencePiece model (.model, .spiece) or a Hugging Face folder to use instead of training one; its size
    then wins over `size`."""
    specials: tuple[Role, ...] = ()
    """Order of the specials, ids 0 to 4: cls pad sep unk mask is KLUE-RoBERTa's. Empty means pad unk cls sep mask for wordpiece, unk
    pad cls sep mask for unigram, or a given vocabulary's own."""
    begin_and_end: bool = False
    """Whether the tokenizer's files also name [CLS] as bos_token and [SEP] as eos_token, as RoBERTa's do."""
    alphabet_limit: int | None = number(None, AT_LEAST_ONE)
    """wordpiece: characters of the alphabet, the most frequent ones, instead of character_coverage. None: character_coverage."""
    order: Literal["rank", "code_point"] = "rank"
    """Order of a wordpiece vocabulary's characters and a unigram one's pieces: rank (most frequent or most likely first) or code_point."""
    unused_rows: Literal["first", "last"] = "first"
    """Where the [unusedN] rows are: behind the specials (first), or behind all others (last)."""
    normalization: Literal["nfc", "nmt_nfkc"] = "nfc"
    """unigram: nfc leaves ㅋㅋㅋ, ① and full-width letters as they are; nmt_nfkc is SentencePiece's default, as KoBERT's."""

    def special_tokens(self) -> tuple[str, ...]:
        """The specials in the order of their ids."""
        customary = (
            ("unk", "pad", "cls", "sep", "mask") if self.model == "unigram" else ("pad", "unk", "cls", "sep", "mask")
        )
        return tuple(f"[{role.upper()}]" for role in self.specials or customary)


KLUE_VOCABULARY = Vocabulary(
    size=32_000, unused=500, scheme="klue", alphabet_limit=2_000, order="code_point", unused_rows="last"
)
"""KLUE-BERT's: WordPiece of morphemes, cased; 2,000 characters by code point, their ## forms, merges, [unusedN]."""
KLUE_ROBERTA_VOCABULARY = replace(KLUE_VOCABULARY, specials=("cls", "pad", "sep", "unk", "mask"), begin_and_end=True)
"""KLUE-RoBERTa's: KLUE-BERT's with fairseq's order of specials."""
LMKOR_VOCABULARY = Vocabulary(size=42_000, unused=2_000, scheme="plain", lowercase=True)
"""LMkor's: WordPiece of eojeols, lower-cased. The alphabet is clean where the text is: Clean(foreign_characters=True)."""
KOBERT_VOCABULARY = Vocabulary(
    model="unigram",
    size=8_002,
    unused=0,
    scheme="plain",
    character_coverage=0.9995,
    order="code_point",
    normalization="nmt_nfkc",
)
"""KoBERT's: Unigram of eojeols, cased; [UNK] [PAD] [CLS] [SEP] [MASK] are the rows 0 to 4, and 7,997 pieces follow by code point."""

ADDED_FIELDS = ("specials", "begin_and_end", "alphabet_limit", "order", "unused_rows", "normalization")
"""Fields that earlier code did not have; their defaults are what it did."""
CHANGED_CONSTANTS = (
    (Vocabulary(size=32_000, unused=500, scheme="klue"), KLUE_VOCABULARY),
    (Vocabulary(model="unigram", size=8_002, unused=0, scheme="plain"), KOBERT_VOCABULARY),
)
"""Constants that earlier code had otherwise: as it had them, as they are."""


def as_prepared(written: dict[str, Any], recipe: Vocabulary) -> Vocabulary:
    """The vocabulary recipe that a prepared folder keeps: today's, unless it is the folder's with a constant that has changed since.

    - `written`: the recipe of the folder's manifest; fields that it lacks are at their defaults.

    A recipe file that names a constant has not changed because the constant has.
    """
    names = {each.name for each in fields(Vocabulary)}
    before = Vocabulary(**{name: _tuples(value) for name, value in written.items() if name in names})
    differing = {name for name in names if getattr(before, name) != getattr(recipe, name)}
    for earlier, now in CHANGED_CONSTANTS:
        moved = {name for name in names if getattr(earlier, name) != getattr(now, name)}
        if differing <= moved and all(
            getattr(before, name) == getattr(earlier, name) and getattr(recipe, name) == getattr(now, name)
            for name in differing
        ):
            return before
    return recipe


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
