"""Model families: one package each, and what they share in core/."""
