"""Lengths to which rows are padded before a model is asked, so that few programs are compiled for texts of any length."""

SHORTEST = 32
"""Tokens of the shortest row. Longer ones are twice as long, and so on."""


def padded_length(tokens: int, longest: int | None) -> int:
    """The length of a row that holds so many tokens.

    - `longest`: what the model reads, at least `tokens`; None where nothing limits it.
    """
    length = SHORTEST
    while length < tokens:
        length *= 2
    return min(length, longest) if longest else length
