"""What the data plane has done so far; nothing that is lost is lost without being counted."""

from dataclasses import dataclass


@dataclass(slots=True)
class Counts:
    """Since the engine started, over all APIs."""

    messages: int = 0
    """Messages of clients that were taken; each is answered, or its connection has ended."""
    replies: int = 0
    """Frames that answered them."""
    dropped_replies: int = 0
    """Frames that a client did not get, because it read nothing or had left."""
    disconnects: int = 0
    """Connections whose end was told, or that have no ``$disconnect`` to tell it to."""
