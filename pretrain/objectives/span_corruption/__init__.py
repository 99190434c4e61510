"""Span corruption: spans of a row are replaced by sentinels, and the target spells them."""
