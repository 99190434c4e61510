"""T5 (Raffel et al. 2019): an encoder and a decoder with relative positions: sizes, model, parameter table."""
