"""How a vocabulary's rows are used in the records that were made with it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_pipeline.contract.tokenizer import Tokenizer

SHOWN = 20


def token_usage(tokenizer: Tokenizer, token_counts: NDArray[np.int64]) -> dict[str, Any]:
    """The rarest and the most frequent tokens, and how many rows are used how often; specials and [unusedN] aside.

    - `token_counts`: [rows], how often each stands in the records.

    `used_by_power_of_ten`: how many rows are used 1 to 9 times, 10 to 99 times, and so on. A row that training never or
    seldom sees stays as it was initialised.
    """
    reserved = set(tokenizer.reserved_ids)
    rows = [row for row in range(tokenizer.size) if row not in reserved]
    used = sorted((int(token_counts[row]), tokenizer.pieces[row]) for row in rows if token_counts[row])
    return {
        "rarest_pieces": [[piece, number] for number, piece in used[:SHOWN]],
        "most_frequent_pieces": [[piece, number] for number, piece in used[: -SHOWN - 1 : -1]],
        "never_used": len(rows) - len(used),
        "used_by_power_of_ten": np.bincount([len(str(number)) - 1 for number, _ in used]).tolist(),
    }
