"""The tokenizer of a SentencePiece Unigram model as Hugging Face loads it, without the package sentencepiece."""

import json
from collections.abc import Sequence

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, processors

from data_pipeline.contract.tokenizer import ROLES, SPACE_SYMBOL, SPECIAL_TOKENS

NEVER_TEXT = -100.0
"""Score of specials and reserved rows: far below a piece's, so that no text is cut into one that stands in it literally."""
Pieces = Sequence[tuple[str, float]]
"""Rows in the order of their ids: piece and log probability."""


def unigram_normalizer(lowercase: bool) -> normalizers.Normalizer:
    """NFC, and one blank for any white space; NFKC, SentencePiece's own, would turn loose jamo into other characters."""
    lower = [normalizers.Lowercase()] if lowercase else []
    return normalizers.Sequence(
        [normalizers.NFC(), *lower, normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    )


def build_unigram(pieces: Pieces, lowercase: bool) -> tokenizers.Tokenizer:
    """A tokenizer that cuts as SentencePiece does: `[CLS] A [SEP] B [SEP]`, words begin with SPACE_SYMBOL, all five specials among the rows."""
    ids = {piece: index for index, (piece, _) in enumerate(pieces)}
    backend = tokenizers.Tokenizer(models.Unigram(list(pieces), unk_id=ids["[UNK]"]))
    backend.normalizer = unigram_normalizer(lowercase)
    backend.pre_tokenizer = pre_tokenizers.Metaspace(SPACE_SYMBOL, prepend_scheme="always")
    backend.decoder = decoders.Metaspace(SPACE_SYMBOL, prepend_scheme="always")
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    return backend


def unigram_files(pieces: Pieces, lowercase: bool) -> dict[str, str]:
    """The three files by which every transformers release loads the tokenizer: name -> content."""
    specials = {f"{role}_token": token for role, token in zip(ROLES, SPECIAL_TOKENS, strict=True)}
    # The general class: BertTokenizer would make a WordPiece of the rows.
    configuration = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
        **specials,
    }
    return {
        "tokenizer.json": build_unigram(pieces, lowercase).to_str(pretty=True) + "\n",
        "tokenizer_config.json": json.dumps(configuration, ensure_ascii=False, indent=2) + "\n",
        "special_tokens_map.json": json.dumps(specials, ensure_ascii=False, indent=2) + "\n",
    }
