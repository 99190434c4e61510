"""Funnel (Dai et al. 2020): sizes, model, parameter table."""
