"""The rules of the metrics, restated slowly, on random inputs; and what is not defined."""

import math
from collections.abc import Hashable, Sequence
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipeline.contract.errors import InputError
from pretrain.evaluate.metrics import METRICS, golden_value
from pretrain.evaluate.metrics.counts import class_counts, macro_f1_of, micro_f1_of, span_counts, spans
from pretrain.evaluate.metrics.relations import areas
from pretrain.evaluate.metrics.tags import klue_ner_entity_macro_f1_by_sentence

pytest.importorskip("sklearn", reason="the extra [evaluate] is not installed")
pytest.importorskip("seqeval", reason="the extra [evaluate] is not installed")

TAGS = ["B-PS", "I-PS", "O", "B-LC", "I-LC"]
RELATIONS = ["org:founded", "no_relation", "per:title", "per:alias"]


def f1(gold: Sequence[Hashable], predicted: Sequence[Hashable], which: Hashable) -> float:
    both = gold.count(which) + predicted.count(which)
    return 2 * sum(g == p == which for g, p in zip(gold, predicted, strict=True)) / both if both else 0.0


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def pairs(values: Sequence[Hashable], least: int = 0) -> st.SearchStrategy[list[tuple[Hashable, Hashable]]]:
    return st.lists(st.tuples(st.sampled_from(values), st.sampled_from(values)), min_size=least, max_size=30)


def apart(items: Sequence[tuple[Hashable, Hashable]]) -> tuple[list[Hashable], list[Hashable]]:
    return [gold for gold, _ in items], [predicted for _, predicted in items]


def same(value: float, expected: float) -> None:
    assert value == pytest.approx(expected, abs=1e-9, nan_ok=True)


@given(pairs(["정치", "IT과학", "각", "\u1100\u1161\u11a8", "A"]))
def test_macro_f1_averages_the_classes_that_occur_on_either_side(items: list[tuple[str, str]]) -> None:
    gold, predicted = apart(items)
    expected = mean([f1(gold, predicted, which) for which in {*gold, *predicted}])
    same(golden_value("ynat_macro_f1", {"preds": predicted, "targets": gold}), 100 * expected)
    same(golden_value("hate_speech_macro_f1", {"preds": predicted, "labels": gold}), expected)


@given(st.lists(pairs(range(5)), max_size=4))
def test_entities_are_strict_spans_of_one_sequence_averaged_over_the_types_found(
    sentences: list[list[tuple[int, int]]],
) -> None:
    gold, predicted = apart([pair for items in sentences for pair in items])
    counts = span_counts([[TAGS[tag] for tag in predicted]], [[TAGS[tag] for tag in gold]], ["PS", "LC"])
    inputs = {"preds": predicted, "labels": gold, "label_list": TAGS}
    with pytest.MonkeyPatch.context() as patch:
        for piece in (1, 1000):
            patch.setattr("pretrain.evaluate.metrics.tags.PIECE", piece)
            same(golden_value("klue_ner_entity_macro_f1", inputs), 100 * float(macro_f1_of(counts.sum(axis=0))))
    predicted, gold = ([apart(items)[side] for items in sentences] for side in (1, 0))
    counts = span_counts(*([[TAGS[tag] for tag in tags] for tags in side] for side in (predicted, gold)), ["PS", "LC"])
    by_sentence = klue_ner_entity_macro_f1_by_sentence(predicted, gold, TAGS)
    same(by_sentence, 100 * float(macro_f1_of(counts.sum(axis=0))))


def test_a_span_begins_with_b_and_ends_with_its_type() -> None:
    tags = ["I-PS", "B-PS", "I-PS", "I-LC", "I-PS", "B-LC", "B-LC", "O", "I-LC"]
    assert spans(tags) == {("PS", 1, 3), ("LC", 5, 6), ("LC", 6, 7)}


@given(pairs(range(4)))
def test_summed_counts_give_the_f1_of_all_items(items: list[tuple[int, int]]) -> None:
    gold, predicted = apart(items)
    sums = class_counts(predicted, gold, range(4)).sum(axis=0)
    same(float(macro_f1_of(sums)), golden_value("hate_speech_macro_f1", {"preds": predicted, "labels": gold}))
    relations = class_counts(predicted, gold, [0, 2, 3]).sum(axis=0)
    inputs = {"preds": predicted, "labels": gold, "label_list": RELATIONS}
    same(100 * float(micro_f1_of(relations)), golden_value("klue_re_micro_f1", inputs))


@given(pairs(range(5)))
def test_character_f1_counts_o_and_gives_1_to_absent_tags(items: list[tuple[int, int]]) -> None:
    gold, predicted = apart(items)
    inputs = {"preds": predicted, "labels": gold, "label_list": TAGS}
    present = {*gold, *predicted}
    scores = [f1(gold, predicted, tag) if tag in present else 1.0 for tag in range(5)]
    same(golden_value("klue_ner_char_macro_f1", inputs), 100 * mean(scores))
    scores = [f1(gold, predicted, tag) for tag in present - {TAGS.index("O")}]
    same(golden_value("klue_ner_char_macro_f1_without_o", inputs), 100 * mean(scores))


@given(st.lists(pairs(["O", "PER-B", "PER-I", "LOC-B", "LOC-I"]), max_size=4))
def test_naver_spans_are_lenient_and_stay_in_their_sentence(sentences: list[list[tuple[str, str]]]) -> None:
    def lenient(number: int, tags: Sequence[str]) -> set[tuple[int, int, int, str]]:
        starts = [
            tag != "O" and (tag.endswith("-B") or before == "O" or before[:3] != tag[:3])
            for before, tag in zip(["O", *tags], tags, strict=False)
        ]
        spans_of = [sum(starts[: place + 1]) if tag != "O" else 0 for place, tag in enumerate(tags)]
        runs = [(key, [place for place, _ in run]) for key, run in groupby(enumerate(spans_of), lambda each: each[1])]
        return {(number, run[0], run[-1], tags[run[0]][:3]) for key, run in runs if key}

    gold, predicted = [apart(items)[0] for items in sentences], [apart(items)[1] for items in sentences]
    sides = [{span for number, tags in enumerate(side) for span in lenient(number, tags)} for side in (gold, predicted)]
    expected = 2 * len(sides[0] & sides[1]) / ((len(sides[0]) + len(sides[1])) or 1)
    same(golden_value("naver_ner_f1", {"preds": predicted, "labels": gold}), expected)


@given(pairs(range(4)))
def test_relations_are_pooled_without_no_relation_wherever_it_is_listed(items: list[tuple[int, int]]) -> None:
    gold, predicted = apart(items)
    right = sum(g == p != 1 for g, p in items)
    counted = sum(g != 1 for g in gold) + sum(p != 1 for p in predicted)
    inputs = {"preds": predicted, "labels": gold, "label_list": RELATIONS}
    same(golden_value("klue_re_micro_f1", inputs), 100 * (2 * right / counted if counted else 0))


@settings(max_examples=50)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=20))
def test_the_area_under_a_precision_recall_curve_takes_equal_scores_together(items: list[tuple[bool, int]]) -> None:
    positives = sum(gold for gold, _ in items)
    area, last = 0.0, (0.0, 1.0)
    for threshold in sorted({score for _, score in items}, reverse=True):
        taken = [gold for gold, score in items if score >= threshold]
        point = (sum(taken) / (positives or 1), sum(taken) / len(taken))
        area += (point[0] - last[0]) * (point[1] + last[1]) / 2
        last = point
    probs = [[score / 10 if which == 3 else 0.5 for which in range(30)] for _, score in items]
    found = areas(probs, [3 if gold else 4 for gold, _ in items])
    same(found[3], area if positives else math.nan)
    assert math.isnan(found[5])


word = st.tuples(
    st.integers(0, 3), st.sampled_from([0, 14, 15, 37]), st.integers(0, 3), st.sampled_from([0, 14, 15, 37])
)


@given(st.lists(st.lists(st.lists(word, max_size=4), min_size=1, max_size=3), max_size=3))
def test_dependencies_are_pooled_over_the_words_and_rare_types_are_one(
    batches: list[list[list[tuple[int, int, int, int]]]],
) -> None:
    def padded(batch: list[list[tuple[int, int, int, int]]], column: int, filler: int) -> list[list[int]]:
        width = max(map(len, batch))
        return [[each[column] for each in row] + [filler] * (width - len(row)) for row in batch]

    inputs = {
        "preds": [{"heads": padded(batch, 0, 7), "types": padded(batch, 1, -1)} for batch in batches],
        "labels": [{"heads": padded(batch, 2, -1), "types": padded(batch, 3, -1)} for batch in batches],
    }
    words = [each for batch in batches for row in batch for each in row]
    heads = [each[0] for each in words], [each[2] for each in words]
    merged = [(min(p, 15) if hp == hg else "wrong", min(g, 15)) for hp, p, hg, g in words]
    types = [p for p, _ in merged], [g for _, g in merged]
    for name, (predicted, gold) in (("uas", heads), ("las", types)):
        right = mean([p == g for p, g in zip(predicted, gold, strict=True)])
        same(golden_value(f"klue_dp_{name}_micro_f1", inputs), 100 * right if words else 0.0)
        scores = {which: f1(gold, predicted, which) for which in {*predicted, *gold}}
        same(golden_value(f"klue_dp_{name}_macro_f1", inputs), 100 * mean(list(scores.values())))
    scores.pop("wrong", None)
    same(golden_value("klue_dp_las_macro_f1_of_types", inputs), 100 * mean(list(scores.values())))
    same(golden_value("klue_dp_las", inputs), 100 * mean([(hp, p) == (hg, g) for hp, p, hg, g in words]))


turn = st.lists(
    st.sampled_from(["식당-이름-가", "식당-이름-가 ", "숙소-지역-none", "택시-도착지-dontcare"]), max_size=4
)


@given(st.lists(st.tuples(turn, turn), max_size=8))
def test_slots_are_compared_exactly_and_averaged_by_turn(turns: list[tuple[list[str], list[str]]]) -> None:
    def counts(predicted: list[str], gold: list[str]) -> tuple[int, int]:
        return sum(slot in predicted for slot in gold), sum(slot not in gold for slot in predicted)

    def turn_f1(predicted: list[str], gold: list[str]) -> float:
        if not gold:
            return float(not predicted)
        right, false = counts(predicted, gold)
        return 2 * right / (right + false + len(gold))

    inputs = {"preds": [predicted for predicted, _ in turns], "targets": [gold for _, gold in turns]}
    same(golden_value("wos_jga", inputs), 100 * mean([set(p) == set(g) for p, g in turns]) if turns else 0.0)
    same(golden_value("wos_slot_micro_f1", inputs), 100 * mean([turn_f1(*each) for each in turns]) if turns else 0.0)
    right, false = (sum(column) for column in zip(*[counts(*each) for each in turns], (0, 0), strict=True))
    total = right + false + sum(len(gold) for _, gold in turns)
    same(golden_value("wos_slot_pooled_f1", inputs), 100 * 2 * right / (total or 1))


scores = st.lists(st.tuples(*[st.one_of(st.integers(-1, 6), st.floats(2.9, 3.1))] * 2), max_size=20)


@given(scores)
def test_similar_from_3_on_without_rounding(items: list[tuple[float, float]]) -> None:
    gold, predicted = [g >= 3 for g, _ in items], [p >= 3 for _, p in items]
    inputs = {"preds": [p for _, p in items], "labels": [g for g, _ in items]}
    same(golden_value("klue_sts_f1", inputs), 100 * f1(gold, predicted, True))


@given(scores)
def test_spearman_is_the_correlation_of_ranks_with_ties_at_their_mean(items: list[tuple[float, float]]) -> None:
    def centred(side: list[float]) -> list[float]:
        ranks = [sum(other < value for other in side) + sum(other == value for other in side) / 2 for value in side]
        return [rank - mean(ranks) for rank in ranks]

    x, y = centred([p for _, p in items]), centred([g for g, _ in items])
    product = sum(a * b for a, b in zip(x, y, strict=True))
    spread = math.sqrt(sum(a * a for a in x) * sum(b * b for b in y))
    inputs = {"preds": [p for _, p in items], "labels": [g for g, _ in items]}
    same(golden_value("korsts_spearman", inputs), product / spread if spread else math.nan)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("metric", ["klue_sts_pearsonr", "korsts_spearman"])
@pytest.mark.parametrize("preds", [[], [1.0], [0.1, 0.1, 0.1], [1.0, math.nan, 2.0], [1.0, None, 2.0]])
def test_a_correlation_that_is_not_defined_is_nan(metric: str, preds: list[float]) -> None:
    assert math.isnan(golden_value(metric, {"preds": preds, "labels": [1.0, 2.0, 4.0][: len(preds)]}))


UNDEFINED = dict.fromkeys(("klue_ner_char_macro_f1", "klue_ner_char_macro_f1_by_offsets"), 100.0) | dict.fromkeys(
    ("klue_sts_f1", "naver_ner_f1", "entity_f1", "klue_re_micro_f1", "klue_dp_uas_micro_f1", "klue_dp_las_micro_f1", "wos_jga",
     "wos_slot_micro_f1", "wos_slot_pooled_f1"), 0.0
)  # fmt: skip


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("metric", METRICS)
def test_no_items_are_nan_or_what_the_pinned_scikit_learn_says(metric: str) -> None:
    labels = {"label_list": RELATIONS if "_re_" in metric else TAGS, "predictions": {}}
    inputs = {name: labels.get(name, []) for name in METRICS[metric][1]}
    recent = {"klue_re_auprc_recent": 50.0}
    same(golden_value(metric, inputs), (UNDEFINED | recent).get(metric, math.nan))


@pytest.mark.parametrize(
    ("metric", "inputs", "sentence"),
    [
        ("nsmc_acc", {"preds": [0], "labels": [0, 1]}, "predictions of 1 items were given for the labels of 2"),
        ("naver_ner_f1", {"preds": [["O"]], "labels": [["O", "O"]]}, r"1 tags \(sentence 0\)"),
        ("klue_ner_entity_macro_f1", {"preds": [2] * 150 + [13], "labels": [2] * 151, "label_list": TAGS}, "item 150 has the label id 13"),
        ("klue_re_micro_f1", {"preds": [0], "labels": [0], "label_list": ["a", "b"]}, "does not name no_relation"),
        ("klue_re_auprc", {"probs": [[0.5, 0.5]], "labels": [0]}, r"shape \[1, 2\]; give 30 probabilities"),
        ("klue_re_auprc", {"probs": [[math.nan] * 30], "labels": [0]}, "of item 0 are not finite"),
        ("klue_re_auprc", {"probs": [[0.5] * 30], "labels": [30]}, "item 0 has the label id 30"),
        (
            "klue_dp_las",
            {"preds": [{"heads": [[0]], "types": [[0]]}], "labels": [{"heads": [[0]], "types": [[-1]]}]},
            "labels have heads of 1 words, but types of 0",
        ),
    ],
)  # fmt: skip
def test_inputs_that_do_not_fit_are_refused_in_a_sentence(
    metric: str, inputs: dict[str, object], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        golden_value(metric, inputs)
