"""A local-first kit for secured WebSocket APIs on AWS."""

__version__ = "0.1.0"
__all__ = ["__version__"]
