"""A local-first kit for secured WebSocket APIs on AWS."""

from importlib.metadata import version

__version__ = version("socketstack")
__all__ = ["__version__"]
