"""What several commands take: sources, benchmarks, workers."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import tyro

from data_pipeline.contract.errors import InputError
from data_pipeline.corpus.sources.encodings import UTF8, standard_encoding
from data_pipeline.recipe import DataRecipe, Source
from data_pipeline.source_formats import FORMATS, WITH_TEXT_FIELD

Sources = Annotated[tuple[tuple[str, ...], ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="FORMAT:GLOB ...")]
Benchmarks = Annotated[tuple[tuple[str, ...], ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="PATH ...")]


def workers_of(asked: int | None) -> int:
    """As many as asked for, or one a core."""
    if asked is not None and asked < 1:
        raise InputError(f"--workers {asked}: must be at least 1")
    from data_pipeline.tasks.engines.local import default_workers  # here, for it brings what only work needs

    return asked or default_workers()


def with_sources(recipe: DataRecipe, sources: Sequence[str], benchmarks: Sequence[str]) -> DataRecipe:
    """The recipe with its sources and benchmarks replaced by those of --source FORMAT:GLOB and --benchmark PATH."""
    if sources:
        parsed: list[Source] = []
        for source in map(parse_source, sources):
            before = sum(other.format == source.format for other in parsed)
            parsed.append(replace(source, name=f"{source.format}-{before + 1}") if before else source)
        recipe = replace(recipe, sources=tuple(parsed))
    if benchmarks:
        recipe = replace(recipe, decontamination=replace(recipe.decontamination, benchmarks=tuple(benchmarks)))
    return recipe


def parse_source(text: str) -> Source:
    """FORMAT:GLOB, where formats WITH_TEXT_FIELD may name it, jsonl.FIELD:GLOB, and files of text their encoding: csv.FIELD@cp949:GLOB.

    What stands behind @ is an encoding that Python knows, or else part of the field's name, as in XML turned into JSON (jsonl.@id).
    """
    name, separator, glob = text.partition(":")
    name, encoding = _split_encoding(name)
    format_name, _, text_field = name.partition(".")
    if not separator or not glob or format_name not in FORMATS or (text_field and format_name not in WITH_TEXT_FIELD):
        raise InputError(
            f"--source {text}: expected FORMAT:GLOB with FORMAT one of {', '.join(FORMATS)}, or FORMAT.FIELD:GLOB with "
            f"FORMAT one of {', '.join(WITH_TEXT_FIELD)}; @ENCODING before the colon names an encoding that Python knows, as in text@cp949:GLOB"
        )
    return Source(format_name, glob, text_field=text_field or "text", encoding=encoding)


def _split_encoding(name: str) -> tuple[str, str]:
    before, at, encoding = name.rpartition("@")
    if not at:
        return name, UTF8
    try:
        standard_encoding(encoding)
    except LookupError:
        return name, UTF8
    return before, encoding
