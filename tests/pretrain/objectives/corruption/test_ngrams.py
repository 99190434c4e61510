"""What n-grams promise: their lengths as asked, whole words, none across a special, within the budget, any place alike."""

from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from masked_rows import (
    CLS,
    FEW,
    LENGTH,
    MASK,
    PAD,
    RATE,
    SEP,
    SLOTS,
    SPECIAL_IDS,
    UNK,
    jitted,
    random_rows,
    step_key,
    words_of,
)

from data_pipeline.contract.tokenizer import SPECIAL_TOKENS, Tokenizer, WordUnit, eojeol_starts, hugging_face_files
from data_pipeline.contract.unigram import unigram_files
from pretrain.objectives.corruption.masking import _word_scores
from pretrain.objectives.corruption.ngrams import ngram_lengths
from pretrain.objectives.corruption.recipe import SPANBERT_SPANS, ZIPF

Weights = tuple[float, ...]


def shares_of(lengths: np.ndarray, most: int) -> np.ndarray:
    return np.bincount(lengths, minlength=most + 1)[1:] / lengths.size


def bits_of(key: jax.Array, row_id: int, length: int) -> tuple[jax.Array, jax.Array]:
    """The random bits by which `mask_rows` orders the n-grams of a row, and those of their lengths."""
    bits = jax.random.bits(jax.random.fold_in(key, row_id), (4, length), jnp.uint32)
    return bits[0], bits[3]


def divided(words: list[list[int]], lengths: np.ndarray) -> list[list[list[int]]]:
    """The words of a row, as `words_of` gives them, as n-grams from left to right."""
    ngrams: list[list[list[int]]] = []
    left = 0
    for before, word in zip([[-9], *words], words, strict=False):
        if left == 0 or before[-1] + 1 != word[0]:
            ngrams.append([])
            left = int(lengths[word[0]])
        ngrams[-1].append(word)
        left -= 1
    return ngrams


@pytest.mark.parametrize("weights", [ZIPF, SPANBERT_SPANS, (0.0, 3.0, 1.0), (0.0, 0.0, 1.0), (1.0, 0.0, 1.0)])
def test_lengths_are_drawn_by_their_weights(weights: Weights) -> None:
    drawn = np.asarray(ngram_lengths(jax.random.bits(step_key(0), (1000, 1000), jnp.uint32), weights)).ravel()
    expected = np.array(weights) / sum(weights)
    error = 4.5 * np.sqrt(expected * (1 - expected) / drawn.size)
    assert (np.abs(shares_of(drawn, len(weights)) - expected) <= error).all()


def test_the_named_weights_are_those_of_the_papers() -> None:
    np.testing.assert_allclose(np.array(ZIPF) / sum(ZIPF), [6 / 11, 3 / 11, 2 / 11])
    shares = np.array(SPANBERT_SPANS) / sum(SPANBERT_SPANS)
    assert float(shares @ np.arange(1, 11)) == pytest.approx(3.8, abs=0.01)


row_tokens = st.lists(st.sampled_from([PAD, CLS, SEP, *range(200, 220)]), min_size=LENGTH, max_size=LENGTH)
row_starts = st.lists(st.booleans(), min_size=LENGTH, max_size=LENGTH)


@settings(max_examples=60, deadline=None)
@given(row_tokens, row_starts, st.integers(0, 1000))
def test_of_each_ngram_in_random_order_as_many_words_are_hidden_as_fit(
    tokens: list[int], starts: list[bool], row_id: int
) -> None:
    """With this no word is cut, no special crossed and no budget exceeded."""
    batch = jitted(np.array([tokens], np.uint16), np.array([starts]), step_key(3), np.array([row_id]), ngrams=ZIPF)
    result = jax.tree.map(lambda field: np.asarray(field)[0], batch)

    order_bits, length_bits = bits_of(step_key(3), row_id, LENGTH)
    scores = np.asarray(_word_scores(order_bits))
    words = words_of(tokens, starts)
    maskable = sum(len(word) for word in words)
    budget = min(SLOTS, max(1, round(RATE * maskable))) if maskable else 0
    expected: list[int] = []
    for ngram in sorted(divided(words, np.asarray(ngram_lengths(length_bits, ZIPF))), key=lambda n: scores[n[0][0]]):
        for word in ngram:
            if len(expected) + len(word) > budget:
                break
            expected += word
    expected.sort()
    assert result.positions.tolist() == expected + [0] * (SLOTS - len(expected))
    assert result.weights.sum() == len(expected) <= budget
    untouched = np.setdiff1d(np.arange(LENGTH), expected)
    np.testing.assert_array_equal(result.inputs[untouched], np.array(tokens)[untouched])


def text_rows(rows: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows `[CLS] ... [SEP]` of words of one token."""
    tokens = np.full((rows, length), 500, np.uint16)
    tokens[:, 0], tokens[:, -1] = CLS, SEP
    return tokens, np.ones((rows, length), bool)


@pytest.mark.parametrize("weights", [ZIPF, SPANBERT_SPANS], ids=len)
def test_lengths_of_what_is_hidden_are_as_asked(weights: Weights) -> None:
    """But for the n-gram that the budget cuts, one of 47 in a row of 512 tokens (Zipf) and one of 20 (SpanBERT)."""
    rows, length = 400, 512
    result = jitted(*text_rows(rows, length), step_key(2), np.arange(rows), rate=0.15, slots=77, ngrams=weights)
    hidden: list[int] = []
    words = [[position] for position in range(1, length - 1)]
    for row_id, (positions, filled) in enumerate(
        zip(np.asarray(result.positions), np.asarray(result.weights), strict=True)
    ):
        chosen = set(positions[filled > 0].tolist())
        lengths = np.asarray(ngram_lengths(bits_of(step_key(2), row_id, length)[1], weights))
        hidden += [taken for ngram in divided(words, lengths) if (taken := sum(word[0] in chosen for word in ngram))]
    found = shares_of(np.array(hidden), len(weights))
    np.testing.assert_allclose(found, np.array(weights) / sum(weights), atol=0.015)


@pytest.mark.parametrize("weights", [ZIPF, SPANBERT_SPANS], ids=len)
def test_every_position_is_hidden_alike(weights: Weights) -> None:
    """The published codes hide the first word of a row 0.65 times as often as others (Zipf) or 0.3 times (SpanBERT's lengths)."""
    rows, length = 2000, 512
    result = jitted(*text_rows(rows, length), step_key(2), np.arange(rows), rate=0.15, slots=77, ngrams=weights)
    counts = np.bincount(np.asarray(result.positions)[np.asarray(result.weights) > 0], minlength=length)[1:-1]
    expected = 77 / 510
    deviation = (counts / rows - expected) / np.sqrt(expected * (1 - expected) / rows)
    assert np.abs(deviation).max() < 4.5
    assert 0.8 < np.mean(deviation**2) < 1.2


def test_an_ngram_gets_one_draw_for_all_its_words() -> None:
    tokens, word_starts = random_rows(64, LENGTH)
    rows = (tokens, word_starts, step_key(1), np.arange(64))
    by_token = jitted(*rows, ngrams=(0.0, 1.0))
    result = jitted(*rows, ngrams=(0.0, 1.0), replace_unit="ngram")
    np.testing.assert_array_equal(result.positions, by_token.positions)
    actions: Counter[str] = Counter()
    for row_id, (before, after) in enumerate(zip(tokens, np.asarray(result.inputs), strict=True)):
        chosen = set(np.asarray(result.positions)[row_id][np.asarray(result.weights)[row_id] > 0].tolist())
        for ngram in divided(words_of(before.tolist(), word_starts[row_id].tolist()), np.full(LENGTH, 2)):
            hidden = [position for word in ngram for position in word if position in chosen]
            if hidden:
                kinds = {"mask" if after[p] == MASK else "keep" if after[p] == before[p] else "random" for p in hidden}
                assert len(kinds) == 1
                actions.update(kinds)
    assert set(actions) == {"mask", "keep", "random"}
    assert actions["mask"] / actions.total() == pytest.approx(0.8, abs=0.1)


def test_another_epoch_hides_other_ngrams() -> None:
    tokens, word_starts = text_rows(FEW, LENGTH)
    masks = {
        tuple(row)
        for epoch in range(3)
        for row in jitted(tokens, word_starts, step_key(epoch), np.arange(FEW), ngrams=ZIPF).positions.tolist()
    }
    assert len(masks) >= 3 * FEW - 1


TEXT = "학교에서는 나가다가, 학교는 가나다에서 나는다. 가나 다나! " * 3
PIECES = (*"가나다학교에서는.,!", "학교", "##에서", "##교", "##는", "##다", "##나", "##가", "##가다")


@pytest.fixture(scope="module")
def vocabularies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tokenizer]:
    """A WordPiece and a Unigram tokenizer."""
    folder = tmp_path_factory.mktemp("vocabularies")
    word_piece = hugging_face_files((*SPECIAL_TOKENS, *PIECES), False)
    texts = ("▁", "▁가", "▁나", "▁학교", "▁다", "에서", *"가나다학교에서는.,!")
    unigram = unigram_files([(piece, 0.0) for piece in SPECIAL_TOKENS] + [(piece, -2.0) for piece in texts], False)
    for name, files in {"word_piece": word_piece, "unigram": unigram}.items():
        (folder / name).mkdir()
        for file, content in files.items():
            (folder / name / file).write_text(content, encoding="utf-8")
    return {path.name: Tokenizer(path) for path in folder.iterdir()}


def morpheme_starts(text: str) -> np.ndarray:
    """Eojeols without their particles."""
    particles = {text.find(particle, start) for particle in ("에서", "는") for start in range(len(text))} - {-1}
    return eojeol_starts(text) | np.isin(np.arange(len(text)), sorted(particles))


@pytest.mark.parametrize("unit", ["token", "bert_word", "eojeol", "morpheme"])
@pytest.mark.parametrize("kind", ["word_piece", "unigram"])
def test_words_are_whole_for_every_tokenizer_and_unit(
    vocabularies: dict[str, Tokenizer], kind: str, unit: WordUnit
) -> None:
    tokenizer = vocabularies[kind]
    [(ids, starts)] = tokenizer.encode([TEXT], unit, morpheme_starts)
    ids, starts = ids[: LENGTH - 2], starts[: LENGTH - 2]
    assert UNK not in ids
    tokens, word_starts = np.full((FEW, LENGTH), PAD, np.uint16), np.zeros((FEW, LENGTH), bool)
    tokens[:, 0], tokens[:, 1 : len(ids) + 1], tokens[:, len(ids) + 1] = CLS, ids, SEP
    word_starts[:, 1 : len(ids) + 1] = starts
    result = jitted(tokens, word_starts, step_key(0), np.arange(FEW), ngrams=ZIPF)
    words = words_of(tokens[0].tolist(), word_starts[0].tolist())
    pieces = ["".join(tokenizer.pieces[tokens[0, position]] for position in word) for word in words]
    assert {"token": "학교", "bert_word": "학교##에서##는", "eojeol": "나##가다##가,", "morpheme": "##에서"}[
        unit
    ].replace("##", "" if kind == "unigram" else "##") in [piece.lstrip("▁") for piece in pieces]
    for positions, weights in zip(np.asarray(result.positions), np.asarray(result.weights), strict=True):
        chosen = set(positions[weights > 0].tolist())
        assert chosen
        assert all(chosen.issuperset(word) or chosen.isdisjoint(word) for word in words)
    assert not np.isin(np.asarray(result.labels)[np.asarray(result.weights) > 0], SPECIAL_IDS).any()
