"""Removal of sentences with a word that is too long for BERT's tokenizers, which make one [UNK] of it."""

import re
from functools import partial

from tokenizers import pre_tokenizers

from data_pipeline.contract.word_piece import normalizer
from data_pipeline.corpus.document import Document, Dropped, Removed, Step
from data_pipeline.corpus.steps.removal import remove_sentences, sentences_of, survivor
from data_pipeline.pipeline import LongWords

REASON = "long word"


def long_word_filter(recipe: LongWords) -> Step:
    """Makes the step that removes sentences with a word of more than `recipe.max_chars` characters.

    Words are those of BertPreTokenizer: blanks, marks and Han characters end one. A document without remaining sentences is dropped.
    """
    return partial(_without_long_words, run=re.compile(rf"\S{{{recipe.max_chars + 1},}}"), most=recipe.max_chars)


def _without_long_words(document: Document, run: re.Pattern[str], most: int) -> Document | Dropped:
    removed = {}
    for number, sentence in enumerate(sentences_of(document)):
        # Few sentences have so many characters without a blank; only of these the words are looked at.
        longest = max((_longest_word(each[0]) for each in run.finditer(sentence.text)), default=0)
        if longest > most:
            removed[number] = Removed(sentence.text, REASON, f"a word of {longest} characters")
    return survivor(remove_sentences(document, removed))


def _longest_word(text: str) -> int:
    words = pre_tokenizers.BertPreTokenizer().pre_tokenize_str(normalizer(lowercase=False).normalize_str(text))
    return max((len(word) for word, _ in words), default=0)
