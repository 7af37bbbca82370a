"""Measurements of the engine: figures and ratios against other servers, each with its goal."""
