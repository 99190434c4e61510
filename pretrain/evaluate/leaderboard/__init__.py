"""Evaluations side by side: comparisons over the same items, published rows, curves, and a page for each task of a model."""
