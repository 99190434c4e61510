"""Corpus formats: each reads a file into documents, streaming; data_pipeline/source_formats.py has their table."""
