"""Personal data in text, found by type and replaced by fake values of the same form (docs/pseudonyms.md)."""
