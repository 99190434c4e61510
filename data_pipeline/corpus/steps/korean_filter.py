"""Removal of sentences that are not Korean, and of documents without any."""

from data_pipeline.corpus.document import Document, Dropped, Removed, Step
from data_pipeline.corpus.steps.pseudonyms.network import without_addresses
from data_pipeline.corpus.steps.removal import remove_sentences, sentences_of, survivor
from data_pipeline.corpus.steps.scripts import Scripts, count_scripts
from data_pipeline.recipe import KoreanFilter


def korean_filter(recipe: KoreanFilter) -> Step:
    """Makes the step that removes sentences by their letters.

    "not Korean": Hangul makes up less than `recipe.min_hangul_share` of the letters (Unicode category L), URLs and e-mail
    addresses left aside where there is Hangul beside them; a sentence without letters passes. "Han or Kana": more than `recipe.max_han_kana` of these characters. A document whose
    remaining sentences hold no Hangul is dropped as "no Korean", one without remaining sentences with the reason of its
    last removal.
    """

    def too_little(scripts: Scripts) -> bool:
        return scripts.hangul < recipe.min_hangul_share * scripts.letters

    def korean_beside_addresses(sentence: str) -> bool:
        words = without_addresses(sentence)
        if words == sentence:
            return False
        scripts = Scripts(*count_scripts([words])[0].tolist())
        return scripts.hangul > 0 and not too_little(scripts)

    def why_not(sentence: str, scripts: Scripts) -> Removed | None:
        if too_little(scripts) and not korean_beside_addresses(sentence):
            return Removed(sentence, "not Korean", f"{scripts.hangul} of {scripts.letters} letters are Hangul")
        if scripts.han_or_kana > recipe.max_han_kana:
            return Removed(sentence, "Han or Kana", f"{scripts.han_or_kana} characters")
        return None

    def keep_korean(document: Document) -> Document | Dropped:
        sentences = sentences_of(document)
        scripts = [Scripts(*counts) for counts in count_scripts([sentence.text for sentence in sentences]).tolist()]
        verdicts = (why_not(sentence.text, counts) for sentence, counts in zip(sentences, scripts, strict=True))
        removed = {index: verdict for index, verdict in enumerate(verdicts) if verdict}
        document = remove_sentences(document, removed)
        if document.sentences and not any(
            counts.hangul for index, counts in enumerate(scripts) if index not in removed
        ):
            return Dropped(document, reason="no Korean")
        return survivor(document)

    return keep_korean
