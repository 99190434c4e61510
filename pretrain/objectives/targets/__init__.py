"""Targets that are predicted token by token, from a source and the target so far: what such objectives share."""
