"""Masked language modelling, with a loss on sentence pairs where the records have them."""
