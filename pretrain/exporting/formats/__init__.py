"""Formats of an exported folder beside Hugging Face's, each proven equal."""
