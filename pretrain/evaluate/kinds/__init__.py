"""Kinds of tasks: from an example to rows of tokens, and from what a model says of them to an answer. No JAX here."""
