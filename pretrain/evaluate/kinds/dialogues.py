"""KLUE-DST (WoS): a dialogue so far, and for each slot a gate and the tokens of its value (KLUE-baseline, klue_baseline/data/wos.py at
8a03c94).

A row is `[CLS] turns before [SEP] system [SEP] user [SEP]`, turns before with [SEP] between them, all of token type 0; what does not
fit is cut off in front. The first user turn has an empty system turn before it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.evaluate.kinds.kind import EncodedExamples, Inputs, Kind
from pretrain.evaluate.kinds.pieces import Ids
from pretrain.evaluate.tasks.examples import DialogueExample
from pretrain.evaluate.tasks.task import Settings, Task
from pretrain.models.task_heads import GATES

NONE, POINTER = GATES.index("none"), GATES.index("ptr")
NOTHING = -1
"""No token, behind the end of a value."""


@dataclass(frozen=True)
class DialogueRow:
    """A dialogue up to a turn of the user.

    - `tokens`, `token_types`: int32 [n].
    - `gates`: int32 [slots].
    - `values`: int32 [slots, longest value + 1], the tokens of each slot's value, or of "none", with [SEP] behind, then NOTHING;
      the longest of all rows that were encoded together.
    """

    tokens: Ids
    token_types: Ids
    gates: Ids
    values: Ids

    @property
    def label(self) -> Ids:
        """int32 [slots, 1 + longest value + 1]: of each slot the gate and the tokens of its value."""
        return np.concatenate([self.gates[:, None], self.values], axis=1)


def encode_dialogues(
    tokenizer: Tokenizer, examples: Sequence[DialogueExample], slots: Sequence[str], max_length: int
) -> list[DialogueRow]:
    """A row for each example.

    - `slots`: names, `domain-slot`; ids are positions.

    Raises InputError where no room is left for text.
    """
    if max_length < 3:
        raise InputError(
            f"--settings.max-length {max_length}: leaves no room for text beside 2 special tokens; raise it"
        )
    special = tokenizer.special
    states = [_values(example, slots) for example in examples]
    texts = {
        "",
        *(turn.text for each in examples for turn in each.turns),
        *(text for state in states for text in state),
    }
    known = dict(zip(sorted(texts), _tokens_of(tokenizer, sorted(texts)), strict=True))
    longest = max((len(known[value]) for state in states for value in state), default=0)
    rows = []
    for example, state in zip(examples, states, strict=True):
        history: list[int] = []
        *before, now = _exchanges(example)
        for number, (system, user) in enumerate(before):
            history += [*([special.sep] if number else []), *known[system], special.sep, *known[user]]
        text = [*history, special.sep, *known[now[0]], special.sep, *known[now[1]]][2 - max_length :]
        tokens = np.array([special.cls, *text, special.sep], np.int32)
        values = [[*known[value], special.sep] for value in state]
        padded = np.full((len(slots), longest + 1), NOTHING, np.int32)
        for place, value in enumerate(values):
            padded[place, : len(value)] = value
        gates = [GATES.index(value) if value in GATES else POINTER for value in state]
        rows.append(DialogueRow(tokens, np.zeros_like(tokens), np.array(gates, np.int32), padded))
    return rows


def slot_names(tokenizer: Tokenizer, slots: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """The tokens of each slot's name with a blank for the hyphen, from which its value is generated."""
    return tuple(map(tuple, _tokens_of(tokenizer, [slot.replace("-", " ") for slot in slots])))


def _tokens_of(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """The tokens of each text, without special ones."""
    encodings = tokenizer.backend.encode_batch_fast(list(texts), add_special_tokens=False)
    return [encoding.ids for encoding in encodings]


def _exchanges(example: DialogueExample) -> Iterator[tuple[str, str]]:
    """What the user says each time, with what was said just before."""
    before = ""
    for turn in example.turns:
        if turn.role == "user":
            yield before, turn.text
        before = turn.text


def _values(example: DialogueExample, slots: Sequence[str]) -> list[str]:
    """The value of each slot, "none" where the state has none."""
    parts = [entry.split("-", 2) for entry in example.state]
    state = {f"{domain}-{slot}": value for domain, slot, value in parts}
    return [state.get(slot, GATES[NONE]) for slot in slots]


def predicted_state(tokenizer: Tokenizer, slots: Sequence[str], gates: ArrayLike, values: ArrayLike) -> tuple[str, ...]:
    """The state as `domain-slot-value` strings, put together as the baseline does.

    - `gates`: int [slots]; `values`: int [slots, steps], the generated tokens, which end at the first special one.

    Only what WordPiece's decoder and two rules for ":" and "," restore of a value can be right: one with a hyphen or a bracket
    cannot.
    """
    special = tokenizer.special
    ends = {special.pad, special.unk, special.cls, special.sep, special.mask}
    found = []
    for slot, gate, generated in zip(slots, np.asarray(gates).tolist(), np.asarray(values).tolist(), strict=True):
        value = GATES[gate]
        if gate == POINTER:
            end = next((place for place, token in enumerate(generated) if token in ends), len(generated))
            value = tokenizer.backend.decode(generated[:end])
            value = value.replace(" : ", ":").replace(" , ", ", ").replace("##", "")
        if value != GATES[NONE]:
            found.append(f"{slot}-{value}")
    return tuple(found)


def _encode(
    task: Task, tokenizer: Tokenizer, examples: Sequence[DialogueExample], settings: Settings
) -> EncodedExamples:
    rows = encode_dialogues(tokenizer, examples, task.labels, settings.max_length)

    def answers(said: Sequence[np.ndarray]) -> list[tuple[str, ...]]:
        """- `said`: of each row int [slots, 1 + steps], gate and generated tokens of each slot."""
        return [predicted_state(tokenizer, task.labels, each[:, 0], each[:, 1:]) for each in said]

    return EncodedExamples(rows, range(len(rows)), answers)


def _inputs(task: Task, examples: Sequence[DialogueExample], predictions: Sequence[Sequence[str]]) -> Inputs:
    return {"preds": [list(state) for state in predictions], "targets": [list(each.state) for each in examples]}


DIALOGUE = Kind(_encode, _inputs, head="slots")
