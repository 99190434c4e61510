"""Removal of sentences that are not Korean, and of documents without any."""

from data_pipeline.corpus.document import Document, Dropped, Removed, Step
from data_pipeline.corpus.steps.korean_letters import HANGUL_WEIGHT, without_addresses_and_glosses
from data_pipeline.corpus.steps.removal import remove_sentences, sentences_of, survivor
from data_pipeline.corpus.steps.scripts import Scripts, count_scripts
from data_pipeline.recipe import KoreanFilter


def korean_filter(recipe: KoreanFilter) -> Step:
    """Makes the step that removes sentences by their letters.

    "not Korean": Hangul makes up less than `recipe.min_hangul_share` of the letters (Unicode category L); a sentence
    without letters passes. "Han or Kana": more than `recipe.max_han_kana` of these characters. With `recipe.letters` "text" what is in
    addresses and glosses does not count, and a Hangul, Han or Kana character counts HANGUL_WEIGHT times. A document whose
    remaining sentences hold no Hangul is dropped as "no Korean", one without remaining sentences with the reason of its
    last removal.
    """

    def why_not(sentence: str, scripts: Scripts) -> Removed | None:
        if scripts.hangul < recipe.min_hangul_share * scripts.letters:
            return Removed(sentence, "not Korean", f"{scripts.hangul} of {scripts.letters} letters are Hangul")
        if scripts.han_or_kana > recipe.max_han_kana:
            return Removed(sentence, "Han or Kana", f"{scripts.han_or_kana} characters")
        return None

    def why_not_as_text(sentence: str, scripts: Scripts) -> Removed | None:
        """Only what fails by all its letters is looked at again: what is left out holds no Hangul, and the weight favours it."""
        removed = why_not(sentence, scripts)
        if removed is None:
            return None
        text = without_addresses_and_glosses(sentence)
        hangul, han_or_kana, letters = count_scripts([text]).tolist()[0]
        if not letters:
            return removed  # an address is no sentence
        weighted = HANGUL_WEIGHT * (hangul + han_or_kana) + (letters - hangul - han_or_kana)
        if HANGUL_WEIGHT * hangul < recipe.min_hangul_share * weighted:
            detail = f"{hangul} of {letters} letters are Hangul, addresses left out"
            return Removed(sentence, "not Korean", detail if text != sentence else removed.detail)
        return (
            Removed(sentence, "Han or Kana", f"{han_or_kana} characters") if han_or_kana > recipe.max_han_kana else None
        )

    judged = why_not_as_text if recipe.letters == "text" else why_not

    def keep_korean(document: Document) -> Document | Dropped:
        sentences = sentences_of(document)
        scripts = [Scripts(*counts) for counts in count_scripts([sentence.text for sentence in sentences]).tolist()]
        verdicts = (judged(sentence.text, counts) for sentence, counts in zip(sentences, scripts, strict=True))
        removed = {index: verdict for index, verdict in enumerate(verdicts) if verdict}
        document = remove_sentences(document, removed)
        if document.sentences and not any(
            counts.hangul for index, counts in enumerate(scripts) if index not in removed
        ):
            return Dropped(document, reason="no Korean")
        return survivor(document)

    return keep_korean
