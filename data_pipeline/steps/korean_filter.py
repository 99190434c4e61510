"""Removal of sentences that are not Korean, and of documents without any."""

import re

from data_pipeline.document import Document, Dropped, Removed, Step
from data_pipeline.recipe import KoreanFilter
from data_pipeline.steps.removal import remove_sentences, sentences_of, survivor

# Syllables, then jamo: modern, compatibility, extended A and B, halfwidth.
HANGUL = re.compile("[가-힣\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\ud7b0-\ud7ff\uffa0-\uffdc]")
_NOT_HANGUL = re.compile("[^가-힣\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\ud7b0-\ud7ff\uffa0-\uffdc]+")
# Ideographs (with 々〆〇) and kana. The katakana middle dot U+30FB is left out: Korean text uses it as its own ·.
_HAN_OR_KANA = re.compile(
    "[\u3005-\u3007\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f]"
)
# A search of its own: a class that mixes both planes is ten times slower.
_RARE_HAN = re.compile("[\U00020000-\U000323af]")


def korean_filter(recipe: KoreanFilter) -> Step:
    """Makes the step that removes sentences by their letters.

    "not Korean": Hangul makes up less than `recipe.min_hangul_share` of the letters (Unicode category L); a sentence
    without letters passes. "Han or Kana": more than `recipe.max_han_kana` of these characters. A document whose
    remaining sentences hold no Hangul is dropped as "no Korean", one without remaining sentences with the reason of its
    last removal.
    """

    def why_not(sentence: str) -> Removed | None:
        hangul = len(_NOT_HANGUL.sub("", sentence))
        # Most sentences are Hangul, blanks and a full stop: they cannot fall short, whatever the rest is.
        if hangul < recipe.min_hangul_share * len(sentence):
            letters = sum(map(str.isalpha, sentence))
            if hangul < recipe.min_hangul_share * letters:
                return Removed(sentence, reason="not Korean", detail=f"{hangul} of {letters} letters are Hangul")
        han_kana = len(_HAN_OR_KANA.findall(sentence)) + len(_RARE_HAN.findall(sentence))
        if han_kana > recipe.max_han_kana:
            return Removed(sentence, reason="Han or Kana", detail=f"{han_kana} characters")
        return None

    def keep_korean(document: Document) -> Document | Dropped:
        verdicts = ((index, why_not(sentence.text)) for index, sentence in enumerate(sentences_of(document)))
        document = remove_sentences(document, {index: removed for index, removed in verdicts if removed})
        kept = sentences_of(document)
        if kept and not any(HANGUL.search(sentence.text) for sentence in kept):
            return Dropped(document, reason="no Korean")
        return survivor(document)

    return keep_korean
