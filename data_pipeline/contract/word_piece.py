"""BERT's WordPiece as tokenizers and transformers load it: vocab.txt and the files beside it."""

from collections.abc import Sequence
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.special_tokens import ROLES, SPECIAL_TOKENS, configuration_files


def normalizer(lowercase: bool) -> normalizers.Normalizer:
    """BERT's normaliser with every flag explicit: strip_accents left to None with lower-casing splits Hangul into jamo."""
    return normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=False, lowercase=lowercase
    )


def build_word_piece(vocabulary: Sequence[str], lowercase: bool, file: Path | None = None) -> tokenizers.Tokenizer:
    """A BERT tokenizer of these rows: BertNormalizer, BertPreTokenizer, WordPiece, `[CLS] A [SEP] B [SEP]`.

    - `file`: where the rows come from, for the error.

    Raises InputError where a special is missing.
    """
    ids = {piece: index for index, piece in enumerate(vocabulary)}
    missing = [token for token in SPECIAL_TOKENS if token not in ids]
    if missing:
        place = f"{file}: " if file else ""
        raise InputError(f"{place}the vocabulary has no {', '.join(missing)} (found {len(ids)} rows); add them")
    backend = tokenizers.Tokenizer(models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=100))
    backend.normalizer = normalizer(lowercase)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece(prefix="##")
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    backend.add_special_tokens(
        [tokenizers.AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS]
    )
    return backend


def read_vocabulary_file(path: Path) -> list[str]:
    """The rows of a vocab.txt; duplicates, empty rows and other encodings than UTF-8 are an InputError with the line."""
    lines = path.read_bytes().removesuffix(b"\n").split(b"\n")
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        try:
            row = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r")
        except UnicodeDecodeError:
            raise InputError(f"{path}:{number}: not UTF-8; convert the file") from None
        if not row:
            raise InputError(f"{path}:{number}: the row is empty; every line holds one piece")
        if row in seen:
            raise InputError(f"{path}:{number}: the row {row!r} stands already at line {seen[row]}; remove one of them")
        seen[row] = number
    return list(seen)


def hugging_face_files(vocabulary: Sequence[str], lowercase: bool, ends: bool = False) -> dict[str, str]:
    """The four files by which every transformers release loads the same tokenizer: name -> content.

    - `ends`: whether they name bos_token = [CLS] and eos_token = [SEP] as well, as klue/roberta's do.
    """
    configuration = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": lowercase,
        "do_basic_tokenize": True,
        "strip_accents": False,
        "tokenize_chinese_chars": True,
        "clean_up_tokenization_spaces": True,
    }
    return {
        "vocab.txt": "\n".join(vocabulary) + "\n",
        "tokenizer.json": build_word_piece(vocabulary, lowercase).to_str(pretty=True) + "\n",
        **configuration_files(configuration, dict(zip(ROLES, SPECIAL_TOKENS, strict=True)), ends),
    }
