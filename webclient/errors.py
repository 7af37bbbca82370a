"""Errors of the web client that a user can fix."""


class ConfigError(Exception):
    """Wrong settings, no stack, a taken port: says what failed, where, and what to do next."""
