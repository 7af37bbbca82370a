"""Backends that are called with a mapped request: one module per kind."""
