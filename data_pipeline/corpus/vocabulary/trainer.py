"""Morpheme counts -> WordPiece vocabulary. Merges never cross a morpheme, so the counts are all that is needed."""

import io
from collections import Counter
from collections.abc import Iterable, Iterator

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.packages import needed
from data_pipeline.contract.tokenizer import is_isolated
from data_pipeline.contract.unigram import SPACE_SYMBOL
from data_pipeline.corpus.vocabulary.counts import Count, Counts, least_count
from data_pipeline.corpus.vocabulary.morphemes import CONTINUES
from data_pipeline.recipe import Vocabulary

FIRST_PRIVATE = 0xF0000
"""Plane 15 stands in for the first character of a word while merges are learnt: BPE then tells 회- from -회 by itself."""
LONGEST_PIECE = 16
MOST_TYPES = 2_000_000
"""Different morphemes that merges are learnt from: sentencepiece keeps all of them in memory, about a kilobyte each."""


def train_vocabulary(counts: Counts, recipe: Vocabulary, most_types: int = MOST_TYPES) -> list[str]:
    """The rows of vocab.txt, exactly `recipe.size`: specials, the alphabet in both forms, then merges by rank; `[unusedN]` as the recipe
    says, behind the specials or last.

    - `counts`: what `count_morphemes` counted, sorted by text; read several times.
    - `most_types`: of more morphemes the rarest teach no merges.

    Every kept character stands alone and, unless it is always a word by itself (punctuation, Han), also after ##: a
    missing one would turn the whole word into [UNK]. Raises InputError where the size is too small for the alphabet or
    the corpus too small for the size.
    """
    specials, unused = recipe.special_tokens(), [f"[unused{index}]" for index in range(recipe.unused)]
    letters = alphabet(counts, recipe.character_coverage, recipe.alphabet_limit)
    if not letters:
        raise InputError(
            "no morpheme was counted: the corpus is empty after the filters; see `python -m data_pipeline report`"
        )
    if recipe.order == "code_point":
        letters.sort()
    characters = [*letters, *(CONTINUES + letter for letter in letters if not is_isolated(letter))]
    least = len(specials) + len(unused) + len(characters)
    wanted = recipe.size - least
    if wanted < 0:
        field = "character-coverage" if recipe.alphabet_limit is None else "alphabet-limit"
        raise InputError(
            f"--data.vocabulary.size {recipe.size}: too small for {len(letters)} characters in both forms and "
            f"{len(specials) + len(unused)} reserved rows; at least {least} are needed, or a lower --data.vocabulary.{field}"
        )
    merges = _learn_merges(counts, set(letters), least_count(counts, recipe.min_count, most_types), wanted)
    if len(merges) < wanted:
        raise InputError(
            f"--data.vocabulary.size {recipe.size}: the corpus yields only {least + len(merges)} rows; "
            "lower the size to that or give more text"
        )
    first, last = (unused, []) if recipe.unused_rows == "first" else ([], unused)
    return [*specials, *first, *characters, *merges[:wanted], *last]


def alphabet(counts: Counts, coverage: float, limit: int | None = None) -> list[str]:
    """The most frequent characters that together make up this share of all characters, or so many; by count, then code point."""
    characters: Counter[str] = Counter()
    for morpheme, number in counts:
        for character in morpheme.removeprefix(CONTINUES):
            characters[character] += number
    ordered = sorted(characters.items(), key=lambda item: (-item[1], item[0]))
    if limit is not None:
        return [character for character, _ in ordered[:limit]]
    needed, covered, kept = coverage * sum(characters.values()), 0, list[str]()
    for character, number in ordered:
        if covered >= needed:
            break
        kept.append(character)
        covered += number
    return kept


def _learn_merges(counts: Counts, letters: set[str], least: int, wanted: int) -> list[str]:
    """At most `wanted` merged pieces in the order they were learnt, word-initial ones plain, others with ##."""
    first: dict[str, str] = {}

    def taught() -> Iterator[Count]:
        for morpheme, number in counts:
            text = morpheme.removeprefix(CONTINUES)
            # sentencepiece keeps its space symbol for itself.
            if number < least or len(text) < 2 or not letters.issuperset(text) or SPACE_SYMBOL in text:
                continue
            if text == morpheme:
                text = first.setdefault(text[0], chr(FIRST_PRIVATE + len(first))) + text[1:]
            yield text, number

    symbols = {symbol for text, _ in taught() for symbol in text}
    if not symbols or wanted == 0:
        return []
    restore = {private: letter for letter, private in first.items()}
    merges = []
    for piece in _train_bpe((f"{text}\t{number}" for text, number in taught()), len(symbols) + 1, wanted):
        if len(piece) > 1 and piece != "<unk>":
            initial = piece[0] in restore
            merges.append(restore[piece[0]] + piece[1:] if initial else CONTINUES + piece)
    return merges


def _train_bpe(lines: Iterable[str], base: int, wanted: int) -> list[str]:
    """The pieces of a BPE model by rank, learnt from lines `TEXT tab COUNT`.

    In memory: on a full disk sentencepiece writes its files short and says nothing.
    """
    sentencepiece = needed("sentencepiece", "the training of a vocabulary")
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        input_format="tsv",
        model_writer=model,
        model_type="bpe",
        vocab_size=base + wanted,
        hard_vocab_limit=False,
        character_coverage=1.0,
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        split_by_unicode_script=False,
        split_by_number=False,
        split_by_whitespace=False,
        max_sentencepiece_length=LONGEST_PIECE,
        unk_id=0,
        bos_id=-1,
        eos_id=-1,
        pad_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    learnt = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    return [learnt.id_to_piece(index) for index in range(learnt.get_piece_size())]
