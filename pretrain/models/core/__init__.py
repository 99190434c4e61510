"""Layers and attention that every family calls."""
