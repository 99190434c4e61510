"""Checkpoints that are known to be whole, and what they say of their run."""
