"""Hugging Face folders of any family, read and written by its table of parameters."""
