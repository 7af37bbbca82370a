"""Measurements of the engine: figures and ratios, never pass or fail."""
