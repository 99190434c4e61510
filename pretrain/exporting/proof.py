"""The proof of an exported folder: read back, and compared with transformers where that is installed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from data_pipeline.contract.errors import WorkError
from data_pipeline.contract.packages import cannot_import, in_words
from pretrain.subject import Subject, load_subject

TOLERANCE = 1e-4
"""Largest difference of a logit between transformers and this code, float32."""
MOST_TOKENS = 128
"""Of a text of the proof."""
WITH_PAIRS, PAIR_LOGITS = "AutoModelForPreTraining", ("seq_relationship_logits", "sop_logits")
"""transformers' class of a model with the head `pair` beside `vocabulary`, and what BERT and ALBERT call the answer of that head."""


def prove(folder: Path, texts: Sequence[str], longest: int) -> str:
    """Reads a folder back and compares tokens and logits with transformers'; returns what was shown, in words.

    - `longest`: most tokens of a text.

    Raises WorkError where something differs or is not finite.
    """
    subject = load_subject(folder)
    token_ids, token_types, attends = padded_inputs(subject, texts, min(longest, MOST_TOKENS))
    logits = subject.logits(token_ids, token_types, attends)
    if not np.isfinite(logits).all():
        raise WorkError("the exported model gives numbers that are not finite; export an earlier --step")
    auto_class = subject.auto_class
    if not auto_class:
        return f"read back; not compared with transformers, which has no {subject.family.title}"
    if missing := cannot_import("torch", "transformers"):
        return f"read back; not compared with transformers, because {missing} (pip install .[export])"
    import torch
    import transformers

    try:
        with quiet_transformers():
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
            kind = getattr(transformers, WITH_PAIRS if "pair" in subject.heads else auto_class)
            model = kind.from_pretrained(folder).eval()
            theirs_ids = tokenizer(list(texts))["input_ids"]
    except ImportError as error:  # transformers imports what it needs when it is used
        return f"read back; not compared with transformers, which cannot be used here ({in_words(error)})"
    ours_ids = [encoding.ids for encoding in subject.tokenizer.backend.encode_batch(list(texts))]
    for text, theirs_row, ours_row in zip(texts, theirs_ids, ours_ids, strict=True):
        if list(theirs_row) != ours_row:
            raise WorkError(
                f"transformers tokenises {text!r} as {theirs_row}, training did as {ours_row}; not exported"
            )
    with torch.no_grad():
        types = {"token_type_ids": torch.tensor(token_types)} if subject.config.token_types() else {}
        rows = {"input_ids": torch.tensor(token_ids), "attention_mask": torch.tensor(attends)}
        targets = {f"decoder_{name}": row for name, row in rows.items()} if model.config.is_encoder_decoder else {}
        theirs, theirs_of_pairs = _answers(model(**rows, **types, **targets))
    difference, of_pairs = difference_of(subject, theirs, logits, attends), ""
    if theirs_of_pairs is not None:
        ours_of_pairs, of_pairs = subject.pair_logits(token_ids, token_types, attends), ", the pair head's too"
        difference = max(difference, _largest(theirs_of_pairs - ours_of_pairs))
    if difference > TOLERANCE:
        raise WorkError(f"logits differ from transformers' by {difference:.1e}, more than {TOLERANCE:g}; not exported")
    return f"tokens equal and logits within {difference:.1e} of transformers {transformers.__version__}{of_pairs}"


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keeps transformers from telling of bars, of long texts and of heads that a class does not read, of a folder that nobody has seen."""
    import transformers

    told, said = transformers.logging, transformers.logging.get_verbosity()
    bars = told.is_progress_bar_enabled()
    told.set_verbosity_error()
    told.disable_progress_bar()
    try:
        yield
    finally:
        told.set_verbosity(said)
        if bars:
            told.enable_progress_bar()


def _answers(said: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """What an output of transformers has for `Subject.logits`, and for `Subject.pair_logits`."""
    if "start_logits" in said:
        return np.stack([said.start_logits.numpy(), said.end_logits.numpy()], -1), None
    pairs = next((said[name].numpy() for name in PAIR_LOGITS if name in said), None)
    return said["logits" if pairs is None else "prediction_logits"].numpy(), pairs


def difference_of(subject: Subject, theirs: np.ndarray, ours: np.ndarray, attends: np.ndarray) -> float:
    """The largest difference of a logit of a token that is no padding, or of a class; infinite where one is no number.

    - `theirs`, `ours`: as `Subject.logits`. - `attends`: int [B, L], the attention_mask.
    """
    of_rows = subject.task is not None and subject.task.kind == "classifier"
    return _largest((theirs - ours)[... if of_rows else attends == 1])


def _largest(differences: np.ndarray) -> float:
    """The largest in size; infinite where one is no number, which compares as less than any."""
    return float(np.abs(differences).max()) if np.isfinite(differences).all() else float("inf")


def padded_inputs(subject: Subject, texts: Sequence[str], longest: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The texts as a fine-tuning script would feed them: tokens, token types and attention mask, int64 [n, longest], padded.

    The second half of a text is of token type 1 where the model has such a row, trained or not.
    """
    token_ids = np.full((len(texts), longest), subject.tokenizer.special.pad, np.int64)
    token_types, attends = np.zeros_like(token_ids), np.zeros_like(token_ids)
    types = (subject.config.token_types() or ("", 1))[1]
    for row, encoding in enumerate(subject.tokenizer.backend.encode_batch(list(texts))):
        length = min(len(encoding.ids), longest)
        token_ids[row, :length] = encoding.ids[:length]
        token_types[row, length // 2 : length] = min(1, types - 1)
        attends[row, :length] = 1
    return token_ids, token_types, attends
