"""Runs that lie in a bucket."""
