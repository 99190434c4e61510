"""The curves of finished runs: compared, or kept as a reference."""
