"""ModernBERT (Warner et al. 2024): sizes, model, parameter table."""
