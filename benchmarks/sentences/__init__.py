"""Sentence splitting: the training of kss_repaired, and how it compares with other splitters on labelled text."""
