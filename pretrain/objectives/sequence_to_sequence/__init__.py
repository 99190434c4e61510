"""Sequence to sequence: a target is predicted token by token, from its source and the target so far."""
