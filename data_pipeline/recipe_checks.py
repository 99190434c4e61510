"""What is wrong with a data recipe is said before the work starts, not hours into it."""

import re
from functools import partial
from pathlib import Path

from data_pipeline.contract.benchmark_files import benchmark_paths
from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_fields import ROW_LENGTH, check_limits, flag
from data_pipeline.contract.special_tokens import ROLES
from data_pipeline.contract.storage import InputFile, find_input_files
from data_pipeline.contract.tokenizer import TOKENIZER_FILES, Tokenizer
from data_pipeline.contract.unigram import MODEL_ENDINGS, sentencepiece_in
from data_pipeline.contract.word_piece import build_word_piece, read_vocabulary_file
from data_pipeline.corpus.sources.encodings import UTF8, standard_encoding
from data_pipeline.corpus.steps.split_sentences import sentence_splitter
from data_pipeline.corpus.vocabulary.morphemes import surface_parser
from data_pipeline.recipe import WEIGHT, DataRecipe, Source, Vocabulary
from data_pipeline.source_formats import FORMATS, WITH_TEXT_FIELD


def check(recipe: DataRecipe) -> None:
    """Raises an InputError for the first field that cannot work, and for an analyser that is needed and not installed."""
    _check_sources(recipe)
    _check_category_weights(recipe)
    check_limits(recipe, partial(_named, recipe))
    if recipe.near_duplicates.enabled and not recipe.drop_duplicates:
        raise InputError(
            "--data.drop-duplicates is off, but near duplicates, which exact ones are too, are dropped; "
            "give --data.near-duplicates.no-enabled as well"
        )
    _check_lengths(recipe)
    if recipe.decontamination.benchmarks:
        benchmark_paths(recipe.decontamination.benchmarks)
    sentence_splitter(recipe.sentences)
    check_vocabulary(recipe.vocabulary)
    if recipe.word_unit == "morpheme" or not (recipe.vocabulary.given or recipe.vocabulary.scheme == "plain"):
        surface_parser()


def _named(recipe: DataRecipe, field: str) -> str:
    """A field as people know it: sources have no flags."""
    source = re.fullmatch(r"sources\.(\d+)\.(.+)", field)
    if source is None:
        return flag("data", field)
    of = recipe.sources[int(source[1])]
    return f"source {of.name or of.format}: {source[2]}"


def check_vocabulary(recipe: Vocabulary) -> None:
    """Raises an InputError for fields that do not go together, and a given vocabulary that cannot be read."""
    if recipe.model == "unigram" and recipe.scheme != "plain":
        raise InputError(
            f"--data.vocabulary.scheme {recipe.scheme}: a unigram model is trained on eojeols; "
            "give --data.vocabulary.scheme plain as well"
        )
    if recipe.model == "unigram" and recipe.alphabet_limit is not None:
        raise InputError(
            f"--data.vocabulary.alphabet-limit {recipe.alphabet_limit}: is for wordpiece; a unigram model takes "
            "--data.vocabulary.character-coverage"
        )
    if recipe.model == "wordpiece" and recipe.normalization != "nfc":
        raise InputError(
            f"--data.vocabulary.normalization {recipe.normalization}: is for unigram; wordpiece has BERT's normalisation"
        )
    if recipe.specials and sorted(recipe.specials) != sorted(ROLES):
        raise InputError(
            f"--data.vocabulary.specials {' '.join(recipe.specials)}: must be {', '.join(ROLES)}, each once, in any order"
        )
    if recipe.given:
        _check_given(recipe)


def given_files(given: str) -> tuple[InputFile, ...]:
    """The tokenizer files of `vocabulary.given`: a vocab.txt, a SentencePiece model, or those in a Hugging Face folder."""
    path = Path(given).expanduser()
    if path.is_file():
        if path.name != "vocab.txt" and path.suffix not in MODEL_ENDINGS:
            raise InputError(
                f"--data.vocabulary.given {given}: must be a file named vocab.txt or a Hugging Face folder, or a SentencePiece model "
                f"({', '.join(MODEL_ENDINGS)})"
            )
        return tuple(find_input_files(str(path)))
    present = [path / name for name in TOKENIZER_FILES if (path / name).is_file()]
    model = sentencepiece_in(path)
    if model and model not in present and not (path / "tokenizer.json").is_file():
        present.append(model)
    if not model and not {"vocab.txt", "tokenizer.json"} & {file.name for file in present}:
        raise InputError(
            f"--data.vocabulary.given {given}: holds neither tokenizer.json nor vocab.txt; give a Hugging Face folder, or "
            "a file named vocab.txt"
        )
    return tuple(file for name in present for file in find_input_files(str(name)))


def _check_given(recipe: Vocabulary) -> None:
    """Reads the given vocabulary as the work will, hours later."""
    given_files(recipe.given)
    path = Path(recipe.given).expanduser()
    if path.name == "vocab.txt" and path.is_file():
        build_word_piece(read_vocabulary_file(path), lowercase=False, file=path)
    else:
        special = Tokenizer(path).special
        order = sorted(ROLES, key=lambda role: getattr(special, role))
        if recipe.specials and (path / "tokenizer.json").exists() and order != list(recipe.specials):
            raise InputError(
                f"--data.vocabulary.specials {' '.join(recipe.specials)}: {path / 'tokenizer.json'} has {' '.join(order)}; leave specials "
                "out, or give its vocab.txt alone"
            )


def _check_sources(recipe: DataRecipe) -> None:
    if not recipe.sources:
        raise InputError("the recipe names no source; give --source FORMAT:GLOB")
    names = [source.name or source.format for source in recipe.sources]
    for name, source in zip(names, recipe.sources, strict=True):
        if source.format not in FORMATS:
            raise InputError(f"source {source.glob}: unknown format {source.format!r}; known: {', '.join(FORMATS)}")
        if source.text_field != "text" and source.format not in WITH_TEXT_FIELD:
            raise InputError(
                f"source {name}: text_field {source.text_field!r}: format {source.format} has no field to choose; "
                f"those that have: {', '.join(WITH_TEXT_FIELD)}"
            )
        if names.count(name) > 1:
            raise InputError(f"two sources are named {name!r}; give each a name of its own in the recipe")
        if source.category_field and (source.category or not FORMATS[source.format].fields):
            rule = "stands beside category; keep one" if source.category else f"format {source.format} has no fields"
            raise InputError(f"source {name}: category_field {source.category_field!r}: {rule}")
        _check_encoding(name, source)


def _check_encoding(name: str, source: Source) -> None:
    try:
        encoding = standard_encoding(source.encoding)
    except LookupError:
        raise InputError(
            f"source {name}: encoding {source.encoding!r}: no encoding of text that Python knows; utf-8, cp949, utf-16 and johab are"
        ) from None
    if encoding != UTF8 and FORMATS[source.format].binary:
        raise InputError(
            f"source {name}: encoding {source.encoding!r}: files of the format {source.format} name their own; leave it out"
        )


def _check_category_weights(recipe: DataRecipe) -> None:
    names = [name for name, _ in recipe.category_weights]
    for name, weight in recipe.category_weights:
        if names.count(name) > 1:
            raise InputError(f"category_weights: {name!r} is listed twice")
        if not WEIGHT.holds(weight):
            raise InputError(f"category_weights: {name!r} {weight}: must be {WEIGHT.words}")


def _check_lengths(recipe: DataRecipe) -> None:
    examples, others = recipe.examples, recipe.other_lengths
    for length in others:
        if not ROW_LENGTH.holds(length):
            raise InputError(f"--data.other-lengths {length}: must be {ROW_LENGTH.words}")
        if [examples.length, *others].count(length) > 1:
            raise InputError(
                f"--data.other-lengths {length}: is listed twice, or is --data.examples.length; name each once"
            )
