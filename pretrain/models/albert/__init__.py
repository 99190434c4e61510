"""ALBERT (Lan et al. 2019): sizes, model, parameter table."""
