"""T5: published sizes, buckets of relative positions, what of its files is read and refused, how its exports are asked."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from families import FAMILIES, SPECIAL, VOCAB, drawn, stored

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.tokenizer import SPECIAL_TOKENS, Tokenizer, hugging_face_files
from pretrain.exporting.continuation import targets
from pretrain.exporting.tokenizer_files import write_tokenizer
from pretrain.models.protocols import Compute, Inputs
from pretrain.models.t5.config import T5Config
from pretrain.models.t5.family import FAMILY, config_from_json, config_to_json
from pretrain.models.t5.model import T5
from pretrain.models.t5.relative_positions import buckets_of
from pretrain.models.task_heads import TaskHead
from pretrain.subject import load_subject

TINY = FAMILIES["t5"]
HEADS = frozenset({"target"})
SMALL_1_1 = T5Config(
    num_layers=8,
    num_decoder_layers=8,
    num_heads=6,
    d_ff=1024,
    feed_forward_proj="gated-gelu",
    tie_word_embeddings=False,
)


@pytest.mark.parametrize(
    ("config", "published"), [(T5Config(), 60_506_624), (SMALL_1_1, 76_961_152)], ids=["t5-small", "t5-v1_1-small"]
)
def test_the_parameters_are_the_published_ones(config: T5Config, published: int) -> None:
    shapes = jax.eval_shape(T5(config, 32_128, HEADS, Compute()).init, jax.random.key(0))
    own_head = 0 if config.tie_word_embeddings else 32_128 * 512
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == published
    assert config.parameter_count(32_128, HEADS) == published - own_head


def test_parameters_are_drawn_as_mesh_tensorflow_draws_them() -> None:
    config = T5Config(
        num_layers=2, num_decoder_layers=2, d_model=64, d_kv=16, num_heads=8, d_ff=256, tie_word_embeddings=False
    )
    params = jax.jit(T5(config, 500, HEADS, Compute()).init)(jax.random.key(0))
    attention, inner = params["decoder"]["block"]["cross_attention"], params["encoder"]["block"]["feed_forward"]
    expected = {
        "shared": (params["shared"]["embedding"][:500], 1.0),
        "head": (params["lm_head"]["embedding"][:500], 64**-0.5),
        "q": (attention["q"]["kernel"], (64 * 16) ** -0.5),
        "k": (attention["k"]["kernel"], 64**-0.5),
        "v": (attention["v"]["kernel"], 64**-0.5),
        "o": (attention["o"]["kernel"], (8 * 16) ** -0.5),
        "wi": (inner["wi"]["kernel"], 64**-0.5),
        "wo": (inner["wo"]["kernel"], 256**-0.5),
        "positions": (params["encoder"]["relative_attention_bias"]["embedding"], 64**-0.5),
    }
    for name, (values, deviation) in expected.items():
        assert float(values.std()) == pytest.approx(deviation, rel=0.15), name


@pytest.mark.parametrize("both_ways", [True, False])
@pytest.mark.parametrize(("buckets", "longest"), [(32, 128), (8, 20)])
def test_buckets_are_those_of_transformers(both_ways: bool, buckets: int, longest: int) -> None:
    torch = pytest.importorskip("torch")
    attention = pytest.importorskip("transformers.models.t5.modeling_t5").T5Attention
    distances = np.arange(-600, 601)
    theirs = attention._relative_position_bucket(torch.tensor(distances), both_ways, buckets, longest).numpy()
    ours = buckets_of(distances, both_ways=both_ways, buckets=buckets, longest=longest)
    np.testing.assert_array_equal(ours, theirs)


def test_what_transformers_5_writes_of_a_head_that_is_not_tied_is_read() -> None:
    told = config_to_json(TINY.variants["1.1"], VOCAB, SPECIAL, HEADS)
    read = config_from_json({**told, "tie_word_embeddings": True, "scale_decoder_outputs": False})
    assert not read.tie_word_embeddings
    assert config_from_json({"num_layers": 12}).num_decoder_layers == 12


def test_what_is_not_computed_here_is_refused(tmp_path: Path) -> None:
    told = config_to_json(TINY.config, VOCAB, SPECIAL, HEADS)
    with pytest.raises(InputError, match=r"feed_forward_proj gated-silu; .* relu or gated-gelu only"):
        config_from_json({**told, "feed_forward_proj": "gated-silu"})
    with pytest.raises(InputError, match="relative-attention-max-distance 16: must be above 16"):
        T5(T5Config(relative_attention_max_distance=16), VOCAB, HEADS, Compute())
    folder = stored(tmp_path / "model", *drawn(TINY.config, HEADS))
    with pytest.raises(InputError, match="is a T5, which is not fine-tuned here"):
        load_subject(folder).with_task(TaskHead("classifier"), Compute())
    configuration = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**configuration, "tie_word_embeddings": False}))
    assert load_subject(folder).heads == frozenset(), "its own head is not there"


def test_a_fused_kernel_refuses_scores_without_a_scale() -> None:
    model = T5(TINY.config, VOCAB, HEADS, Compute(attention="splash"))
    _, params = drawn(TINY.config, HEADS)
    rows = np.ones((1, 8), np.int32)
    with pytest.raises(InputError, match=r"attention kernel splash: has no .*give --training.attention xla"):
        FAMILY.logits(model, params, Inputs(rows, rows, rows, rows))


def test_an_export_finds_sentinels_in_texts_and_writes_them(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    pieces = [*SPECIAL_TOKENS, "[unused0]", "[unused1]", *(chr(ord("가") + index) for index in range(VOCAB - 7))]
    vocabulary, folder = tmp_path / "vocabulary", tmp_path / "model"
    vocabulary.mkdir()
    for name, content in hugging_face_files(pieces, lowercase=False).items():
        (vocabulary / name).write_text(content, encoding="utf-8")
    stored(folder, *drawn(TINY.config, HEADS))
    write_tokenizer(vocabulary, folder, FAMILY, TINY.config, 32)
    text = "가나[unused0] 다 [unused1]"
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    subject = load_subject(folder)
    expected = subject.tokenizer.backend.encode(text).ids
    assert [pieces[index] for index in expected if index in (5, 6)] == ["[unused0]", "[unused1]"]
    assert tokenizer(text)["input_ids"] == expected
    assert "[unused0]" in tokenizer.decode(expected, skip_special_tokens=True)
    assert subject.tokenizer.backend.decode(expected) == tokenizer.decode(expected, skip_special_tokens=True)
    assert Tokenizer(vocabulary).backend.encode(text).ids != expected, "records are made without"
    config = json.loads((folder / "generation_config.json").read_text())
    assert config == {"decoder_start_token_id": 0, "eos_token_id": 3, "pad_token_id": 0}
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    model.generation_config.update(**config)
    row = tokenizer(text, return_tensors="pt")
    # Its cache has as many layers as the encoder, of which this decoder has more.
    written = model.generate(
        row.input_ids, attention_mask=row.attention_mask, max_new_tokens=8, do_sample=False, use_cache=False
    )
    assert targets(subject, text, 8) == tokenizer.decode(written[0], skip_special_tokens=True)
