"""Dialogues as rows, and states from gates and tokens, as in KLUE-baseline."""

import json
from pathlib import Path

import numpy as np
import pytest

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.evaluate.kinds.dialogues import encode_dialogues, predicted_state
from pretrain.evaluate.tasks.examples import DialogueExample, Turn
from pretrain.evaluate.tasks.klue import SLOTS

ONTOLOGY = Path(__file__).resolve().parents[4] / "../shared/data/tasks/klue-wos/ontology.json"
OWN = ("식당-이름", "식당-지역", "택시-종류", "택시-출발 시간")
TURNS = (Turn("user", "가나."), Turn("sys", "한"), Turn("user", "서울 라"))
STATE = ("식당-지역-서울 가나", "택시-종류-dontcare", "택시-출발 시간-1:1")


def spelt(tokenizer: Tokenizer, ids: np.ndarray) -> str:
    return " ".join(tokenizer.pieces[number] for number in ids)


def test_a_row_has_the_turns_so_far(small: Tokenizer) -> None:
    example = DialogueExample("one", "d", TURNS, STATE)
    [row] = encode_dialogues(small, [example], OWN, 40)
    assert spelt(small, row.tokens) == "[CLS] [SEP] 가 ##나 . [SEP] [UNK] [SEP] 서울 라 [SEP]"
    assert row.gates.tolist() == [0, 2, 1, 2]
    assert spelt(small, row.values[1]) == "서울 가 ##나 [SEP]"
    assert row.values[0].tolist()[2:] == [-1, -1], "none, [SEP], then nothing"
    assert row.label.shape == (4, 5)
    assert predicted_state(small, OWN, row.gates, row.values) == STATE


def test_the_first_turn_has_nothing_before_it(small: Tokenizer) -> None:
    [row] = encode_dialogues(small, [DialogueExample("one", "d", TURNS[:1], ())], OWN, 40)
    assert spelt(small, row.tokens) == "[CLS] [SEP] [SEP] 가 ##나 . [SEP]"
    assert predicted_state(small, OWN, row.gates, row.values) == ()


def test_the_oldest_turns_are_cut_off(small: Tokenizer) -> None:
    [row] = encode_dialogues(small, [DialogueExample("one", "d", TURNS, STATE)], OWN, 6)
    assert spelt(small, row.tokens) == "[CLS] [UNK] [SEP] 서울 라 [SEP]"
    with pytest.raises(InputError, match=r"--settings.max-length 2: leaves no room"):
        encode_dialogues(small, [DialogueExample("one", "d", TURNS, STATE)], OWN, 2)


def test_a_generated_none_is_no_value(small: Tokenizer) -> None:
    values = np.zeros((4, 3), np.int32)
    assert predicted_state(small, OWN, [3, 4, 0, 0], values) == ("식당-이름-yes", "식당-지역-no")


def test_the_values_of_the_ontology_come_back_but_for_brackets_and_the_like(klue: Tokenizer) -> None:
    ontology = json.loads(ONTOLOGY.read_bytes())
    assert tuple(sorted(ontology)) == SLOTS
    states = [(f"{slot}-{value}",) for slot, values in ontology.items() for value in values if value != "none"]
    examples = [DialogueExample("one", "d", TURNS, state) for state in states]
    rows = encode_dialogues(klue, examples, SLOTS, 510)
    found = [predicted_state(klue, SLOTS, row.gates, row.values) for row in rows]
    lost = [state[0] for state, again in zip(states, found, strict=True) if state != again]
    assert (len(states), len(lost)) == (2_407, 13)
    assert "관광-이름-롯데월드타워&몰" in lost
