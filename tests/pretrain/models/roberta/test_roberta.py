"""What is RoBERTa's own: its published sizes, where positions begin, what it refuses, pairs of texts in transformers."""

from dataclasses import replace
from pathlib import Path

import pytest
from families import FAMILIES, SPECIAL, VOCAB, drawn, stored
from read_exports import read_exports
from tiny_run import LENGTH, TINY, changed

from configs import klue_roberta_base, klue_roberta_large, klue_roberta_small
from data_pipeline.contract.errors import InputError
from data_pipeline.contract.records import read_header
from pretrain.job import objective_of
from pretrain.models.roberta.config import RobertaConfig
from pretrain.models.roberta.family import FAMILY
from pretrain.subject import load_subject

CONFIG = FAMILIES["roberta"].config
assert isinstance(CONFIG, RobertaConfig)
HEADS = frozenset({"vocabulary"})


@pytest.mark.parametrize(
    ("recipe", "published"),
    [
        (klue_roberta_small, 68_090_880),
        (klue_roberta_base, 110_618_112),
        (klue_roberta_large, 336_656_384),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_klues_recipes_have_their_published_sizes(recipe: object, published: int) -> None:
    """Which count the pooler of transformers' RobertaModel."""
    config = recipe.training.model  # type: ignore[attr-defined]
    pooler = config.hidden_size * (config.hidden_size + 1)
    assert config.parameter_count(32_000, HEADS) + pooler == published


@pytest.mark.parametrize(("padding", "room"), [(None, 512), (1, 512), (0, 513), (600, -87)])
def test_positions_begin_behind_the_paddings_row(padding: int | None, room: int) -> None:
    longest = RobertaConfig(pad_token_id=padding).longest_row()
    assert longest is not None
    assert longest.tokens == room


def test_rows_that_the_table_has_no_room_for_are_refused(records_folder: Path) -> None:
    """The padding of these records is 0, so that the first position is 1."""
    header = read_header(records_folder)
    recipe = changed(TINY, model=replace(CONFIG, max_position_embeddings=LENGTH + 1))
    objective_of(recipe, header)
    recipe = changed(recipe, model={"max_position_embeddings": LENGTH})
    with pytest.raises(InputError, match=f"max-position-embeddings {LENGTH}, which has room for {LENGTH - 1} tokens"):
        objective_of(recipe, header)


@pytest.mark.parametrize(
    ("types", "words"),
    [(1, "--training.model.type-vocab-size 1: sentence pairs need 2"), (2, "RobertaConfig, which has no head pair")],
)
def test_sentence_pairs_are_refused(types: int, words: str, pairs_folder: Path) -> None:
    with pytest.raises(InputError, match=words):
        objective_of(changed(TINY, model=replace(CONFIG, type_vocab_size=types)), read_header(pairs_folder))


def test_two_texts_reach_a_model_of_one_token_type_in_transformers(tmp_path: Path) -> None:
    """BERT's tokenizer gives the second text type 1, for which the table has no row."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    config = replace(CONFIG, type_vocab_size=1)
    folder = stored(tmp_path, *drawn(config, HEADS))
    assert load_subject(folder).config.token_types() == ("type_vocab_size", 1)
    found = read_exports([str(folder)], [("가나", "다")])[str(folder)]
    assert len(found["logits"][0][0]) == VOCAB


def test_a_klue_config_json_is_read_as_it_is_written() -> None:
    """That of klue/roberta-base, as far as the model goes."""
    told = {
        "architectures": ["RobertaForMaskedLM"], "attention_probs_dropout_prob": 0.1, "bos_token_id": 0, "eos_token_id": 2,
        "gradient_checkpointing": False, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "hidden_size": 768,
        "initializer_range": 0.02, "intermediate_size": 3072, "layer_norm_eps": 1e-05, "max_position_embeddings": 514,
        "model_type": "roberta", "num_attention_heads": 12, "num_hidden_layers": 12, "pad_token_id": 1,
        "position_embedding_type": "absolute", "tokenizer_class": "BertTokenizer", "type_vocab_size": 1, "use_cache": True,
        "vocab_size": 32000,
    }  # fmt: skip
    config = FAMILY.config_from_json(told)
    assert config == RobertaConfig(attention_probs_dropout_prob=0.1, pad_token_id=1, vocab_size=32000)
    assert (
        FAMILY.config_to_json(config, 32000, SPECIAL, HEADS).items()
        >= {
            name: value
            for name, value in told.items()
            if name not in ("gradient_checkpointing", "tokenizer_class", "use_cache")
        }.items()
    )
