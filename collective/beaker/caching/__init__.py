"""Caches: the results of functions, kept for everybody."""
