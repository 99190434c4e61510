"""Sentences to fixed-length rows: a file for each kind of layout, and the choice among them."""

from collections.abc import Mapping
from typing import Any

from data_pipeline.contract.records import Layout
from data_pipeline.contract.tokenizer import Tokenizer
from data_pipeline.corpus.layouts.causal import CausalRows
from data_pipeline.corpus.layouts.full_sentences import FullSentenceRows
from data_pipeline.corpus.layouts.packed import PackedRows
from data_pipeline.corpus.layouts.rows import RowMaker
from data_pipeline.corpus.layouts.sentence_pairs import NextSentenceRows, SentenceOrderRows
from data_pipeline.corpus.layouts.source_target import FirstParagraphRows, SourceTargetRows


def row_maker(layout: Layout, fields: Mapping[str, Any], tokenizer: Tokenizer, seed: str) -> RowMaker:
    """The maker of a layout's rows.

    - `fields`: those of the layout in the recipe (`data_pipeline.recipe.Examples`).
    - `seed`: what the layout draws, it draws from this.
    """
    special, closing = tokenizer.special, tokenizer.closing
    match layout:
        case "packed":
            return PackedRows(**fields, special=special, closing=closing)
        case "full_sentences":
            return FullSentenceRows(**fields, special=special, closing=closing)
        case "sentence_pairs":
            return NextSentenceRows(**fields, special=special, seed=seed)
        case "sentence_order":
            return SentenceOrderRows(**fields, special=special, seed=seed)
        case "causal":
            return CausalRows(**fields, special=special)
        case "source_target":
            sides = {"length": fields["length"], "target_length": fields["target_length"]}
            if fields["target"] == "first_paragraph":
                return FirstParagraphRows(**sides, special=special, closing=closing)
            return SourceTargetRows(**sides, special=special, seed=seed, closing=closing)
