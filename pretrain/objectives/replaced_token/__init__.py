"""Replaced-token detection (Clark et al. 2020): a generator proposes tokens, a discriminator tells which are not the original."""
