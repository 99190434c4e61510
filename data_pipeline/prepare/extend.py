"""vocabulary extend: a vocabulary whose [unusedN] rows hold the words of a domain corpus."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tokenizers import models, normalizers

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import write_atomically, write_json
from data_pipeline.contract.tokenizer import Tokenizer
from data_pipeline.contract.word_piece import hugging_face_files
from data_pipeline.corpus.vocabulary.counts import CountTable, write_sum
from data_pipeline.corpus.vocabulary.extension import UNUSED, NewWord, Tokens, extended, new_words, tokens_of
from data_pipeline.corpus.vocabulary.morphemes import surface_parser
from data_pipeline.prepare.flow import Stages
from data_pipeline.prepare.losses import tell
from data_pipeline.recipe import DataRecipe, Pseudonyms, Vocabulary
from data_pipeline.recipe_checks import check
from data_pipeline.tasks.engines.local import LocalEngine
from data_pipeline.tasks.engines.runner import mending

WORDS_FILE = "new_words.json"
SHOWN = 20
KEPT_PARSES = 1_000_000
"""Words whose morphemes stay in memory between the rounds."""


def extend(
    vocabulary: Path,
    domain: DataRecipe,
    to: Path,
    most: int | None,
    min_count: int,
    work: RunFolder,
    workers: int,
) -> None:
    """Counts the words of a domain corpus and writes the vocabulary with the morphemes that save most tokens.

    Prints how many: the domain's words are tokenised again, with the vocabulary as it was and as it is.

    - `vocabulary`: folder with vocab.txt or a WordPiece tokenizer.json.
    - `domain`: its sources and categories are the corpus.
    - `to`: a new or empty folder; gets the tokenizer's files and `new_words.json`: each word, how often it is used, and the pieces that
      it is cut into today.
    - `most`: words to add; None means as many as there are `[unusedN]` rows.
    - `min_count`: morphemes that the tokenizer would use less often are left out.
    - `work`: where the corpus is prepared; run again after a stop, it goes on where it was.

    Raises InputError for a vocabulary without free rows, another model than WordPiece, or a folder that is not empty.
    """
    tokenizer = Tokenizer(vocabulary)
    free = sum(bool(UNUSED.fullmatch(piece)) for piece in tokenizer.pieces)
    normalizer = tokenizer.backend.normalizer
    if not isinstance(tokenizer.backend.model, models.WordPiece) or not isinstance(
        normalizer, normalizers.BertNormalizer
    ):
        raise InputError(f"{vocabulary}: only BERT's WordPiece vocabularies have rows to fill; give one of these")
    if not free:
        raise InputError(f"{vocabulary}: has no [unusedN] row to fill; give a vocabulary that has some")
    if most is not None and not 1 <= most <= free:
        raise InputError(f"--words {most}: must be 1 to {free}, the [unusedN] rows of {vocabulary}")
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise InputError(f"--to {to}: is not an empty folder; choose an empty or a new one")
    recipe = DataRecipe(
        sources=domain.sources,
        categories=domain.categories,
        evaluation_fraction=0.0,
        vocabulary=Vocabulary(scheme="plain", lowercase=normalizer.lowercase),
        pseudonyms=Pseudonyms(enabled=False),  # nothing of the text is kept but words that are frequent
    )
    check(recipe)

    parse = lru_cache(KEPT_PARSES)(surface_parser())

    def counted() -> Stages:
        stages = Stages(work, recipe, LocalEngine(workers))
        documents = stages.documents()
        tables = stages.morphemes(stages.sentences(documents, stages.survivors(documents), []))
        with TemporaryDirectory(dir=work.corpus) as place:
            domain_words = write_sum(Path(place) / "words", [CountTable(table.path) for table in tables])
            words = new_words(tokenizer, domain_words, parse, most or free, min_count)
            rows = extended(tokenizer.pieces, [word.text for word in words])
            to.mkdir(parents=True, exist_ok=True)
            listed = [{"text": word.text, "count": word.count, "pieces": word.pieces} for word in words]
            facts = {"vocabulary": str(vocabulary), "inputs": [file.path for file in stages.inputs], "words": listed}
            write_json(to / WORDS_FILE, facts)
            # The tokenizer last: a folder without one is no vocabulary.
            for name, content in reversed(hugging_face_files(rows, normalizer.lowercase).items()):
                write_atomically(to / name, content.encode())
            _print(words, free, tokens_of(tokenizer, domain_words), tokens_of(Tokenizer(to), domain_words), to)
        return stages

    with work.locked():
        tell(mending(counted).losses)


def _print(words: Sequence[NewWord], free: int, before: Tokens, after: Tokens, to: Path) -> None:
    saved = before.number - after.number
    print(
        f"{to}: {len(words):,} of {free:,} [unusedN] rows filled; the corpus takes {after.number:,} tokens instead of "
        f"{before.number:,}, {saved / max(1, before.number):.2%} fewer"
    )
    if before.unknown_characters:
        print(
            f"  in words that are [UNK]: {after.unknown_characters:,} characters instead of {before.unknown_characters:,}"
        )
    for word in words[:SHOWN]:
        print(f"  {word.text}  {word.count:,} times, so far {' '.join(word.pieces)}")
